"""Callbacks: the end of a job told to the address that its request names, until it is taken.

At least once, each time with the job's id, so that a receiver can leave out what it knows. What
came of an attempt is in the job's record before the outbox forgets it.
"""

import json
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import dagster as dg

from okla_assets import keys
from okla_assets.doors.fetching.addresses import CannotFetch
from okla_assets.doors.fetching.fetch import Fetcher
from okla_assets.doors.jobs.record import Delivery, Job, Jobs
from okla_assets.doors.jobs.requests import Operation
from okla_assets.doors.links import Links, file_address
from okla_assets.doors.okla.words import error_message
from okla_assets.doors.telling import outbox
from okla_assets.doors.telling.outbox import Entry
from okla_assets.doors.telling.signatures import DELIVERY, signed
from okla_assets.vehicle_runs import LISTING
from resources.errors import BrokenSetup
from resources.settings import Settings
from resources.storage.media_store import MediaStore

Outcome = Literal["delivered", "again", "dead"]

THREADS = 8
MOST_A_HOST = 4
"""At a time, so that a receiver that hangs holds up no other."""
POLL_SECONDS = 1.0
SHORTEST_PAUSE, LONGEST_PAUSE = 2.0, 3600.0
MOST_REFUSALS = 8
"""Attempts that are answered 4xx before it is given up: about ten minutes, enough to repair a
route."""
MOST_RECORDED = 50

log = logging.getLogger("okla.doors")


