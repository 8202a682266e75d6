"""Decodes uploaded photos with pixels, bytes, memory and seconds bounded.

Decoding happens in a worker process of our own (`worker_process` says why), which is killed when
its time is up and replaced on the next call. Workers are kept warm across runs of one process and
start on the first photo.
"""

import atexit
import logging
import os
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import dagster as dg

from okla_assets.imaging.photo.refusals import Refused
from resources.ahead import work_ahead
from resources.decoding.decode_worker import read_header, write_message
from resources.decoding.worker_process import Deadline, WorkerProcess, read_picture, refusal_in

if TYPE_CHECKING:
    from okla_assets.imaging.photo.decode import DecodedPhoto, DecodeLimits

K = TypeVar("K")

# By name, and imported by the worker alone: the decoder is the one part of okla_assets that this
# package needs, and the code server must not import cv2 for it.
DECODE_FUNCTION = "okla_assets.imaging.photo.decode:decode"
START_SECONDS = 60.0
AHEAD = 2  # photos in flight, and so at most in memory, in decode_all

log = logging.getLogger(__name__)


class PhotoDecoder(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Turns uploaded bytes into an upright sRGB photo, or refuses them with a reason.

    A file beyond `max_bytes`, `max_pixels`, `memory_mb` or `timeout_seconds` is refused. A worker
    that does not even start raises BrokenSetup.
    """

    max_bytes: int = 60_000_000
    max_pixels: int = 120_000_000
    timeout_seconds: float = 20.0
    memory_mb: int = 3072
    workers: int = 1

    def decode(self, data: bytes, working_side: int) -> "DecodedPhoto":
        """As `imaging.photo.decode`; raises Refused also with decode_timeout and decoder_crashed.

        May be called from several threads; beyond `workers` they wait for each other.
        """
        from okla_assets.imaging.photo.decode import DecodeLimits

        limits = DecodeLimits(max_bytes=self.max_bytes, max_pixels=self.max_pixels)
        if len(data) > limits.max_bytes or not data:
            # Refused by its length: not worth a copy to the worker.
            from okla_assets.imaging.photo.decode import decode

            return decode(data, limits, working_side)
        pool = _pool(self.workers, self.memory_mb)
        return pool.decode(data, limits, working_side, self.timeout_seconds)

    def decode_all(
        self, items: Iterable[tuple[K, Callable[[], bytes]]], working_side: int
    ) -> Generator[tuple[K, "DecodedPhoto | Refused"], None, None]:
        """Decodes in order and ahead, so that the next photo is ready while a model has this one.

        Each item is a key and a function that fetches the file; at most AHEAD are in flight. A
        refusal is returned instead of the photo; what fetching raises is raised.
        """

        def one(fetch: Callable[[], bytes]) -> "DecodedPhoto | Refused":
            try:
                return self.decode(fetch(), working_side)
            except Refused as refused:
                return refused

        ahead = work_ahead(items, lambda item: one(item[1]), AHEAD, AHEAD, "decode")
        with closing(ahead):
            for (key, _), photo in ahead:
                yield key, photo.result()


class _Worker(WorkerProcess):
    """One photo decoder process."""

    def __init__(self, function: str, memory_mb: int) -> None:
        super().__init__(
            "the photo decoder",
            "resources.decoding.decode_worker",
            (function, str(memory_mb)),
            START_SECONDS,
        )

    def decode(
        self, data: bytes, limits: "DecodeLimits", working_side: int, seconds: float
    ) -> "DecodedPhoto":
        """Raises Refused; where the process did not survive it, `process` has ended."""
        from okla_assets.imaging.photo.decode import DecodedPhoto
        from okla_assets.imaging.photo.panorama import LARGER

        request = {
            "bytes": len(data),
            "limits": vars(limits),
            "working_side": working_side,
            "seconds": seconds,
        }
        rgb = None
        with Deadline(self.process, seconds) as deadline:
            try:
                write_message(self.requests, request, data)
                answer = read_header(self.answers)
                if answer and "shape" in answer:
                    whole = LARGER if "equirectangular" in answer["notes"] else 1
                    rgb = read_picture(self.answers, answer["shape"], working_side * whole)
                    answer = answer if rgb is not None else None
            except BrokenPipeError:
                answer = None  # the process died before it had read everything
        if deadline.passed:
            self.stop()
            raise Refused(
                "decode_timeout",
                f"The picture could not be read within {seconds:g} seconds; "
                "save it again as JPEG and upload that.",
            )
        if answer is None:
            self.stop()
            log.warning("decoder ended with %s: %s", self.process.returncode, self.last_words)
            raise Refused(
                "decoder_crashed",
                "The program that reads pictures failed on this file; "
                "save it again as JPEG and upload that.",
            )
        if rgb is None:
            raise refusal_in(answer)
        return DecodedPhoto(
            rgb,
            answer["width"],
            answer["height"],
            answer["format"],
            tuple(answer["notes"]),
            answer["focal"],
        )


class _Pool:
    """At most `size` workers, started when needed and used by one thread at a time."""

    def __init__(self, function: str, size: int, memory_mb: int) -> None:
        self._function = function
        self._memory_mb = memory_mb
        self._free = threading.Semaphore(size)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    def decode(
        self, data: bytes, limits: "DecodeLimits", working_side: int, seconds: float
    ) -> "DecodedPhoto":
        with self._free:
            worker = self._take()
            usable = False
            try:
                photo = worker.decode(data, limits, working_side, seconds)
                usable = True
            except Refused:
                usable = worker.process.poll() is None
                raise
            finally:
                # Anything else, Ctrl-C included, has left half an answer in the pipe.
                with self._lock:
                    if usable:
                        self._idle.append(worker)
                    else:
                        self._all.discard(worker)
                if not usable:
                    worker.stop()
            return photo

    def _take(self) -> _Worker:
        """An idle worker or a new one; an idle one that the system has ended is dropped."""
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.process.poll() is None:
                    return worker
                self._all.discard(worker)
                worker.stop()
        worker = _Worker(self._function, self._memory_mb)
        with self._lock:
            self._all.add(worker)
        return worker

    def stop(self) -> None:
        with self._lock:
            workers, self._all, self._idle = self._all, set(), []
        for worker in workers:
            worker.stop()


_pools: dict[tuple[int, str, int, int], _Pool] = {}
_pools_lock = threading.Lock()


def _pool(size: int, memory_mb: int) -> _Pool:
    # The process id, because a forked child must not talk into its parent's pipes.
    key = (os.getpid(), DECODE_FUNCTION, size, memory_mb)
    with _pools_lock:
        if key not in _pools:
            _pools[key] = _Pool(DECODE_FUNCTION, size, memory_mb)
        return _pools[key]


@atexit.register
def stop_workers() -> None:
    """Ends the workers of this process; the next photo starts new ones."""
    with _pools_lock:
        mine = [key for key in _pools if key[0] == os.getpid()]
        pools = [_pools.pop(key) for key in mine]
    for pool in pools:
        pool.stop()
