"""Calls to addresses that strangers name: photos and videos fetched, callbacks posted.

Each request goes to an address that `addresses.py` has allowed, never through a proxy, and is over
at its deadline, however slowly the other side sends. Redirects are followed here, one by one, and
each is checked as the first URL was.
"""

import hashlib
import http.client
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import IO, NoReturn, Self
from urllib.parse import quote, urljoin

from okla_assets.doors.fetching.addresses import (
    UNRESERVED,
    AddressRules,
    CannotFetch,
    IPAddress,
    Target,
)
from resources.errors import BrokenSetup, system_sentence
from resources.settings import Settings

CHUNK = 1 << 18
MOST_REDIRECTS = 5
PAUSES = (0.5, 2.0)
"""Seconds before a download that failed is tried again."""
CONNECT_SECONDS = 5.0
IDLE_SECONDS = 15.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
RETRIED = frozenset({408, 425, 429, *range(500, 600)})


@dataclass(frozen=True)
class Fetched:
    """A file that was fetched, as long as the context lasts that it was fetched in."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class Fetcher:
    """Fetches and posts within limits: bytes and seconds of a photo and of a video, in all."""

    rules: AddressRules = field(default_factory=AddressRules)
    photo_bytes: int = 50 * 2**20
    video_bytes: int = 500 * 2**20
    photo_seconds: float = 60.0
    video_seconds: float = 600.0
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    """Which certificates are good; by default those of the system, or of SSL_CERT_FILE."""

    @classmethod
    def of(cls, chosen: Settings) -> Self:
        """One by the rules of OKLA_FETCH_HOSTS and OKLA_FETCH_PRIVATE. Raises BrokenSetup."""
        return cls(AddressRules.of(chosen))

    @contextmanager
    def file(self, url: str, video: bool = False) -> Iterator[Fetched]:
        """What lies at a URL, as a file on this machine while the context lasts.

        A download that fails in a way that may pass is tried three times within its time.
        Raises `CannotFetch`.
        """
        largest = self.video_bytes if video else self.photo_bytes
        seconds = self.video_seconds if video else self.photo_seconds
        deadline = time.monotonic() + seconds
        with tempfile.NamedTemporaryFile(prefix="okla-fetch-") as out:
            for pause in (*PAUSES, None):
                try:
                    digest, size = self._follow(url, out, largest, deadline)
                    break
                except CannotFetch as error:
                    late = pause is None or time.monotonic() + pause > deadline
                    if late or not error.again or error.code != "download_failed":
                        raise
                    time.sleep(pause or 0)
                    out.seek(0)
                    out.truncate()
            out.flush()
            if size == 0:
                raise CannotFetch("empty_file", "the URL leads to an empty file")
            yield Fetched(Path(out.name), digest, size)

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], seconds: float = 20.0
    ) -> tuple[int, str]:
        """Posts a body and returns the answer's status and its Retry-After; redirects are answers.

        Raises `CannotFetch` where there is no answer.
        """
        target = self.rules.check(url)
        with self._asked("POST", target, time.monotonic() + seconds, headers, body) as response:
            return response.status, response.getheader("Retry-After", "")

    def _follow(self, url: str, out: IO[bytes], largest: int, deadline: float) -> tuple[str, int]:
        headers = {"Accept": "image/*, video/*, */*;q=0.1", "Accept-Encoding": "identity"}
        target = self.rules.check(url)
        for _ in range(MOST_REDIRECTS + 1):
            with self._asked("GET", target, deadline, headers) as response:
                location = response.getheader("Location")
                if response.status not in _REDIRECTS or not location:
                    return _received(response, target, out, largest)
            # Bytes beyond ASCII came as Latin-1, whatever they mean.
            location = quote(location, safe=UNRESERVED + "#", encoding="latin-1", errors="replace")
            target = self.rules.check(_joined(target.url, location))
        raise CannotFetch(
            "download_failed", f"the URL leads on more than {MOST_REDIRECTS} times; give the last"
        )

    @contextmanager
    def _asked(
        self,
        method: str,
        target: Target,
        deadline: float,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer to one request; all errors of the network in it become `CannotFetch`."""
        connection = _Pinned(target, self.rules.addresses(target), self.trust, deadline)
        try:
            connection.request(method, target.path, body, {**headers, "User-Agent": _agent()})
            with connection.getresponse() as response:
                yield response
            if time.monotonic() >= deadline:  # cut off by us, not ended by them
                _too_slow(target)
        except ssl.SSLCertVerificationError as error:
            raise CannotFetch(
                "download_failed",
                f"the certificate of {target.host} is not good: {error.verify_message}",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() >= deadline:
                _too_slow(target)
            raise CannotFetch(
                "download_failed", f"{target.host} did not answer as a web server does", again=True
            ) from error
        finally:
            connection.end()


@cache
def _agent() -> str:
    return f"okla-media/{version('okla-media')}"


class _Pinned(http.client.HTTPConnection):
    """A connection to one of the addresses that were checked, in the name of the target's host.

    Whatever goes on when the deadline comes, name resolution excepted, ends then.
    """

    def __init__(
        self,
        target: Target,
        addresses: Sequence[IPAddress],
        trust: ssl.SSLContext,
        deadline: float,
    ) -> None:
        super().__init__(target.host, target.port)
        self.default_port = 443 if target.scheme == "https" else 80
        self.target, self.addresses, self.trust, self.deadline = target, addresses, trust, deadline
        self.copy: socket.socket | None = None
        self.watch: threading.Timer | None = None

    def connect(self) -> None:
        """Connects, and agrees on a cipher where the scheme asks for one. Raises OSError."""
        plain = self._connected()
        try:
            self._cut_off_at_the_deadline(plain)
            plain.settimeout(IDLE_SECONDS)
            self.sock = (
                self.trust.wrap_socket(plain, server_hostname=self.target.host)
                if self.target.scheme == "https"
                else plain
            )
        except BaseException:
            plain.close()
            raise

    def end(self) -> None:
        """Closes the connection, and waits no more for its deadline."""
        self.close()
        if self.watch is not None and self.copy is not None:
            self.watch.cancel()
            self.watch.join()
            self.copy.close()

    def _connected(self) -> socket.socket:
        failed: OSError = TimeoutError("the time was over")
        for address in self.addresses:
            left = self.deadline - time.monotonic()
            if left <= 0:
                break
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            plain = socket.socket(family, socket.SOCK_STREAM)
            plain.settimeout(min(CONNECT_SECONDS, left))
            try:
                plain.connect((str(address), self.target.port))
            except OSError as error:
                plain.close()
                failed = error
            else:
                return plain
        raise failed

    def _cut_off_at_the_deadline(self, plain: socket.socket) -> None:
        # A timeout of the socket begins anew with each byte. The copy stays ours while a cipher is
        # being agreed on, and shutting it down ends whatever waits for the connection.
        self.copy = plain.dup()
        left = max(0.0, self.deadline - time.monotonic())
        self.watch = threading.Timer(left, _shut, (self.copy,))
        self.watch.daemon = True
        self.watch.start()


def _shut(copy: socket.socket) -> None:
    with suppress(OSError):  # the other side was quicker
        copy.shutdown(socket.SHUT_RDWR)


def _received(
    response: http.client.HTTPResponse, target: Target, out: IO[bytes], largest: int
) -> tuple[str, int]:
    """Writes the body to a file, a piece at a time; its SHA-256 and size. Raises `CannotFetch`."""
    if response.status != HTTPStatus.OK:
        raise CannotFetch(
            "download_failed",
            f"{target.host} answered {response.status}",
            again=response.status in RETRIED,
        )
    if response.getheader("Content-Encoding", "identity").lower() != "identity":
        raise CannotFetch(
            "download_failed", f"{target.host} sends the file compressed, which nobody asked for"
        )
    told = response.length
    too_large = CannotFetch(
        "file_too_large", f"the file is larger than {largest >> 20} MB; give a smaller one"
    )
    if told is not None and told > largest:
        raise too_large
    digest, size = hashlib.sha256(), 0
    while piece := response.read1(CHUNK):
        size += len(piece)
        if size > largest:
            raise too_large
        digest.update(piece)
        try:
            out.write(piece)
        except OSError as error:  # ours, not the network's
            raise BrokenSetup(system_sentence(error)) from error
    if told is not None and size < told:
        raise http.client.IncompleteRead(b"", told - size)
    return digest.hexdigest(), size


def _joined(base: str, location: str) -> str:
    try:
        return urljoin(base, location)
    except ValueError:
        raise CannotFetch("invalid_url", "the URL leads to what is no web address") from None


def _too_slow(target: Target) -> NoReturn:
    raise CannotFetch("download_failed", f"{target.host} took too long; try again later")
