"""A whole door in this process: callers with keys, the dispatcher, intake, and the real steps on
fake models, of photos that a real decoder has read."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from okla_assets import keys
from okla_assets.definitions import build_definitions, runner_of
from okla_assets.doors.callers import records as caller_records
from okla_assets.doors.callers.stored import StoredCallers
from okla_assets.doors.door import Door
from okla_assets.doors.fetching.addresses import AddressRules, HostRule
from okla_assets.doors.fetching.fetch import Fetcher
from okla_assets.doors.jobs import intake
from okla_assets.doors.jobs.dispatcher import Dispatcher
from okla_assets.doors.jobs.record import Jobs
from okla_assets.doors.jobs.requests import Operation
from okla_assets.doors.jobs.results import Problem
from okla_assets.doors.jobs.work import Ended, Unit, Worker
from okla_assets.doors.links import Links
from okla_assets.doors.server import make_app
from okla_assets.doors.telling import outbox
from resources.decoding.photo_decoder import PhotoDecoder
from resources.settings import Settings
from resources.storage.media_store import LocalMediaStore
from tests.doors.conftest import answering
from tests.doors.cutting import Cutting
from tests.doors.places import Client
from tests.fakes import FakeSegmenter, Quiet, fake_models
from tests.instances import forgetful_instance


@dataclass(frozen=True)
class Whole:
    """The door, and its callers: two that know nothing of each other, one that sees all, and one
    who may ask twice a minute. Who has no key is `nobody`."""

    door: Door
    url: str
    ann: Client
    bob: Client
    boss: Client
    hasty: Client

    @property
    def nobody(self) -> Client:
        return Client(self.url, "")

    def jobs(self) -> set[str]:
        """Ids of all jobs that were ever accepted."""
        lists = self.door.store.list(keys.jobs_of_all_callers())
        return {info.key.rpartition("_")[2] for info in lists}


Make = Callable[[Unit], Ended]


@dataclass
class InProcess:
    """Makes units one after the other, in a thread."""

    make: Make
    pool: ThreadPoolExecutor
    busy: int = field(default=0, init=False)

    def takes(self, quick: bool) -> bool:
        return self.busy == 0

    def start(self, unit: Unit, done: Callable[[], object]) -> "Future[Ended]":
        self.busy += 1
        future = self.pool.submit(self.make, unit)
        future.add_done_callback(lambda _: done())
        return future

    def ended(self, unit: Unit) -> None:
        self.busy -= 1

    def stop(self, unit: Unit) -> None:
        return


@contextmanager
def whole(folder: Path, quick: bool = False) -> Iterator[Whole]:
    """The door while the context lasts. No URL is fetched, and no name server asked. A `quick` one
    makes cut-outs alone, without Dagster."""
    store = LocalMediaStore(root=str(folder))
    made = [
        caller_records.create(store, name, scopes, requests_a_minute=a_minute)
        for name, scopes, a_minute in (
            ("ann", ["jobs", "vehicles"], None),
            ("bob", ["jobs", "vehicles"], None),
            ("boss", ["jobs", "vehicles", "admin"], None),
            ("hasty", ["jobs", "vehicles"], 2),
        )
    ]
    nowhere = Fetcher(AddressRules((HostRule("nowhere.example"),), every=False))
    with ExitStack() as stack:
        instance = stack.enter_context(forgetful_instance())
        jobs, stop = Jobs(store), threading.Event()
        pool = stack.enter_context(ThreadPoolExecutor(1))
        workers = InProcess(_cut(store) if quick else _worker(store, instance).make, pool)
        dispatcher = Dispatcher(
            jobs,
            workers,
            lambda job: intake.take(job, store, nowhere),
            lambda job: outbox.post(store, job),
        )
        door = Door(
            store,
            jobs,
            StoredCallers(store, Settings()),
            Links(store, b"a secret of this test"),
            woken=dispatcher.wake,
            check_url=AddressRules().check,
            instance=lambda: instance,
        )
        leader = threading.Thread(target=dispatcher.run, args=(stop,))
        leader.start()
        stack.callback(leader.join, 30)
        stack.callback(dispatcher.wake)
        stack.callback(stop.set)
        url = stack.enter_context(answering(make_app(door)))
        yield Whole(door, url, *(Client(url, key) for key in made))


def _worker(store: LocalMediaStore, instance: dg.DagsterInstance) -> Worker:
    models = fake_models() | {"store": store, "progress": Quiet(), "decoder": PhotoDecoder()}
    runner = runner_of(build_definitions("local", **models))
    return Worker(runner, store, instance, FakeSegmenter())


def _cut(store: LocalMediaStore) -> Make:
    cutting = Cutting(store)

    def make(unit: Unit) -> Ended:
        if unit.operation is Operation.cut_out:
            return Ended(results={job.id: cutting.result(job) for job in unit.jobs})
        problem = Problem(code="processing_failed", detail="only cut-outs are made here")
        return Ended(problems={job.id: problem for job in unit.jobs})

    return make
