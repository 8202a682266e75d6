"""The ledger: every second once, money only where all of it is known."""

import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from okla_assets.cli import app
from okla_assets.cli.terminal import FAILED
from okla_assets.steps.costs import (
    Laps,
    Meter,
    Prices,
    as_metadata,
    cost_of,
    on_gpu,
    prices,
)


class OnGpu:
    device = "cuda:0"


class OnCpu:
    device = "cpu"


def test_only_models_on_a_gpu_are_counted() -> None:
    meter = Meter()
    with meter.at_work(OnCpu(), object()):
        time.sleep(0.01)
    assert meter.gpu == 0
    with meter.at_work(OnCpu(), OnGpu()):
        time.sleep(0.01)
    assert 0.01 <= meter.gpu < 1


@pytest.mark.parametrize("there", [True, False])
def test_a_model_that_looks_for_a_gpu_itself_is_on_one_where_torch_sees_one(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    torch = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: there))
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert on_gpu(SimpleNamespace(device="auto")) is there
    monkeypatch.delitem(sys.modules, "torch")
    assert not on_gpu(SimpleNamespace(device="auto"))


def test_time_that_ends_in_an_error_was_spent_too() -> None:
    meter = Meter()
    with pytest.raises(RuntimeError), meter.at_work(OnGpu()):
        time.sleep(0.01)
        raise RuntimeError
    assert meter.gpu >= 0.01


def test_seconds_that_threads_share_are_counted_once() -> None:
    began, laps, as_metadata = time.perf_counter(), Laps(), []

    def work() -> None:
        for _ in range(5):
            time.sleep(0.002)
            as_metadata.append(laps.lap())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.01 <= sum(as_metadata) <= time.perf_counter() - began


def test_seconds_add_up_by_step_and_by_device() -> None:
    cost = cost_of({"masks": 10.004, "composites": 5.0}, 4.0, Prices())
    assert cost.seconds == {"masks": 10.0, "composites": 5.0}
    assert cost.device_seconds == {"cpu": 11.0, "gpu": 4.0}
    assert cost.usd is None
    assert as_metadata(cost) == {"cpu_seconds_in_all": 11.0, "gpu_seconds_in_all": 4.0}


@pytest.mark.parametrize(
    ("cpu", "gpu", "usd"),
    [
        (Prices(0.36, None), 0.0, 0.001),  # no GPU was used: none needs a price
        (Prices(0.36, 3.6), 5.0, 0.0055),
        (Prices(3.6, 3.6), 5.0, 0.01),  # a machine with a GPU: the whole of its time
        (Prices(0.36, None), 5.0, None),
        (Prices(None, 3.6), 5.0, None),
        (Prices(None, None), 0.0, None),
        (Prices(0.0, None), 0.0, 0.0),
    ],
)
def test_money_needs_the_price_of_all_that_was_used(
    cpu: Prices, gpu: float, usd: float | None
) -> None:
    cost = cost_of({"masks": 10.0}, gpu, cpu)
    assert cost.usd == (None if usd is None else pytest.approx(usd))


def test_the_prices_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OKLA_PRICE_CPU_HOUR", raising=False)
    monkeypatch.setenv("OKLA_PRICE_GPU_HOUR", " 2.5 ")
    assert prices() == Prices(None, 2.5)


def test_the_command_says_so_before_it_does_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "car").mkdir()
    monkeypatch.setenv("OKLA_PRICE_CPU_HOUR", "cheap")
    monkeypatch.setattr(
        "sys.argv", ["okla", "process", str(tmp_path / "car"), "--out", str(tmp_path / "out")]
    )
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == FAILED
    assert "OKLA_PRICE_CPU_HOUR" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
