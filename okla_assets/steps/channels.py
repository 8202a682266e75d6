"""What a channel would take of a vehicle's finished pictures, and why it refuses the others."""

from collections.abc import Iterator

from okla_assets.contract import ChannelRefusal, ChannelVerdict, Listing, ListingPhoto
from okla_assets.imaging.photo.window import Window, choose
from okla_assets.imaging.types import Box
from okla_assets.steps.channel_rules import CHANNELS, Channel


def judged(listing: Listing) -> Listing:
    """The listing with each channel's verdict."""
    verdicts = {name: verdict(listing, channel) for name, channel in CHANNELS.items()}
    return listing.model_copy(update={"channels": verdicts})


def verdict(listing: Listing, channel: Channel) -> ChannelVerdict:
    """Which photos the channel takes, in its order, and which it refuses."""
    photos = {photo.number: photo for photo in listing.photos}
    numbers = [*listing.order, *(n for n in photos if n not in listing.order)]
    refused, taken = [], []
    for number in numbers:
        broken = next(_broken(photos[number], listing, channel), None)
        if broken is None:
            taken.append(number)
        else:
            refused.append(ChannelRefusal(number=number, rule=broken[0], reason=broken[1]))
    lead = next((number for number in taken if _may_lead(photos[number], channel)), None)
    taken.sort(key=lambda number: number != lead)
    for number in taken[channel.most :]:
        reason = f"{channel.title} shows {channel.most} pictures at most"
        refused.append(ChannelRefusal(number=number, rule="count", reason=reason))
    taken = taken[: channel.most]
    return ChannelVerdict(
        accepted=tuple(taken),
        refused=tuple(sorted(refused, key=lambda one: one.number)),
        unmet=tuple(_unmet([photos[number] for number in taken], channel)),
    )


def shown_part(photo: ListingPhoto, channel: Channel, *, lead: bool) -> Window | None:
    """The part of the finished picture that the channel gets; None where it would cut the vehicle.

    A studio's wall and floor go on beyond the picture; a photo's own background does not.
    """
    if photo.processed_size is None:
        return None
    width, height = photo.processed_size
    return choose(
        width,
        height,
        channel.aspect,
        vehicle_on_picture(photo),
        extendable=photo.treatment == "studio",
        safe_zone=channel.lead_zone if lead else 1.0,
    )


def vehicle_on_picture(photo: ListingPhoto) -> Box | None:
    """The vehicle's box in pixels of the finished picture, of whole vehicles."""
    if photo.processed_size is None or photo.vehicle_box is None or _is_cut_off(photo):
        return None
    (width, height), box = photo.processed_size, photo.vehicle_box
    if photo.levelled is not None:
        box = photo.levelled.moved_box(box, photo.width, photo.height)
    x, y, w, h = box
    left, top, wide, high = photo.source_box
    across, down = wide * width / photo.width, high * height / photo.height
    return left * width + x * across, top * height + y * down, w * across, h * down


def written_size(window: Window, channel: Channel) -> tuple[int, int]:
    """Width and height of the file: the channel's, or less where that would enlarge."""
    if window.width >= channel.size[0]:
        return channel.size
    return window.width, round(window.width / channel.aspect)


def _broken(photo: ListingPhoto, listing: Listing, channel: Channel) -> Iterator[tuple[str, str]]:
    """The rules that one photo breaks, and each in words."""
    if photo.processed_key is None:
        yield "not_published", photo.withheld or "there is no finished picture"
        return
    if photo.projection is not None:
        yield "panorama", "it is a panorama, which is no picture to be shown flat"
        return
    if photo.duplicate_of is not None:
        yield "duplicate", f"it repeats photo {photo.duplicate_of}"
    if channel.no_overlays:
        if "screenshot_or_collage" in photo.quality.issues:
            yield "overlay", "it is a screenshot or a collage"
        if _bears_a_logo(photo):
            yield "overlay", "a logo lies over its plate"
    if channel.whole and _is_cut_off(photo):
        yield "whole_vehicle", "the vehicle is cut off by the picture's edge"
    if "finger" in photo.quality.issues:
        yield "quality", "a finger lies over the lens"
    window = shown_part(photo, channel, lead=_may_lead(photo, channel))
    if window is None:
        yield "aspect", "a picture of the channel's shape would cut the vehicle"
        return
    size = written_size(window, channel)
    if size[0] < channel.least[0] or size[1] < channel.least[1]:
        least = f"{channel.least[0]} x {channel.least[1]}"
        yield "size", f"{size[0]} x {size[1]} pixels are left of it, {least} are asked for"


def _bears_a_logo(photo: ListingPhoto) -> bool:
    """Whether a plate was covered with the owner's logo, which options alone do not tell."""
    edits = () if photo.provenance is None else photo.provenance.edits
    return any(e.action == "plate_masked" and e.details.get("style") == "logo" for e in edits)


def _may_lead(photo: ListingPhoto, channel: Channel) -> bool:
    """Whether the photo may come first."""
    if photo.category != "exterior" or _is_cut_off(photo):
        return False
    return not channel.lead or photo.angle in channel.lead


def _is_cut_off(photo: ListingPhoto) -> bool:
    return photo.category == "exterior" and "cropped" in photo.quality.issues


def _unmet(taken: list[ListingPhoto], channel: Channel) -> Iterator[str]:
    if len(taken) < channel.fewest:
        yield f"{channel.title} asks for {channel.fewest} pictures, {len(taken)} can be shown"
    if taken and not _may_lead(taken[0], channel):
        views = ", ".join(channel.lead)
        from_where = f" from one of these sides: {views}" if views else ""
        yield f"{channel.title} wants a first picture of the whole vehicle{from_where}"
