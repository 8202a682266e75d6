"""A listing tells where the public finds its files, and nothing that opens for nobody."""

from okla_assets import keys
from okla_assets.steps.addresses import addressed
from resources.storage.media_store import LocalMediaStore
from resources.storage.s3_store import S3MediaStore
from tests.fakes import VEHICLE
from tests.viewer import made

LISTED = made.listing(
    photos=(made.photo(1), made.photo(2), made.photo(3, "interior")), order=(2, 1)
)


def test_urls_begin_with_the_public_base() -> None:
    store = S3MediaStore(bucket="okla", prefix="cars", public_url="https://cdn.example.com/")
    listing = addressed(LISTED, store)
    assert listing.base_url == "https://cdn.example.com/cars/"
    assert listing.gallery_url == listing.base_url + str(listing.gallery_key)
    assert (listing.cover, listing.cover_key) == (2, LISTED.photos[1].processed_key)
    for photo in listing.photos:
        assert photo.processed_url == listing.base_url + str(photo.processed_key)
        assert photo.thumbnail_url == listing.base_url + str(photo.thumbnail_key)


def test_a_folder_or_a_private_bucket_has_keys_only(store: LocalMediaStore) -> None:
    for private in (store, S3MediaStore(bucket="okla")):
        listing = addressed(LISTED, private)
        assert listing.gallery_key == keys.gallery(VEHICLE)
        assert listing.cover == 2
        assert (listing.base_url, listing.gallery_url) == (None, None)
        assert all(photo.processed_url is None for photo in listing.photos)


def test_a_cover_is_a_picture_that_is_shown() -> None:
    held = made.photo(2, processed_key=None, withheld="a plate reads")
    listing = LISTED.model_copy(update={"photos": (made.photo(1), held), "order": (2, 1)})
    assert addressed(listing, S3MediaStore(bucket="okla")).cover == 1