@dataclass
class CallbackSender:
    """Sends what is in the outbox, while `run` runs.

    `base` is the door's address, for links to what was made; `chosen` has the secrets, and the
    hours after which what was not taken is given up. `recorded` is called with the job after each
    attempt.
    """

    store: MediaStore
    jobs: Jobs
    links: Links
    base: str
    fetcher: Fetcher
    chosen: Settings
    recorded: Callable[[Job], object] = field(default=lambda job: None)
    _waiting: dict[str, tuple[str, Entry]] = field(default_factory=dict, init=False)
    _in_flight: dict[str, str] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _woken: threading.Event = field(default_factory=threading.Event, init=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What callbacks are signed with, the newest first."""
        given = self.chosen.callback_secrets.split(",")
        return tuple(filter(None, (one.strip() for one in given)))

    def run(self, stop: threading.Event) -> None:
        """Sends until it is stopped; attempts that are under way then are ended."""
        look_at = 0.0
        with ThreadPoolExecutor(THREADS, thread_name_prefix="callback") as pool:
            while not stop.is_set():
                self._woken.clear()
                began = time.monotonic()
                if began >= look_at:
                    try:
                        self._look()
                    except (OSError, BrokenSetup) as error:  # a store that does not answer
                        log.warning("the outbox is read again, for it could not be: %s", error)
                    # With many that wait, a look takes long: it has a tenth of the time.
                    look_at = began + max(POLL_SECONDS, 10 * (time.monotonic() - began))
                for entry in self._due():
                    pool.submit(self._attempt, entry)
                self._woken.wait(POLL_SECONDS)

    def _look(self) -> None:
        """Reads what is new in the outbox, and forgets what is gone."""
        seen = {info.key: info for info in outbox.listed(self.store, "http")}
        for key in self._waiting.keys() - seen.keys():
            del self._waiting[key]
        for key, info in seen.items():
            if key not in self._waiting or self._waiting[key][0] != info.etag:
                entry = outbox.read(self.store, info)
                if entry is not None:
                    self._waiting[key] = (info.etag, entry)

    def _due(self) -> Iterator[Entry]:
        """Entries that are to be sent now, the longest due first; they are under way then."""
        now = datetime.now(UTC)
        for key, (_, entry) in sorted(self._waiting.items(), key=lambda item: item[1][1].due):
            if entry.due > now:
                return
            with self._lock:
                hosts = Counter(self._in_flight.values())
                if len(self._in_flight) >= THREADS:
                    return
                if entry.job in self._in_flight or hosts[entry.host] >= MOST_A_HOST:
                    continue
                self._in_flight[entry.job] = entry.host
            del self._waiting[key]
            yield entry

    def _attempt(self, entry: Entry) -> None:
        try:
            self.send(entry.job_id)
        except Exception:  # it is in the outbox still
            log.exception("trouble with the callback of job %s", entry.job)
            time.sleep(POLL_SECONDS)
        finally:
            with self._lock:
                self._in_flight.pop(entry.job, None)
            self._woken.set()

    def send(self, job_id: keys.JobId) -> None:
        """One attempt and its record, if the job's callback is due and the job has ended."""
        store, job = self.store, self.jobs.find(job_id)
        entry = outbox.find(store, "http", job_id)
        if entry is None or entry.due > datetime.now(UTC) or (job and not job.has_ended):
            return
        url = None if job is None else job.request.callback
        if job is None or url is None or (job.delivery == "delivered" and not entry.again):
            outbox.remove(store, "http", job_id)
            return
        body = json.dumps(body_of(job, self.links, self.base), ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            DELIVERY: job.id,
            **signed(self.secrets, body),
        }
        began = datetime.now(UTC)
        status, wanted, problem, again = None, "", None, True
        try:
            status, wanted = self.fetcher.post(url, body, headers)
        except CannotFetch as error:
            problem, again = error.detail, error.again
        now = datetime.now(UTC)
        took = round((now - began).total_seconds() * 1000)
        attempts = entry.attempts + 1
        outcome = outcome_of(status, again, attempts)
        ends = entry.since + timedelta(hours=self.chosen.callback_hours)
        if outcome == "again" and now >= ends:
            outcome = "dead"
        said = problem or f"answered {status}"
        log.info("callback of job %s to %s: %s, %s", job.id, entry.host, said, outcome)
        entry = entry.model_copy(update={"attempts": attempts, "said": said})
        if outcome == "dead":
            outbox.put(store, "dead", entry)
        delivery = Delivery(at=began, status=status, problem=problem, took_ms=took)
        job = job.model_copy(
            update={
                "delivery": "pending" if outcome == "again" else outcome,
                "deliveries": (*job.deliveries, delivery)[-MOST_RECORDED:],
            }
        )
        self.jobs.keep_ended(job)
        if outcome == "again":
            due = now + timedelta(seconds=pause_after(attempts, wanted))
            outbox.put(store, "http", entry.model_copy(update={"due": min(due, ends)}))
        else:
            outbox.remove(store, "http", entry.job_id)
        if outcome == "delivered":
            outbox.remove(store, "dead", entry.job_id)
        self.recorded(job)


def shown_in_dagster(instance: dg.DagsterInstance) -> Callable[[Job], None]:
    """Has attempts stand among the events of the vehicle's listing, with what came of them."""

    def show(job: Job) -> None:
        attempt = job.deliveries[-1]
        instance.report_runless_asset_event(
            dg.AssetObservation(
                LISTING,
                partition=job.vehicle,
                description=f"callback of job {job.id}: {job.delivery}",
                metadata={
                    "job": job.id,
                    "delivery": job.delivery,
                    "attempts": len(job.deliveries),
                    "answer": attempt.problem or str(attempt.status),
                    "milliseconds": attempt.took_ms,
                },
            )
        )

    return show


def outcome_of(status: int | None, again: bool, attempts: int) -> Outcome:
    """What an attempt means; `again` tells, without an answer, whether there may be one later.

    410 is a receiver that wants no more. Another 4xx may be a route that is being repaired, for a
    while; a redirect is not followed, and counts as one. 408, 425, 429 and 5xx pass.
    """
    if status is None:
        return "again" if again else "dead"
    if 200 <= status < 300:
        return "delivered"
    if status == 410:
        return "dead"
    if status in (408, 425, 429) or status >= 500:
        return "again"
    return "again" if attempts < MOST_REFUSALS else "dead"


def pause_after(attempts: int, wanted: str = "") -> float:
    """Seconds until the next attempt: each time twice as many, up to an hour, less a random part of
    up to a half; at least as many as the receiver's Retry-After asks for."""
    pause = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2.0 ** min(attempts - 1, 20))
    pause *= random.uniform(0.5, 1.0)
    if wanted.isascii() and wanted.isdigit():
        pause = max(pause, min(LONGEST_PAUSE, float(wanted[:6])))
    return pause


def body_of(job: Job, links: Links, base: str) -> dict[str, Any]:
    """An ended job in the words of OKLA's backend, with links that expire."""

    named = file_address(links, base)

    def link(key: str | None) -> str | None:
        return None if key is None else named(key)

    return {
        "job_id": job.id,
        "success": job.has_succeeded,
        "processed_url": link(_processed(job)),
        "mask_url": link(_mask(job)),
        "processing_time_ms": job.milliseconds,
        "error_message": error_message(job),
        "metadata": job.request.metadata,
    }


def _processed(job: Job) -> str | None:
    """The first finished picture; of a 360° job the view's page."""
    if job.result is None:
        return None
    if job.request.operation is Operation.spin:
        return None if job.result.spin is None else job.result.spin.viewer_key
    return next((one.picture.key for one in job.result.photos if one.picture), None)


def _mask(job: Job) -> str | None:
    if job.result is None:
        return None
    return next((one.matte.key for one in job.result.photos if one.matte), None)
