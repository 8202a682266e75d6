"""Finished files for a browser on this machine: what the links in Dagster's UI open.

A read-only server on loopback beside Dagster, over the media folder or bucket. It shows `SERVED`
alone, so nothing of raw/ or private/, which show plates; no link leads out of those folders.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from socket import socket
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from okla_assets import keys
from resources.errors import BadInput, BrokenSetup, Unreadable
from resources.storage.links import SERVED
from resources.storage.media_store import LocalMediaStore, MediaStore, Replaced
from resources.storage.odd_entries import BadKey, check_key
from resources.storage.parts import OutsideFile, Part, asked_part, pieces
from resources.storage.s3_store import CONTENT_TYPES

HOST = "127.0.0.1"
MOST_LISTED = 2000
"""Names on the page of one folder."""
_BROWSER_LEFT = (BrokenPipeError, ConnectionAbortedError, ConnectionResetError)
"""What is raised of its connection; of a bucket's, plain ConnectionError."""


class Files(BaseHTTPRequestHandler):
    """Answers GET and HEAD of keys below SERVED; a key that ends in '/' is a folder's page."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "okla-files", ""
    begun = False
    """Whether the head of the answer has gone."""

    def __init__(self, store: MediaStore, *arguments: Any) -> None:
        self.store = store
        super().__init__(*arguments)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.begun = False
        # A page of another site, whose name was pointed at this machine, may not read it.
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in (HOST, "localhost"):
            self._refuse(HTTPStatus.FORBIDDEN, f"ask for http://{HOST}")
            return
        key = unquote(urlsplit(self.path).path).removeprefix("/")
        try:
            if not key:
                self._page("files", [name for name in SERVED if name == "processed/"])
            elif not f"{key}/".startswith(SERVED):
                self._refuse(HTTPStatus.NOT_FOUND, "only finished files are shown here")
            elif key.endswith("/"):
                self._folder(key)
            else:
                self._file(key)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, BadKey):
            self._refuse(HTTPStatus.NOT_FOUND, f"there is no {key}; the vehicle's run writes it")
        except Unreadable as error:
            self._refuse(HTTPStatus.FORBIDDEN, str(error))
        except Replaced:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, f"{key} is being written; ask again")
        except (BrokenSetup, ConnectionError) as error:
            if isinstance(error, _BROWSER_LEFT):
                raise
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    def _folder(self, key: str) -> None:
        self._check_inside(key)
        names = [f"{name}/" for name in self.store.folders(key)]
        if key.count("/") > 1:  # in processed/ itself lie folders only, and many of them
            for info in self.store.list(key):
                if "/" not in (name := info.key.removeprefix(key)):
                    names.append(name)
        if not names:
            raise FileNotFoundError(key)
        self._page(key, names)

    def _page(self, title: str, names: list[str]) -> None:
        links = "\n".join(
            f'<li><a href="{escape(quote(name))}">{escape(name)}</a></li>'
            for name in names[:MOST_LISTED]
        )
        more = f"<p>and {len(names) - MOST_LISTED} more</p>" if len(names) > MOST_LISTED else ""
        page = (
            f'<!doctype html><meta charset="utf-8"><title>{escape(title)}</title>'
            f"<h1>{escape(title)}</h1><ul>{links}</ul>{more}"
        )
        self._head(HTTPStatus.OK, len(body := page.encode()), "text/html; charset=utf-8")
        if self.command == "GET":
            self.wfile.write(body)

    def _file(self, key: str) -> None:
        self._check_inside(key)
        info = self.store.stat(key)
        if info is None:
            raise FileNotFoundError(key)
        kind = CONTENT_TYPES.get(keys.suffix_of(key), "application/octet-stream")
        try:
            asked = asked_part(self.headers.get("Range", ""), info.size)
        except OutsideFile:
            status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            self._head(status, 0, kind, f"bytes */{info.size}")
            return
        part = asked or Part(0, info.size, info.size)
        rest = pieces(self.store, info, part)
        # The first piece before the head: from then on nothing can be told.
        first = b"" if self.command == "HEAD" else next(rest, b"")
        if asked is None:
            self._head(HTTPStatus.OK, part.count, kind)
        else:
            self._head(HTTPStatus.PARTIAL_CONTENT, part.count, kind, part.content_range)
        if self.command == "GET":
            for piece in chain([first], rest):
                self.wfile.write(piece)

    def _check_inside(self, key: str) -> None:
        """Raises FileNotFoundError for a link that leads out of what is served."""
        if isinstance(self.store, LocalMediaStore):
            check_key(key.rstrip("/"))
            top = self.store.folder.resolve()
            real = top.joinpath(*key.rstrip("/").split("/")).resolve()
            if not any(real.is_relative_to((top / served).resolve()) for served in SERVED):
                raise FileNotFoundError(key)

    def _head(self, status: HTTPStatus, length: int, kind: str, content_range: str = "") -> None:
        self.begun = True
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Tells why there is no answer; one that has begun can only be broken off."""
        if self.begun:
            self.close_connection = True
            return
        body = sentence.encode(errors="replace")
        self._head(status, len(body), "text/plain; charset=utf-8")
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: a person who looks at pictures is no news."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """A browser that leaves early is no error; anything else is told."""
        if not isinstance(sys.exc_info()[1], _BROWSER_LEFT):
            super().handle_error(request, client_address)


@contextmanager
def serving(store: MediaStore, port: int | None, usual: int) -> Iterator[str]:
    """The server's address while the context lasts.

    On `port`; where that is None on the `usual` one, or if that is taken on any that is free.
    Raises BadInput where `port` is taken.
    """
    handler = partial(Files, store)
    try:
        server = _Server((HOST, usual if port is None else port), handler)
    except (OSError, OverflowError):
        if port is not None:
            raise BadInput(
                f"port {port} of {HOST} is taken; choose another by --files-port"
            ) from None
        server = _Server((HOST, 0), handler)
    with server:
        # It looks 20 times a second whether it is to end: who stops it waits for that.
        threading.Thread(
            target=server.serve_forever, args=(0.05,), name="files", daemon=True
        ).start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
