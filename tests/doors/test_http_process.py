"""`okla serve` answers in a process of its own, which may end without ending the rest."""

from pathlib import Path

import psutil
import pytest

from okla_assets.doors import http_process
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.doors.load import Ask, asked, new_key, serving
from tests.doors.web import gives, web
from tests.running import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_the_process_that_answers_is_started_again(tmp_path: Path) -> None:
    lane_waits = tmp_path / "wait"
    lane_waits.touch()
    key = new_key(LocalMediaStore(root=str(tmp_path / "media")))
    with (
        web() as sender,
        serving(
            tmp_path / "media",
            tmp_path / "log",
            OKLA_TEST_LANE_WAITS=str(lane_waits),
            OKLA_TEST_LANE_ANSWERS="1",
            OKLA_FETCH_HOSTS=sender.host,
            OKLA_FETCH_PRIVATE="1",
        ) as served,
    ):
        sender.answers["/car.jpg"] = gives(pictures.jpeg(pictures.car()))
        body = {"vehicleId": "CAR", "imageUrl": f"{sender.url}/car.jpg"}
        ask = Ask("POST", "/api/ai-process/classify-image", body, key)
        assert asked(served.address, ask)[0] == 202

        def told() -> str:
            return served.get("/metrics")[1].decode()

        wait_for(lambda: 'okla_jobs{state="running"} 1.0' in told(), 60)
        before = processes(served.process.pid)
        before[0].kill()
        assert asked(served.address, ask)[0] == 202  # it waits for the next process
        wait_for(lambda: 'okla_jobs{state="running"} 1.0' in told(), 60)
        assert processes(served.process.pid) != before
        lane_waits.unlink()
        wait_for(lambda: not sum_of_jobs(told()), 60)
        every = psutil.Process(served.process.pid).children(recursive=True)
        served.process.terminate()
        assert served.process.wait(30) == 0, served.log.read_text()
        wait_for(lambda: not any(one.is_running() for one in every), 10)
    log = served.log.read_text()
    assert log.count("it is started again") == 1, log
    assert "Traceback" not in log


def processes(serve: int) -> list[psutil.Process]:
    """Those that answer HTTP."""
    return [one for one in psutil.Process(serve).children() if http_process.MODULE in one.cmdline()]


def sum_of_jobs(metrics: str) -> float:
    """Jobs that have not ended."""
    lines = [line for line in metrics.splitlines() if line.startswith("okla_jobs{")]
    assert len(lines) == 3
    return sum(float(line.rpartition(" ")[2]) for line in lines)
