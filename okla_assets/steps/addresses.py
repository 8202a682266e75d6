"""Where the public finds a listing's files: the base of all addresses, the gallery, the cover."""

from okla_assets import keys
from okla_assets.contract import Listing
from resources.storage.media_store import MediaStore


def addressed(listing: Listing, store: MediaStore) -> Listing:
    """The listing with its addresses; without those of URLs where the store has no public base."""
    vehicle = keys.parse_vehicle_id(listing.vehicle_id)
    base = store.public_base()
    keys_of = {photo.number: photo for photo in listing.photos if photo.processed_key}
    cover = next((number for number in listing.order if number in keys_of), None)

    def url(key: str | None) -> str | None:
        return store.url(key) if base is not None and key is not None else None

    return listing.model_copy(
        update={
            "base_url": base,
            "gallery_key": keys.gallery(vehicle),
            "gallery_url": url(keys.gallery(vehicle)),
            "cover": cover,
            "cover_key": None if cover is None else keys_of[cover].processed_key,
            "photos": tuple(
                photo.model_copy(
                    update={
                        "processed_url": url(photo.processed_key),
                        "thumbnail_url": url(photo.thumbnail_key),
                    }
                )
                for photo in listing.photos
            ),
        }
    )
