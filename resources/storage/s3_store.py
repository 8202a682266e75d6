"""Media in a bucket: AWS S3, DigitalOcean Spaces, MinIO and whatever else speaks S3.

Only the bucket's name and address are settings here; credentials come by AWS's ordinary chain.
"""

from __future__ import annotations

import hashlib
import io
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote

import dagster as dg

from okla_assets.keys import named_by_content
from resources.settings import settings
from resources.storage.links import SERVED, file_link
from resources.storage.media_store import ObjectInfo, Replaced
from resources.storage.odd_entries import OddEntries, check_key, odd_name, warn_once

T = TypeVar("T")

PART_BYTES = 8 * 1024 * 1024
"""Files up to this go in one request, larger ones in parts of it; aws-cli draws the same line."""
PARTS_AT_ONCE = 4
LONGEST_SUFFIX = 12
LONGEST_KEY = 1024
"""Bytes of a key with its prefix; longer ones S3 refuses, and does not say that there is none."""
DIGEST = "sha256"
"""Metadata of each object that is written here: the digest of its bytes."""

CONTENT_TYPES = {
    "avif": "image/avif",
    "css": "text/css; charset=utf-8",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "html": "text/html; charset=utf-8",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "m4v": "video/mp4",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "png": "image/png",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
}

CONSOLE = "https://s3.console.aws.amazon.com/s3/buckets"
PUBLIC = "processed/"
LINK_SECONDS = 7 * 24 * 3600
"""For which a signed address opens: the longest that S3 allows."""
NOT_CACHED = "private, no-store"
ASKED_EACH_TIME = "no-cache"
KEPT_FOR_EVER = "public, max-age=31536000, immutable"
CACHED_SHORTLY = "public, max-age=60, must-revalidate"
"""Other pictures are overwritten under names that stay; a browser asks again after a minute."""


