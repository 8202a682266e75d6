"""Why an uploaded file is refused: a closed list, shared by the decoder and the contract."""

from typing import Literal, get_args

RefusalReason = Literal[
    "empty_file",
    "file_too_large",
    "not_an_image",
    "unsupported_format",
    "corrupt",
    "truncated",
    "too_many_pixels",
    "too_small",
    "extreme_aspect",
    "decode_timeout",
    "decoder_crashed",
    "not_a_video",
    "live_photo",
    "too_short",
    "too_long",
    "no_vehicle",
    "not_a_turn",
    "step_failed",
    "unreadable",
    "not_a_file",
    "unusable_name",
]
"""Codes of `refused[].reason` in listing.json. Adding one is a change of the contract."""

REFUSAL_REASONS: tuple[RefusalReason, ...] = get_args(RefusalReason)


class Refused(Exception):
    """One file is not usable; the rest of the vehicle goes on.

    `detail` is one sentence for the person who uploaded the file: what is wrong and what to do.
    """

    def __init__(self, reason: RefusalReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason: RefusalReason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
