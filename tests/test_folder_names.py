"""Names that every folder of pictures has name no car; two names never make one id."""

import unicodedata

import pytest
from hypothesis import assume, given, strategies as st

from okla_assets import keys
from okla_assets.folder_names import is_of_the_same_car, names_no_car

NO_CARS = """
photos|Photos|PHOTOS (2)|photo|My Photos|Car photos|iPhone Photos|photos - Copy|images|Images 3
img|DCIM|Camera|Camera Roll|camera_uploads|100APPLE|103CANON|100_PANA|102ND750|101_0815|100MEDIA
100ANDRO|202411__|WhatsApp Images|WhatsApp Images 2024-11-03|Photos-20241103T101010Z-001
drive-download-20241103T101010Z-001|New folder (3)|Neuer Ordner|Bilder|Fotos|Imágenes|Zdjęcia|Câmera
照片|Фото|写真|사진|Downloads|video|Videos|exterior|Interior|Innenraum|wheels
""".strip().replace("\n", "|")
CARS = """
123|124|1HGCM82633A004352|3f2504e0-4f89-11d3-9a0c-0305e82c3301|golf|Golf photos|BMW320|car1|A4
my car|10012345|1001234|12345678|123ABC45|2024-11-03|Toyota Corolla 2019|sample|360|demo
""".strip().replace("\n", "|")


@pytest.mark.parametrize("name", NO_CARS.split("|"))
def test_what_folders_of_pictures_are_called_names_no_car(name: str) -> None:
    for form in ("NFC", "NFD"):
        assert names_no_car(unicodedata.normalize(form, name))
    with pytest.raises(keys.NamesNoCar, match="folders of pictures"):
        keys.vehicle_id_from_folder(name)


@pytest.mark.parametrize("name", CARS.split("|"))
def test_other_names_may_name_a_car(name: str) -> None:
    assert not names_no_car(name)
    assert keys.vehicle_id_from_folder(name)


def test_an_id_given_by_hand_is_no_such_name_either() -> None:
    assert keys.new_vehicle_id("golf") == "golf"
    with pytest.raises(keys.BadVehicleId, match="DCIM"):
        keys.new_vehicle_id("DCIM")


@pytest.mark.parametrize("name", ["rear", "Day 2", "set1", "left side", "other", "DCIM"])
def test_below_a_cars_folder_more_names_are_known(name: str) -> None:
    assert is_of_the_same_car(name)


NAMES = st.one_of(st.text(max_size=70), st.text(alphabet="aB1-_ ()ä.", min_size=1, max_size=6))


@given(NAMES, NAMES)
def test_two_names_never_make_one_id(one: str, other: str) -> None:
    assume(unicodedata.normalize("NFC", one) != unicodedata.normalize("NFC", other))
    ids = []
    for name in (one, other):
        try:
            ids.append(keys.vehicle_id_from_folder(name))
        except keys.BadVehicleId:
            continue
        assert keys.parse_vehicle_id(ids[-1]) == keys.vehicle_id_from_folder(name)
    assert len(set(ids)) == len(ids)