class S3MediaStore(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A bucket, or the part of it under `prefix`.

    `endpoint_url` is empty for AWS. `public_url` is where a browser finds the bucket's root, say a
    CDN; empty means the bucket's own address.
    """

    bucket: str
    prefix: str = ""
    endpoint_url: str = ""
    public_url: str = ""
    max_attempts: int = 5

    @property
    def location(self) -> str:
        """Its address, for messages and `store_for`."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def list(
        self, prefix: str, after: str = "", odd: OddEntries | None = None
    ) -> Iterator[ObjectInfo]:
        if folder := prefix.rpartition("/")[0]:
            check_key(folder)
        start = {"StartAfter": self._full(after)} if after else {}
        for page in self._pages(prefix, **start):
            for found in page.get("Contents", ()):
                key = self._own(found["Key"])
                if key.endswith("/"):  # the marker of a folder that a console leaves
                    continue
                if (reason := odd_name(key)) is not None:
                    (odd or warn_once)(reason)
                else:
                    yield _info(key, found["Size"], found["ETag"], found["LastModified"])

    def folders(self, prefix: str) -> Iterator[str]:
        check_key(prefix.rstrip("/"))
        names = [
            self._own(found["Prefix"])[:-1].rpartition("/")[2]
            for page in self._pages(f"{prefix.rstrip('/')}/", Delimiter="/")
            for found in page.get("CommonPrefixes", ())
        ]
        # The bucket's order is that of "name/": there "a-b" comes before "a".
        yield from sorted(name for name in names if name and odd_name(name) is None)

    def get(self, key: str) -> bytes:
        return self._read(key, lambda body: bytes(body.read()))

    def head(self, key: str, count: int) -> bytes:
        from resources.storage.s3_client import EmptyRange

        try:
            return self._read(key, lambda body: bytes(body.read()), Range=f"bytes=0-{count - 1}")
        except EmptyRange:
            return b""

    def part(self, of: ObjectInfo, first: int, count: int) -> bytes:
        from resources.storage.s3_client import AlreadyThere

        asked = {"Range": f"bytes={first}-{first + count - 1}", "IfMatch": f'"{of.etag}"'}
        try:
            return self._read(of.key, lambda body: bytes(body.read()), **asked)
        except AlreadyThere:
            raise Replaced(of.key) from None

    @contextmanager
    def as_file(self, key: str) -> Iterator[Path]:
        """A copy of the object, deleted when the context ends."""
        with tempfile.TemporaryDirectory(prefix="okla-") as folder:
            # The ending helps whoever reads it; a key may have one that no file system takes.
            path = Path(folder, f"object{Path(key).suffix[:LONGEST_SUFFIX]}")

            def save(body: Any) -> None:
                with path.open("wb") as file:
                    shutil.copyfileobj(body, file, 1024 * 1024)

            self._read(key, save)
            yield path

    def put(
        self, key: str, data: bytes, content_type: str | None = None, *, durable: bool = False
    ) -> str:
        """Writes or replaces the object in one request, and so atomically; always durable."""
        return self._put(key, data, content_type, hashlib.sha256(data).hexdigest())

    def put_new(self, key: str, data: bytes, content_type: str | None = None) -> bool:
        """By a conditional write; of a store that knows no condition, by looking first."""
        from resources.storage.s3_client import AlreadyThere, NotOffered

        digest = hashlib.sha256(data).hexdigest()
        for _ in range(self.max_attempts):
            if self.stat(key) is not None:
                return False
            try:
                self._put(key, data, content_type, digest, IfNoneMatch="*")
            except AlreadyThere:  # or about to be, or about to go: S3 wants to be asked again
                continue
            except NotOffered:
                self._put(key, data, content_type, digest)
            return True
        raise ConnectionError(f"{key} is written and deleted by others all the time")

    def put_file(
        self, key: str, path: Path, content_type: str | None = None, *, durable: bool = False
    ) -> str:
        """The same from a file; a large one in parts, which appear together at the end."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            if size <= PART_BYTES:
                return self._put(key, file, content_type, digest)
            self._put_parts(key, file, content_type, digest)
        # Only the store knows the ETag of the parts. Where another writer has replaced them, the
        # result is an ETag that no object has, so that its bytes are not taken for these.
        info = self.stat(key)
        ours = info is not None and info.digest == f"{DIGEST}:{digest}"
        return info.etag if info is not None and ours else f"replaced-{digest}"

    def _put(
        self,
        key: str,
        body: bytes | IO[bytes],
        content_type: str | None,
        digest: str,
        **condition: str,
    ) -> str:
        where = self._where(key)
        with self._errors_named(key):
            answer = self._client().put_object(
                **where, Body=body, **_facts(key, content_type, digest), **condition
            )
        return str(answer["ETag"]).strip('"')

    def _put_parts(self, key: str, file: IO[bytes], content_type: str | None, digest: str) -> None:
        from boto3.s3.transfer import TransferConfig

        config = TransferConfig(
            multipart_threshold=PART_BYTES + 1,
            multipart_chunksize=PART_BYTES,
            max_concurrency=PARTS_AT_ONCE,
        )
        where = self._where(key)
        with self._errors_named(key):
            self._client().upload_fileobj(
                file, **where, ExtraArgs=_facts(key, content_type, digest), Config=config
            )

    def stat(self, key: str) -> ObjectInfo | None:
        try:
            where = self._there(key)
            with self._errors_named(key):
                found = self._client().head_object(**where)
        except FileNotFoundError:
            return None
        digest = found.get("Metadata", {}).get(DIGEST)
        return _info(
            key,
            found["ContentLength"],
            found["ETag"],
            found["LastModified"],
            f"{DIGEST}:{digest}" if digest else "",
        )

    def delete(self, key: str) -> None:
        """Removes the object; one that is already gone is no error."""
        where = self._where(key)
        try:
            with self._errors_named(key):
                self._client().delete_object(**where)
        except FileNotFoundError:  # AWS does not raise it, others do
            return

    def url(self, key: str) -> str:
        """A link under `public_url`; whether it opens depends on what the bucket shows whom.

        A bucket has no page for a folder: its owner gets AWS's console, elsewhere a bare list.
        """
        check_key(key.rstrip("/"))
        full = self._full(key)
        if not key.endswith("/"):
            return f"{self.public_url.rstrip('/') or self._address()}/{quote(full)}"
        if self.endpoint_url:
            return f"{self._address()}?list-type=2&prefix={quote(full, safe='')}"
        return f"{CONSOLE}/{self.bucket}?prefix={quote(full, safe='')}"

    def public_base(self) -> str | None:
        """By `public_url`; the bucket's own address opens for nobody unless somebody says so."""
        if not self.public_url:
            return None
        return f"{self.public_url.rstrip('/')}/{quote(self._full(''))}"

    def uri(self, key: str) -> str:
        check_key(key.rstrip("/"))
        return f"s3://{self.bucket}/{self._full(key)}"

    def link(self, key: str) -> str | None:
        """By `public_url`, where there is one and the file is public; else on the file server of
        `okla up`; else signed for LINK_SECONDS, which opens one file and no folder.
        """
        check_key(key.rstrip("/"))
        if not key.startswith(SERVED):
            return None
        if self.public_url and key.startswith(PUBLIC) and not key.endswith("/"):
            return self.url(key)
        if base := settings().files_url:
            return file_link(base, key)
        if key.endswith("/"):
            return self.url(key)
        signed = self._client().generate_presigned_url(
            "get_object", Params=self._where(key), ExpiresIn=LINK_SECONDS
        )
        return str(signed)

    def _address(self) -> str:
        endpoint = str(self._client().meta.endpoint_url)
        if (
            self.endpoint_url or "." in self.bucket
        ):  # no certificate covers a dot in the host's first part
            return f"{endpoint}/{self.bucket}"
        scheme, _, host = endpoint.partition("://")
        return f"{scheme}://{self.bucket}.{host}"

    def _client(self) -> Any:
        from resources.storage.s3_client import client_for

        return client_for(self.endpoint_url, self.max_attempts, self.location)

    @contextmanager
    def _errors_named(self, key: str) -> Iterator[None]:
        from resources.storage.s3_client import errors_named

        with errors_named(self.location, key):
            yield

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _own(self, full: str) -> str:
        return full.removeprefix(f"{self.prefix}/") if self.prefix else full

    def _where(self, key: str) -> dict[str, str]:
        check_key(key)
        return {"Bucket": self.bucket, "Key": self._full(key)}

    def _there(self, key: str) -> dict[str, str]:
        """The same of what is to be there. Raises FileNotFoundError for what no bucket can hold."""
        where = self._where(key)
        if len(where["Key"].encode()) > LONGEST_KEY:
            raise FileNotFoundError(f"{key[:80]}... is longer than any key")
        return where

    def _pages(self, prefix: str, **how: str) -> Iterator[Any]:
        request = {"Bucket": self.bucket, "Prefix": self._full(prefix), **how}
        pages = iter(self._client().get_paginator("list_objects_v2").paginate(**request))
        while True:
            with self._errors_named(prefix):
                page = next(pages, None)
            if page is None:
                return
            yield page

    def _read(self, key: str, take: Callable[[Any], T], **how: str) -> T:
        """`take(body)`, called again with a new body when a download breaks off."""
        from resources.storage.s3_client import BROKEN_STREAM, object_errors_named

        where = self._there(key)
        for attempt in range(1, self.max_attempts + 1):
            with (
                object_errors_named(self.location, key),
                closing(self._client().get_object(**where, **how)["Body"]) as body,
            ):
                try:
                    return take(body)
                except BROKEN_STREAM:
                    if attempt == self.max_attempts:
                        raise
            time.sleep(random.random() * min(2 ** (attempt - 1), 20))
        raise AssertionError("the last attempt returns or raises")


def _info(key: str, size: int, etag: str, modified: datetime, digest: str = "") -> ObjectInfo:
    etag = etag.strip('"')
    return ObjectInfo(
        key=key,
        size=size,
        etag=etag,
        # Some stores list fractions of a second, but no store heads them.
        modified=modified.astimezone(UTC).replace(microsecond=0),
        # The ETag of an object of many parts, or one encrypted by a key, is no MD5: the first has
        # a dash; the second matches nothing, which is safe.
        digest=digest or ("" if "-" in etag else f"md5:{etag}"),
    )


def _facts(key: str, content_type: str | None, digest: str) -> dict[str, Any]:
    suffix = Path(key).suffix[1:].lower()
    return {
        "ContentType": content_type or CONTENT_TYPES.get(suffix, "application/octet-stream"),
        "CacheControl": _cache_control(key, suffix),
        "Metadata": {DIGEST: digest},
    }


def _cache_control(key: str, suffix: str) -> str:
    if not key.startswith(PUBLIC):
        return NOT_CACHED
    if named_by_content(key):
        return KEPT_FOR_EVER
    # The page and the data name the pictures: they must never be older than those.
    return ASKED_EACH_TIME if suffix in ("json", "html", "js") else CACHED_SHORTLY
