"""A vehicle's pictures as a channel wants them: written to a folder, and read back by its rules."""

import hashlib
import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from okla_assets import keys
from okla_assets.contract import ChannelVerdict, Edit, Listing, ListingPhoto, Provenance
from okla_assets.imaging.photo.window import Window
from okla_assets.steps import credentials
from okla_assets.steps.channel_rules import CHANNELS, SUFFIX, Channel, ChannelName
from okla_assets.steps.channels import shown_part, verdict, written_size
from okla_assets.steps.selling import order_of
from resources.content_credentials import ContentSigner, content_signer
from resources.errors import BadInput, UnknownVehicle
from resources.storage.media_store import MediaStore

MANIFEST = "manifest.json"
QUALITIES = (92, 85, 75, 60)
"""JPEG qualities, tried in turn until the file is small enough."""


@dataclass(frozen=True)
class Export:
    """What was written for a channel: the files in its order, and what it would refuse."""

    vehicle: str
    channel: ChannelName
    folder: Path
    files: tuple[Path, ...]
    verdict: ChannelVerdict


def export(vehicle: keys.VehicleId, channel_name: str, folder: Path, store: MediaStore) -> Export:
    """Writes the pictures that the channel takes, in its order and size, and a manifest.

    Files of an earlier export there are replaced. Raises BadInput where the channel or the vehicle
    is not known, or the folder holds something else.
    """
    name = _channel(channel_name)
    channel = CHANNELS[name]
    listing = _listing(vehicle, store)
    pictures = {p.number: store.get(p.processed_key) for p in listing.photos if p.processed_key}
    listing = _with_sizes(listing, pictures)
    found = verdict(listing, channel)
    signer = content_signer()
    _make_room(folder)
    photos = {photo.number: photo for photo in listing.photos}
    entries: list[dict[str, Any]] = []
    digits = max(2, len(str(len(found.accepted))))  # so that their names sort in its order
    for position, number in enumerate(found.accepted, 1):
        file = folder / f"{vehicle}_{position:0{digits}d}.{SUFFIX}"
        photo, lead = photos[number], position == 1
        data, size = _picture(photo, pictures[number], channel, signer, lead=lead)
        file.write_bytes(data)
        entries.append(
            {
                "file": file.name,
                "number": number,
                "width": size[0],
                "height": size[1],
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "category": photo.category,
                "angle": photo.angle,
                "source_sha256": photo.source_sha256,
            }
        )
    manifest = {
        "vehicle_id": vehicle,
        "channel": name,
        "listing_generated_at": listing.generated_at.isoformat(),
        "files": entries,
        "refused": [one.model_dump() for one in found.refused],
        "unmet": found.unmet,
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    files = tuple(folder / entry["file"] for entry in entries)
    return Export(vehicle, name, folder, files, found)


def broken_rules(folder: Path) -> list[str]:
    """What an exported folder breaks of its channel's own rules, read from the files alone."""
    from PIL import Image

    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    channel = CHANNELS[_channel(manifest["channel"])]
    broken = []
    files = sorted(folder.glob(f"*.{SUFFIX}"))
    if [file.name for file in files] != [entry["file"] for entry in manifest["files"]]:
        broken.append("the files are not those of the manifest, in its order")
    if len(files) > channel.most:
        broken.append(f"{len(files)} pictures, {channel.most} at most")
    for file in files:
        with Image.open(file) as picture:
            width, height = picture.size
            if picture.format != "JPEG" or picture.mode != "RGB":
                broken.append(f"{file.name} is no RGB JPEG")
        if width < channel.least[0] or height < channel.least[1]:
            broken.append(f"{file.name} has {width} x {height} pixels, too few")
        if abs(width / height - channel.aspect) > 0.01:
            broken.append(f"{file.name} has another shape: {width} x {height}")
        if file.stat().st_size > channel.most_bytes:
            broken.append(f"{file.name} has more than {channel.most_bytes} bytes")
    return broken


def _channel(name: str) -> ChannelName:
    for known in CHANNELS:
        if name == known:
            return known
    raise BadInput(f"there is no channel {name!r}; known are {', '.join(CHANNELS)}")


def _listing(vehicle: keys.VehicleId, store: MediaStore) -> Listing:
    try:
        return Listing.model_validate_json(store.get(keys.listing(vehicle)))
    except FileNotFoundError:
        if next(iter(store.list(keys.raw_folder(vehicle))), None) is None:
            raise UnknownVehicle(vehicle) from None
        raise BadInput(f"{vehicle} has no listing.json; make it with `okla process`") from None
    except ValidationError:
        raise BadInput(
            f"{keys.listing(vehicle)} is of another version; `okla backfill {vehicle}` renews it"
        ) from None


def _with_sizes(listing: Listing, pictures: dict[int, bytes]) -> Listing:
    """The listing with order and sizes, which older ones lack, as the pictures have them."""
    from PIL import Image

    def sized(photo: ListingPhoto) -> ListingPhoto:
        if photo.number not in pictures:
            return photo
        with Image.open(BytesIO(pictures[photo.number])) as picture:
            return photo.model_copy(update={"processed_size": picture.size})

    return listing.model_copy(
        update={
            "photos": tuple(sized(photo) for photo in listing.photos),
            "order": listing.order or tuple(order_of(listing.photos)),
        }
    )


def _make_room(folder: Path) -> None:
    """The folder, without the files of an earlier export."""
    folder.mkdir(parents=True, exist_ok=True)
    present = {path.name for path in folder.iterdir()}
    if not present:
        return
    if MANIFEST not in present:
        raise BadInput(f"{folder} holds files that are no export; give another folder with --to")
    for name in _earlier_files(folder):
        (folder / name).unlink(missing_ok=True)


def _earlier_files(folder: Path) -> list[str]:
    """The files that the manifest names. Raises BadInput where it is not one of ours."""
    try:
        earlier = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        names = [str(entry["file"]) for entry in earlier["files"]]
        ours = "channel" in earlier and all(Path(name).name == name for name in names)
    except (ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise BadInput(
            f"{folder / MANIFEST} is of no export of ours; give another folder with --to"
        )
    return names


def _picture(
    photo: ListingPhoto,
    finished: bytes,
    channel: Channel,
    signer: ContentSigner | None,
    *,
    lead: bool,
) -> tuple[bytes, tuple[int, int]]:
    """The photo's file for the channel, and its width and height."""
    from okla_assets.imaging.photo import codec, reframe

    window = shown_part(photo, channel, lead=lead)
    if window is None:
        raise AssertionError(f"photo {photo.number} was accepted without a window")
    width, height = written_size(window, channel)
    picture = reframe.cut(codec.decode_trusted(finished), window, width, height)
    provenance = _reframed(photo, window, (width, height))
    for quality in QUALITIES:
        data = codec.encode_jpeg(picture, quality)
        data = credentials.signed(signer, data, SUFFIX, provenance)
        if len(data) <= channel.most_bytes:
            break
    return data, (width, height)


def _reframed(photo: ListingPhoto, window: Window, size: tuple[int, int]) -> Provenance:
    """The picture's provenance with what the channel's shape and size changed."""
    known = photo.provenance
    if known is None or photo.processed_size is None:
        raise BadInput(
            f"photo {photo.number} has no provenance; `okla backfill` renews its listing"
        )
    edits = [*known.edits]
    generated = known.generated
    if (window.width, window.height) != photo.processed_size:
        edits.append(
            Edit(
                action="cropped",
                c2pa="c2pa.cropped",
                details={"left": window.left, "top": window.top},
            )
        )
        if photo.treatment == "studio" and generated is not None:
            # The vehicle is whole on both: only the scene's share changes.
            width, height = photo.processed_size
            shares = width * height / (window.width * window.height)
            generated = round(max(0.0, 1 - (1 - generated) * shares), 4)
    if size != (window.width, window.height):
        width, height = size
        edits.append(
            Edit(action="resized", c2pa="c2pa.resized", details={"width": width, "height": height})
        )
    return known.model_copy(update={"edits": tuple(edits), "generated": generated})
