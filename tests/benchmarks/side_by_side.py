"""Our local profile, rembg with the same u2net.onnx, and the script one would write in an evening.

    pip install rembg && python -m tests.benchmarks.side_by_side PHOTO... [--rounds 3]

Each candidate runs in a process of its own, warm, from file to finished JPEG on a white scene, in
turn and several times over, so that a machine that slows down slows all of them. Prints seconds and
CPU seconds a photo (medians over photos and rounds), peak memory and the ratios; for ours also the
share of the time that is not spent in the networks. Ours masks plates and searches what it has
finished for them, which the others do not.
"""

import argparse
import atexit
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from okla_assets.runtime.processes import MALLOC

CANDIDATES = ("ours", "rembg", "naive")
Finish = Callable[[bytes], bytes]


def ours() -> tuple[Finish, Callable[[], float]]:
    """The assets themselves for a vehicle of one photo: plates, the search of the finished picture
    and of the one before, previews for Dagster, all but Dagster's own records. And the seconds
    inside the networks."""
    import dagster as dg

    from okla_assets import keys
    from okla_assets.assets.classifications import classifications
    from okla_assets.assets.composites import composites
    from okla_assets.assets.license_plates import license_plates
    from okla_assets.assets.masks import masks
    from okla_assets.assets.raw_photos import take_in
    from okla_assets.tables import WalkaroundFrames
    from resources.models import onnx
    from resources.profiles import resources_for
    from resources.progress import Unwatched
    from resources.storage.media_store import LocalMediaStore

    spent = [0.0]

    class Timed:
        def __init__(self, session: Any) -> None:
            self._session = session

        def run(self, *args: Any) -> Any:
            began = time.perf_counter()
            result = self._session.run(*args)
            spent[0] += time.perf_counter() - began
            return result

        def __getattr__(self, name: str) -> Any:
            return getattr(self._session, name)

    plain = onnx._new_session
    onnx._new_session = lambda *a: Timed(plain(*a))
    home = tempfile.mkdtemp(prefix="okla-side-by-side-")
    atexit.register(shutil.rmtree, home)
    store = LocalMediaStore(root=home)
    models: dict[str, Any] = {
        **resources_for("local"),
        "store": store,
        "progress": Unwatched(),
    }
    without_video = WalkaroundFrames(
        source_key=None, source_sha256=None, direction=None, frames=(), refused=(), reason="none"
    )
    # One for all: a context without makes a database of its own, which is Dagster's, not ours.
    instance = dg.DagsterInstance.ephemeral()
    vehicles = (keys.VehicleId(f"photo-{number}") for number in itertools.count())

    def finish(data: bytes) -> bytes:
        vehicle = next(vehicles)
        store.put(f"{keys.raw_photos(vehicle)}photo.jpg", data)
        raw, _ = take_in(vehicle, store, models["decoder"], models["progress"])
        tables: dict[str, Any] = {"raw_photos": raw, "walkaround_frames": without_video}
        for asset in (masks, classifications, license_plates, composites):
            inputs = {name: tables[name] for name in asset.op.ins}
            inputs |= {name: models[name] for name in asset.required_resource_keys - {"io_manager"}}
            made: Any = asset(
                dg.build_asset_context(partition_key=vehicle, instance=instance), **inputs
            )
            tables[asset.key.to_user_string()] = made.value
        (row,) = tables["composites"].rows
        if row.treatment != "studio" or row.processed_key is None:
            raise SystemExit(f"{row.reason or row.withheld}: the benchmark needs whole exteriors")
        return store.get(row.processed_key)

    return finish, lambda: spent[0]


def with_rembg() -> tuple[Finish, Callable[[], float]]:
    """rembg as its README shows it, on the same weights."""
    from io import BytesIO

    from PIL import Image

    from resources.weights import weight_path

    home = weight_path("u2net").parent
    os.environ["U2NET_HOME"] = str(home)
    os.environ["MODEL_CHECKSUM_DISABLED"] = "1"
    import rembg

    session = rembg.new_session("u2net")

    def finish(data: bytes) -> bytes:
        photo = Image.open(BytesIO(data)).convert("RGB")
        cut = rembg.remove(photo, session=session)
        scene = Image.new("RGB", photo.size, "white")
        scene.paste(cut, mask=cut.getchannel("A"))
        out = BytesIO()
        scene.save(out, "JPEG", quality=90)
        return out.getvalue()

    return finish, lambda: 0.0


