"""A profile is a set of model resources; asset code is the same under each."""

from resources.decoding.photo_decoder import PhotoDecoder
from resources.decoding.video_reader import VideoReader
from resources.errors import BadInput
from resources.model_choice import MODELS_BY_ROLE, PROFILES, check_extras, models_for, weights_for
from resources.models.fused_matte import FusedMatte
from resources.progress import LogProgress
from resources.storage.event_queue import SqsEventQueue
from resources.storage.stores import store_for
from resources.storage.table_io import table_io_manager

ROLES = tuple(MODELS_BY_ROLE)
"""Keys of the resources that decide what comes out."""


def check_profile(profile: str) -> None:
    """Raises BadInput for a profile that does not exist, or for a config file that cannot be used;
    BrokenSetup where packages that it needs are not installed."""
    if profile not in PROFILES:
        raise BadInput(f"there is no profile {profile!r}; there are: {', '.join(PROFILES)}")
    check_extras(profile)
    models_for(profile)


def weights_of(profile: str) -> tuple[str, ...]:
    """The weights of the catalogue that the profile's models load."""
    check_profile(profile)
    return weights_for(profile)


def load_ahead(profile: str) -> None:
    """Begins to load what cuts vehicles out, if that is the networks of `FusedMatte`: 2 s of CPU
    time, while Dagster is imported and photos are read."""
    segmenter = models_for(profile)["segmenter"]
    if isinstance(segmenter, FusedMatte):
        segmenter.load_ahead()


def resources_for(profile: str) -> dict[str, object]:
    """Everything the assets ask for, by resource key. Loads no model.

    Raises BadInput for a profile that does not exist.
    """
    check_profile(profile)
    return {
        "store": store_for(""),
        "event_queue": SqsEventQueue(),
        "io_manager": table_io_manager,
        "progress": LogProgress(),
        "decoder": PhotoDecoder(),
        "video_reader": VideoReader(),
        **models_for(profile),
    }
