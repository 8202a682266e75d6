"""`okla bench`: what it measures, on fake models, and what it prints of money."""

import json
import os
from pathlib import Path

import pytest

from okla_assets.cli import bench as work
from okla_assets.cli.bench import Gpu, Measured, parse_prices, summary
from resources.errors import BadInput, BrokenSetup
from tests import pictures
from tests.cli.conftest import Command
from tests.fakes import FakeDetector, Quiet

MEASURED = Measured(
    profile="gpu", photos=36, first=31.0, rounds=(11.0, 9.0, 10.0), steps={"masks": 4.0},
    devices={"cpu": 6.0, "gpu": 4.0}, peak_mb=2100, gpu=Gpu("NVIDIA H100", 0.43),
    cpu_seconds=17.5, threads=2, networks={"onnxruntime-float32": ["u2net", "yolov8s"]},
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos, a file that is none, and the vehicle's options."""
    path = tmp_path / "car"
    path.mkdir()
    for n in range(2):
        (path / f"{n}.jpg").write_bytes(pictures.jpeg(pictures.car(n)))
    (path / "broken.jpg").write_bytes(b"no picture")
    (path / "options.json").write_text('{"promo": false}')
    return path


@pytest.mark.slow
def test_every_round_makes_everything_anew(folder: Path, models: dict[str, object]) -> None:
    found = work.measure(folder, "local", 2, Quiet())
    detector = models["detector"]
    assert isinstance(detector, FakeDetector)
    assert detector.asked == 3 * 2  # the warm-up and two rounds
    assert (found.photos, len(found.rounds)) == (2, 2)
    assert found.steps["masks"] > 0
    assert found.steps["promo_video"] == 0  # the folder's own options
    assert sum(found.steps.values()) <= max(found.rounds)
    assert found.devices["gpu"] == 0
    assert found.peak_mb > 50
    assert found.cpu_seconds > 0
    assert found.threads >= 1
    assert found.warm_up == max(0, found.first - sum(found.rounds) / 2)


def test_the_command_prints_for_a_person_and_a_program(
    folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def measured(*args: object) -> Measured:
        asked.append(args[:3])
        return MEASURED

    monkeypatch.setattr(work, "measure", measured)
    result = command("bench", folder, "--price-hour", "3.6")
    assert result.code == 0
    for part in (
        "36 photos in",
        "17.5 a vehicle; 2 threads",
        "-float32: u2net, yolov8s",
        "masks",
        "at $3.6 an hour",
    ):
        assert part in result.out
    prices = "--price-hour", "3.6", "--vendor-price", "0.1"
    found = json.loads(command("bench", folder, "--rounds", "2", "--json", *prices).out)
    assert asked == [(folder, "local", 3), (folder, "local", 2)]
    assert found == json.loads(json.dumps(MEASURED.as_dict(3.6, (0.1,))))
    assert found["gpu"] == {"name": "NVIDIA H100", "busy": 0.43}
    assert found["times_cheaper"] == pytest.approx([360])


def test_what_goes_wrong_is_reported_by_step(
    folder: Path, models: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise BrokenSetup("the weights are missing")

    monkeypatch.setattr(FakeDetector, "detect", missing)
    with pytest.raises(BrokenSetup, match=r"masks: .*the weights are missing"):
        work.measure(folder, "local", 1, Quiet())


@pytest.mark.slow
def test_a_folder_without_a_usable_photo_is_refused(
    tmp_path: Path, models: dict[str, object]
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(BadInput, match="no photo that can be used"):
        work.measure(tmp_path, "local", 1, Quiet())


def test_money_is_that_of_the_median_round() -> None:
    assert MEASURED.seconds == 10
    assert MEASURED.warm_up == 21
    assert MEASURED.usd_a_photo(3.6) == pytest.approx(10 * 0.001 / 36)
    lines = summary(MEASURED, 3.6, (0.05, 0.20))
    assert "36 photos in 10.0 s, 3.60 photos/s" in lines[0]
    assert "21.0 s" in lines[1]
    assert lines[5] == "NVIDIA H100: busy 43% of the time"
    assert lines[6] == (
        "at $3.6 an hour: $0.00028 a photo; a vendor's $0.05 to $0.2 is 180 to 720 times as much"
    )
    assert MEASURED.as_dict(None, (0.1,)).keys().isdisjoint({"usd_a_photo", "price_hour"})
    assert MEASURED.as_dict(0.0, (0.1,))["times_cheaper"] is None


@pytest.mark.parametrize(
    ("text", "prices"), [("0.1", (0.1,)), ("0.05-0.20", (0.05, 0.2)), ("0.2-0.05", (0.05, 0.2))]
)
def test_a_vendors_price_is_one_or_a_range(text: str, prices: tuple[float, ...]) -> None:
    assert parse_prices(text) == prices


@pytest.mark.parametrize("text", ["", "free", "0", "-1", "0.1-0.2-0.3", "0-0.2"])
def test_what_is_not_a_price_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not a price"):
        parse_prices(text)


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ("echo 'NVIDIA H100 80GB HBM3, 40'", Gpu("NVIDIA H100 80GB HBM3", 0.4)),
        ("echo 'NVIDIA A100-SXM4-40GB MIG 1g.5gb, [N/A]'", None),
        ("echo no devices were found; exit 6", None),
    ],
)
def test_the_gpu_is_watched_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, seen: Gpu | None
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\n{script}\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with work._GpuWatch() as gpu:
        for _ in range(100):
            if gpu.seen is not None or not gpu._thread.is_alive():
                break
            gpu._over.wait(0.02)
    assert gpu.seen == seen
