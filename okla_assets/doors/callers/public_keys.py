"""The public keys that tokens are checked with, as whoever gives tokens out tells them."""

import http.client
import logging
import threading
import time
from collections.abc import Mapping

import jwt

log = logging.getLogger("okla.doors")

FETCH_SECONDS = 5
GOOD_SECONDS = 300.0
"""How long keys are believed: one that was withdrawn works so long."""
RENEW_SECONDS = 150.0
"""From then on they are asked for ahead, so that no token waits for them when they are old."""
REFRESH_SECONDS = 30.0
"""From one fetch to the next for a key that is unknown: a new key may have to wait so long."""
FAILED_SECONDS = 5.0
"""From a fetch that failed to the next."""
WAITING_SECONDS = 1.0
"""How long a request waits for a fetch that another has begun."""


class KeysUnavailable(Exception):
    """The keys cannot be had now."""


class PublicKeys:
    """The keys of an address, by their names.

    Anybody can make up a token, and each token names its key. So one thread at a time fetches, and
    seldom; meanwhile tokens of known keys are checked, and none waits for an address that is down.
    """

    def __init__(self, url: str) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_SECONDS)
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._good_until = self._renew_at = self._next_fetch = 0.0
        self._failed = False
        self._fetching = threading.Lock()

    def find(self, name: str, fetch: bool) -> jwt.PyJWK | None:
        """The key of that name, None where there is none.

        Unless `fetch`, it is one of those known, or known before. Raises `KeysUnavailable`.
        """
        if self._known(name) is not None and time.monotonic() >= self._renew_at:
            self._fetch_if_due(0)  # one token does, and the others go on
        known_before = name in self._keys
        if (key := self._known(name)) is not None or not (fetch or known_before):
            return key
        if not self._fetch_if_due(0 if self._failed else WAITING_SECONDS):
            raise KeysUnavailable
        if (key := self._known(name)) is None and self._failed:
            raise KeysUnavailable
        return key

    def _fetch_if_due(self, wait: float) -> bool:
        """Fetches, unless that was done a moment ago; False where another thread is at it, and
        goes on for longer than `wait` seconds."""
        if not self._fetching.acquire(timeout=wait):
            return False
        try:
            if time.monotonic() >= self._next_fetch:
                self._fetch()
        finally:
            self._fetching.release()
        return True

    def _known(self, name: str) -> jwt.PyJWK | None:
        return self._keys.get(name) if time.monotonic() < self._good_until else None

    def _fetch(self) -> None:
        try:
            found = self._client.get_signing_keys(refresh=True)
        except (jwt.PyJWTError, http.client.HTTPException, OSError, ValueError) as error:
            log.error("the keys of tokens cannot be had: %s", error)
            self._failed, self._next_fetch = True, time.monotonic() + FAILED_SECONDS
            return
        now = time.monotonic()
        self._keys = {key.key_id: key for key in found if key.key_id is not None}
        self._failed, self._next_fetch = False, now + REFRESH_SECONDS
        self._good_until, self._renew_at = now + GOOD_SECONDS, now + RENEW_SECONDS
