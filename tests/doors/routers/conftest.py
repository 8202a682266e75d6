"""A door whose jobs are cut out beside the test."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from okla_assets.doors.door import Door
from okla_assets.doors.server import make_app
from resources.storage.media_store import LocalMediaStore
from tests.doors.conftest import Serve
from tests.doors.cutting import Cutting, working


@pytest.fixture
def cutting(store: LocalMediaStore) -> Iterator[Cutting]:
    with ExitStack() as stack:
        cutting = Cutting(store)
        stack.enter_context(working(cutting))
        yield cutting


@pytest.fixture
def url(door: Door, serve: Serve) -> str:
    return serve(make_app(door))
