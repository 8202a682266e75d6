"""What each of a vehicle's uploads is: photo, video, passed over by a rule, or not to be read.

Nothing that lies under raw/VEHICLE/ is left out of the record. What a file is, its first bytes say;
its name and folder only where they say nothing.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pydantic import ValidationError

from okla_assets import keys
from okla_assets.imaging.photo.signatures import HEAD_BYTES, MediaKind, media_kind
from okla_assets.options import read_options
from okla_assets.steps.upload_facts import UploadFacts
from okla_assets.tables import IgnoredFiles, IgnoredRule, RefusedFile, Row
from resources.ahead import mapped
from resources.errors import Unreadable
from resources.storage.media_store import MediaStore, ObjectInfo
from resources.storage.odd_entries import OddEntry, may_not

VERSION = "1"
_TO_UNPACK = frozenset({"zip", "rar", "7z", "gz", "tgz", "tar", "pdf"})
"""What may hold photos: refused as one, so that its owner is told to take them out."""

log = logging.getLogger(__name__)


class SourceFolder(Row):
    """A folder that `okla process` took uploads from, and what it left there.

    `path` is empty for uploads that came by another way. Photos lie below `place` in photos/.
    """

    path: str
    place: str = ""
    ignored: tuple[IgnoredFiles, ...] = ()
    refused: tuple[RefusedFile, ...] = ()


class Sources(Row):
    """raw/VEHICLE/_SOURCE: where a vehicle's uploads came from."""

    folders: tuple[SourceFolder, ...] = ()


@dataclass(frozen=True)
class Uploads:
    """A vehicle's uploads, photo2 before photo10."""

    photos: tuple[ObjectInfo, ...]
    videos: tuple[ObjectInfo, ...]
    refused: tuple[RefusedFile, ...]
    ignored: tuple[IgnoredFiles, ...]


def uploads_of(vehicle: keys.VehicleId, store: MediaStore) -> Uploads:
    """All that lies under raw/VEHICLE/, but for the music that the options name.

    Raises `Unreadable` where that folder may not be listed.
    """
    odd: list[OddEntry] = []
    ours = keys.records(vehicle)
    listed = [i for i in store.list(keys.raw_folder(vehicle), odd=odd.append) if i.key not in ours]
    music = read_options(vehicle, store)[0].promo_music
    if music is not None:
        own = keys.nfc(keys.own_music(vehicle, music))
        listed = [info for info in listed if keys.nfc(info.key) != own]
    sorter = _Sorter(store, UploadFacts(store, vehicle, "kinds", VERSION))
    kinds = dict(zip(listed, mapped(listed, sorter.kind_of, "kind"), strict=True))
    sorter.known.keep()
    source = read_sources(vehicle, store)
    refused = [
        *(
            RefusedFile(source_key=e.key, reason=e.reason, detail=e.detail)
            for e in odd
            if e.reason != "hidden"
        ),
        *(kind for kind in kinds.values() if isinstance(kind, RefusedFile)),
        *(file for folder in source.folders for file in folder.refused),
    ]
    by_rule: dict[IgnoredRule, list[str]] = {}
    for entry in odd:
        if entry.reason == "hidden":
            by_rule.setdefault("hidden_file", []).append(keys.upload_name(entry.key))
    for info, kind in kinds.items():
        if not isinstance(kind, RefusedFile) and kind != "photo" and kind != "video":
            by_rule.setdefault(kind, []).append(keys.upload_name(info.key))

    def of_kind(wanted: MediaKind) -> tuple[ObjectInfo, ...]:
        found = (info for info, kind in kinds.items() if kind == wanted)
        return tuple(sorted(found, key=lambda info: keys.natural_order(info.key)))

    left_there = (group for folder in source.folders for group in folder.ignored)
    return Uploads(
        of_kind("photo"),
        of_kind("video"),
        tuple(sorted(refused, key=lambda file: keys.natural_order(file.source_key))),
        joined_groups((*ignored_files(by_rule), *left_there)),
    )


@dataclass(frozen=True)
class _Sorter:
    store: MediaStore
    known: UploadFacts

    def kind_of(self, info: ObjectInfo) -> MediaKind | IgnoredRule | RefusedFile:
        rule = keys.ignored_by_name(info.key)
        if rule is not None:
            return rule
        if not keys.lies_where_uploads_do(info.key):
            return "elsewhere"
        try:
            seen = self.known.of(info, partial(self._look, info)) if info.size else ""
        except Unreadable as error:
            return unreadable(info.key, error)
        return kind_of(seen, info.key)

    def _look(self, info: ObjectInfo) -> str:
        return media_kind(self.store.head(info.key, HEAD_BYTES)) or ""


def kind_of(seen: str, name: str) -> MediaKind | Literal["not_media"]:
    """What a file is of which the first bytes say `seen`: "photo", "video" or nothing."""
    suffix = keys.suffix_of(name)
    if seen == "video" or (not seen and suffix in keys.VIDEO_SUFFIXES):
        return "video"
    return "photo" if seen or suffix in keys.PHOTO_SUFFIXES | _TO_UNPACK else "not_media"


def may_hold_media(info: ObjectInfo, store: MediaStore) -> bool:
    """Whether a run would have a photo or video to take or to refuse in an upload.

    Reads the file's first bytes only where its name says nothing. Raises `Unreadable`.
    """
    if keys.ignored_by_name(info.key) or not keys.lies_where_uploads_do(info.key):
        return False
    if kind_of("", info.key) != "not_media":
        return True
    return bool(info.size) and media_kind(store.head(info.key, HEAD_BYTES)) is not None


def unreadable(key: str, error: Exception) -> RefusedFile:
    """The refusal of an upload that is there and cannot be read; the listing is public."""
    reason = may_not(error) if isinstance(error, OSError) else error
    log.warning("%s is left out: %s", key, reason)
    return RefusedFile(
        source_key=key,
        reason="unreadable",
        detail="The file could not be read where it is stored; give okla access to it, or upload "
        "it again.",
    )


def ignored_files(by_rule: Mapping[IgnoredRule, Sequence[str]]) -> tuple[IgnoredFiles, ...]:
    """Names of files by the rule that passes over them, counted."""
    return tuple(
        IgnoredFiles(
            rule=rule,
            count=len(by_rule[rule]),
            examples=tuple(sorted(by_rule[rule], key=keys.natural_order)[: keys.MOST_NAMED]),
        )
        for rule in sorted(by_rule)
    )


def joined_groups(groups: Iterable[IgnoredFiles]) -> tuple[IgnoredFiles, ...]:
    """Groups of several places, one a rule."""
    joined: dict[IgnoredRule, IgnoredFiles] = {}
    for group in groups:
        known = joined.get(group.rule)
        joined[group.rule] = (
            group
            if known is None
            else IgnoredFiles(
                rule=group.rule,
                count=known.count + group.count,
                examples=(*known.examples, *group.examples)[: keys.MOST_NAMED],
            )
        )
    return tuple(joined[rule] for rule in sorted(joined))


def read_sources(vehicle: keys.VehicleId, store: MediaStore) -> Sources:
    """Where the vehicle's uploads came from, as far as it was written down."""
    key = keys.source_record(vehicle)
    if store.stat(key) is None:
        return Sources()
    try:
        return Sources.model_validate_json(store.get(key))
    except ValidationError:
        log.warning("%s is no record of okla's; it counts as none", key)
        return Sources()
