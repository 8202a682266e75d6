"""A finished picture's C2PA manifest, and the signing of it where a certificate is configured.

Actions and their order are those of `provenance`. The upload is named by its digest and not taken
in as an ingredient: that would bring its thumbnail along, which shows plates.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from okla_assets.contract import Provenance
from okla_assets.options import StudioOptions
from okla_assets.steps.batches import Outputs
from okla_assets.steps.listed import listed
from okla_assets.tables import Classification, Composite, Mask, Photo, PhotoPlates
from resources.content_credentials import ContentSigner

MIME = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
PROVENANCE_LABEL = "org.okla.provenance"


def manifest_of(provenance: Provenance, suffix: str) -> dict[str, Any]:
    """The C2PA manifest of a picture in a file of that suffix."""
    made = {"action": "c2pa.created", "digitalSourceType": provenance.source_type}
    edits = [
        {
            "action": edit.c2pa,
            "description": edit.action.replace("_", " "),
            "parameters": {f"org.okla.{name}": str(value) for name, value in edit.details.items()},
        }
        for edit in provenance.edits
    ]
    return {
        "claim_generator_info": [{"name": "okla-media", "version": version("okla-media")}],
        "format": MIME[suffix],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [made, *edits]}},
            {
                "label": PROVENANCE_LABEL,
                "kind": "Json",
                "data": provenance.model_dump(mode="json"),
            },
        ],
    }


def signed(
    signer: ContentSigner | None, picture: bytes, suffix: str, provenance: Provenance
) -> bytes:
    """The picture's file with its credentials; as it is without a signer."""
    if signer is None:
        return picture
    return signer.signed(picture, MIME[suffix], manifest_of(provenance, suffix))


Finish = Callable[[Any], tuple[Composite, Outputs]]


def finishing(
    signer: ContentSigner | None,
    known: tuple[Photo, Mask, Classification, PhotoPlates],
    options: StudioOptions,
    finish: Finish,
) -> Finish:
    """What finishes a photo, with its finished picture signed."""
    if signer is None:
        return finish

    def finish_and_sign(searched: Any) -> tuple[Composite, Outputs]:
        row, outputs = finish(searched)
        if row.processed_key is None:
            return row, outputs
        provenance = listed(*known, row, options).provenance
        if provenance is None:
            raise AssertionError(f"photo {row.number} has no provenance")
        picture = signed(signer, outputs[row.processed_key], options.output_format, provenance)
        return row, {**outputs, row.processed_key: picture}

    return finish_and_sign