def naive() -> tuple[Finish, Callable[[], float]]:
    """Detector box, SAM 2 box mask, hard paste, blurred copy of the mask as shadow."""
    import cv2
    import numpy as np

    from resources.models.sam2_onnx import Sam2Onnx
    from resources.models.yolo_onnx import YoloOnnxDetector

    detector, sam2 = YoloOnnxDetector(), Sam2Onnx()

    def finish(data: bytes) -> bytes:
        bgr = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), 1), np.uint8)
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        (found,) = detector.detect([rgb])
        box = max(found, key=lambda d: d.box[2] * d.box[3]).box
        mask = sam2.logits(rgb, box) > 0
        scene = np.full(rgb.shape, 240, np.float32)
        shadow = cv2.GaussianBlur(np.roll(mask, 25, axis=0).astype(np.float32), (0, 0), 20)
        scene *= (1 - 0.5 * shadow)[..., None]
        scene[mask] = rgb[mask]
        finished = cv2.cvtColor(scene.astype(np.uint8), cv2.COLOR_RGB2BGR)
        return bytes(cv2.imencode(".jpg", finished, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])

    return finish, lambda: 0.0


MAKERS = {"ours": ours, "rembg": with_rembg, "naive": naive}


def serve(candidate: str) -> None:
    """The child: finishes each photo named on stdin, answers with JSON on stdout."""
    import resource

    finish, network_seconds = MAKERS[candidate]()
    for line in sys.stdin:
        data = Path(line.rstrip("\n")).read_bytes()
        network = network_seconds()
        began, cpu = time.perf_counter(), time.process_time()
        size = len(finish(data))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak *= 1 if sys.platform == "darwin" else 1024  # Linux counts in KB
        answer = {
            "seconds": seconds,
            "cpu": cpu,
            "network": network_seconds() - network,
            "bytes": size,
            "peak": peak,
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def measure(photos: list[str], rounds: int) -> dict[str, list[dict[str, float]]]:
    """Answers by candidate; the first photo of each is a warm-up and not counted."""
    children = {
        name: subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.side_by_side", "--serve", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | MALLOC,  # as okla runs; it helps all three
        )
        for name in CANDIDATES
    }

    def ask(name: str, photo: str) -> dict[str, float]:
        child = children[name]
        assert child.stdin and child.stdout
        child.stdin.write(photo + "\n")
        child.stdin.flush()
        line = child.stdout.readline()
        if not line:
            raise SystemExit(f"{name} failed on {photo}")
        answer: dict[str, float] = json.loads(line)
        return answer

    for name in CANDIDATES:
        ask(name, photos[0])
    answers: dict[str, list[dict[str, float]]] = {name: [] for name in CANDIDATES}
    for _ in range(rounds):
        for photo in photos:
            for name in CANDIDATES:
                answers[name].append(ask(name, photo))
    for child in children.values():
        child.communicate()
    return answers


def main() -> None:
    """Parent: measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", choices=CANDIDATES)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return
    answers = measure(arguments.photos, arguments.rounds)
    middle = {name: median(a["seconds"] for a in got) for name, got in answers.items()}
    cpu = {name: median(a["cpu"] for a in got) for name, got in answers.items()}
    print(f"{len(arguments.photos)} photos, {arguments.rounds} rounds, {os.cpu_count()} cores")
    for name, got in answers.items():
        seconds = sorted(a["seconds"] for a in got)
        peak = max(a["peak"] for a in got) / 1e6
        print(
            f"{name:6} median {middle[name]:.2f} s a photo ({seconds[0]:.2f} to {seconds[-1]:.2f}),"
            f" {cpu[name]:.2f} CPU s, peak {peak:.0f} MB,"
            f" {middle[name] / middle['rembg']:.2f} x rembg, CPU {cpu[name] / cpu['rembg']:.2f} x"
        )
    outside = median(1 - a["network"] / a["seconds"] for a in answers["ours"])
    print(f"ours: {outside:.0%} of the time is outside the networks")


if __name__ == "__main__":
    main()
