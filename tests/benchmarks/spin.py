"""A spin of 36 frames out of a 30 s 1080p walk-around, step by step.

    python -m tests.benchmarks.spin VIDEO_OF_A_TURN [--seconds 30] [--frames 36]

The video is slowed down to `--seconds` and enlarged to 1920x1080 at 30 frames a second, H.264, as a
phone would write it; then all assets run on the local profile. Prints for each step wall and CPU
seconds, the peak memory of this process and of the largest child, and the spin's steadiness: how
far the vehicle's box leaves the mean of its neighbours' on the finished frames.

CPU seconds count all threads and the reading process: divided by the cores they are what an idle
machine needs at best, and they are what to compare where the machine is shared.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from okla_assets import keys
from okla_assets.cli.process import run_vehicle
from okla_assets.runtime.processes import MALLOC
from okla_assets.tables import Masks, SpinFrames, WalkaroundFrames
from resources.storage.media_store import LocalMediaStore

WIDTH, HEIGHT, RATE = 1920, 1080, 30
VEHICLE = keys.parse_vehicle_id("benchmark")


class Clock:
    """Progress that notes when each step begins, in wall and CPU seconds."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, float, float]] = []

    def step(self, title: str, total: int) -> None:
        """Notes the step."""
        self.steps.append((title, time.perf_counter(), cpu()))

    def advance(self, what: str) -> None:
        """Says nothing."""

    def table(self) -> Iterator[tuple[str, float, float]]:
        """Title, wall and CPU seconds of each step up to the next one's beginning."""
        ends = [*self.steps[1:], ("", time.perf_counter(), cpu())]
        for (title, wall, used), (_, later, then) in zip(self.steps, ends, strict=True):
            yield title, later - wall, then - used


def cpu() -> float:
    """CPU seconds of this process and its ended children."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def slowed_down(source: Path, target: Path, seconds: float) -> None:
    """The source's pictures over `seconds`, each as long as any other, with a hand that shakes."""
    with av.open(str(source)) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    rng = np.random.default_rng(4)
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        count = round(seconds * RATE)
        for i in range(count):
            picture = pictures[i * len(pictures) // count]
            scale = HEIGHT / picture.shape[0]
            shift = rng.normal(0, 4, 2)
            left = (WIDTH - picture.shape[1] * scale) / 2
            matrix = np.array([[scale, 0, left + shift[0]], [0, scale, shift[1]]])
            large = cv2.warpAffine(
                picture, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE
            )
            frame = av.VideoFrame.from_ndarray(np.asarray(large, np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def steadiness(store: LocalMediaStore) -> tuple[float, float]:
    """Most that middle and ground leave their neighbours' mean, in % of width and of height.

    Measured on the mattes as they went onto the canvas.
    """
    from okla_assets.imaging.photo import codec
    from okla_assets.imaging.studio import studio
    from okla_assets.imaging.studio.placement import extent
    from okla_assets.imaging.turn import spin

    def table(name: str) -> bytes:
        return store.get(keys.table(VEHICLE, name))

    made = SpinFrames.model_validate_json(table("spin_frames"))
    masks = {m.number: m for m in Masks.model_validate_json(table("masks")).frames}
    alphas = [
        studio.as_alpha(codec.decode_gray(store.get(masks[f.source].matte_key or "")))
        for f in made.frames
    ]
    aspect = made.width / made.height
    canvas = spin.steady(
        [spin.stand_of(a) for a in alphas],
        [f.azimuth_deg for f in made.frames],
        1280,
        aspect,
    )
    boxes = []
    for alpha, move in zip(alphas, canvas.moves, strict=True):
        moved = spin.moved_to(alpha, move, canvas.width, canvas.height, cv2.INTER_LINEAR)
        box = extent(np.asarray(moved, np.float32))
        boxes.append(((box.x0 + box.x1) / 2, box.y1))
    places = np.array(boxes)
    off = np.abs(places - (np.roll(places, 1, axis=0) + np.roll(places, -1, axis=0)) / 2)
    return 100 * float(off[:, 0].max()) / made.width, 100 * float(off[:, 1].max()) / made.height


@contextmanager
def media_folder() -> Iterator[LocalMediaStore]:
    """An empty store that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        yield LocalMediaStore(root=folder)


def main() -> None:
    """Runs the benchmark and prints its tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("video", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--frames", type=int, default=36)
    chosen = parser.parse_args()
    with media_folder() as store, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "walk.mp4"
        slowed_down(chosen.video, path, chosen.seconds)
        store.put_file(keys.raw_videos(VEHICLE) + path.name, path)
        store.put(keys.options(VEHICLE), f'{{"spin_frames": {chosen.frames}}}'.encode())
        clock = Clock()
        began, used = time.perf_counter(), cpu()
        listing, error = run_vehicle(VEHICLE, store, "local", clock)
        wall, used = time.perf_counter() - began, cpu() - used
        if listing is None or listing.spin is None:
            raise SystemExit(error or (listing and listing.spin_reason))
        print(f"{'step':32} {'wall s':>8} {'CPU s':>8}")
        for title, step_wall, step_cpu in clock.table():
            print(f"{title:32} {step_wall:8.1f} {step_cpu:8.1f}")
        print(f"{'all':32} {wall:8.1f} {used:8.1f}")
        frames = WalkaroundFrames.model_validate_json(
            store.get(keys.table(VEHICLE, "walkaround_frames"))
        )
        print(f"{len(frames.frames)} frames taken, {len(listing.spin.frames)} in the spin")
        peaks = [
            resource.getrusage(who).ru_maxrss / 1024
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        ]
        print(f"peak memory: this process {peaks[0]:.0f} MB, largest child {peaks[1]:.0f} MB")
        across, down = steadiness(store)
        print(f"off the trend at most: middle {across:.2f} % of the width, ground {down:.2f} %")


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in MALLOC.items()):
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.benchmarks.spin", *sys.argv[1:]],
            os.environ | MALLOC,
        )
    main()
