"""The gpu profile on one machine: its networks alone, and whole photos from file to finished JPEG.

    python -m tests.benchmarks.gpu --pack nets             # once, where the catalogue's weights are
    python -m tests.benchmarks.gpu --nets nets --out $OUT  # on the machine with the GPU
    python -m tests.benchmarks.gpu --nets nets --tiny      # a rehearsal on a CPU

The networks have the profile's architectures and RANDOM weights, written here or packed as bare
graphs (`--pack`), so that no weights have to travel: how long they take is measured, never how well
they do. What they answer is thrown away, and the truth about our rendered sample car put in its
place, so that what comes after a network has a real car to work on.

`job` runs whole vehicles through Dagster, as `okla process` does without the promo video, several
processes at once. `pipeline` runs whole photos by the functions that the assets call: decoding,
working copy, detector, SAM 2 and the saliency net, views, plates found and masked, exposure, studio
scene, shadow, the search of the finished picture, JPEG. Every worker process holds the networks;
every photo is one thread's; calls for a network gather for 5 ms and run as one batch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import queue
import subprocess
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Box, Quad, Rgb

if TYPE_CHECKING:
    from okla_assets.imaging.plates import RawDetection
    from resources.models.plates_onnx import FusedPlates, PlateNetwork

PACKED = ("plate_fast", "platedet", "ppocr_rec", "u2net", "yolov8s")
GATHER_SECONDS = 0.005
SIZE = (1600, 1200)


# --- networks with random weights -----------------------------------------------------------------


def pack(folder: Path) -> None:
    """The catalogue's ONNX graphs without their weights: some kilobytes each."""
    import zipfile

    import onnx

    from resources.weights import weight_path

    folder.mkdir(parents=True, exist_ok=True)
    for name in PACKED:
        model = onnx.load(str(weight_path(name)))
        for tensor in model.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            if array.dtype.kind == "f" and array.size > 64:
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros_like(array), tensor.name))
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr(f"{name}.onnx", model.SerializeToString())


def unpack(packed: Path, folder: Path) -> None:
    """The graphs with small random weights in them."""
    import io
    import zipfile

    import onnx

    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name in PACKED:
        with zipfile.ZipFile(packed / f"{name}.zip") as bundle:
            model = onnx.load(io.BytesIO(bundle.read(f"{name}.onnx")))
        for tensor in model.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            if array.dtype.kind == "f" and array.size > 64:
                spread = (2.0 / max(1, array[0].size)) ** 0.5 if array.ndim > 1 else 0.01
                noise = rng.standard_normal(array.shape, np.float32) * spread
                noise = np.abs(noise) + 0.5 if ".running_var" in tensor.name else noise
                made = onnx.numpy_helper.from_array(noise.astype(array.dtype), tensor.name)
                tensor.CopyFrom(made)
        onnx.save(model, str(folder / f"{name}.onnx"))


def make_networks(packed: Path, folder: Path, tiny: bool) -> str:
    """Writes every network; returns what the detector's weights are called."""
    from tests.networks import SAM2_LARGE, SAM2_SMALLEST, write_clip, write_sam2

    unpack(packed, folder)
    write_sam2(folder / "sam2", SAM2_SMALLEST if tiny else SAM2_LARGE)
    write_clip(folder / "clip", large=not tiny)
    with contextlib.suppress(ImportError):
        from resources.models.yolo_ultralytics import QUIET

        os.environ.update(QUIET)
        from ultralytics import YOLO

        name = "yolo11n" if tiny else "yolo11x"
        YOLO(f"{name}.yaml", task="detect").save(str(folder / f"{name}.pt"))
        return f"{name}.pt"
    return "yolov8s.onnx"


def _let_torchvision_import() -> None:
    from tests.torch_here import let_torchvision_import

    let_torchvision_import()


@dataclass(frozen=True)
class Setup:
    """What every process needs to know."""

    folder: Path
    detector: str
    batch: int
    compiled: bool
    device: str


def models_of(setup: Setup) -> dict[str, Any]:
    """The profile's models on the written networks."""
    from resources.models.clip_views import ClipViews
    from resources.models.plates_onnx import FusedPlates, PlatedetOnnx, PlateFastOnnx
    from resources.models.ppocr_onnx import PpOcrReader
    from resources.models.sam2_torch import Sam2Torch
    from resources.models.u2net_onnx import U2NetOnnx
    from resources.models.yolo_ultralytics import YoloUltralytics

    def onnx(kind: Any, name: str) -> Any:
        return kind(weights=str(setup.folder / f"{name}.onnx"), runs_on="auto")

    common: dict[str, Any] = {"compiled": setup.compiled, "device": setup.device}
    detector = str(setup.folder / setup.detector)
    sam2 = Sam2Torch(weights=str(setup.folder / "sam2"), batch=setup.batch, **common)
    return {
        "sam2": sam2,
        "detector": YoloUltralytics(weights=detector, batch=setup.batch, **common),
        "views": ClipViews(weights=str(setup.folder / "clip"), batch=setup.batch, **common),
        "saliency": onnx(U2NetOnnx, "u2net"),
        "plates": FusedPlates(
            outlines=onnx(PlatedetOnnx, "platedet"), boxes=onnx(PlateFastOnnx, "plate_fast")
        ),
        "reader": onnx(PpOcrReader, "ppocr_rec"),
    }


# --- the pictures, and the truth about them -------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """One photo of the sample car at 1600x1200, as its seller would upload it, and its truth."""

    jpeg: bytes
    box: Box
    alpha: npt.NDArray[np.float32]
    quads: tuple[Quad, ...]


def scenes() -> list[Scene]:
    """The sample's whole-car photos, enlarged where they are smaller."""
    import cv2

    from okla_assets.imaging.photo import codec
    from okla_assets.sample import FOLDER, MEDIA
    from okla_assets.sample.truth import truth

    made = []
    for row in truth().photos:
        if row.matte is None:
            continue
        photo = codec.decode_trusted((MEDIA / row.file).read_bytes())
        across, down = SIZE[0] / photo.shape[1], SIZE[1] / photo.shape[0]
        grey = codec.decode_gray((FOLDER / row.matte).read_bytes())
        alpha = np.asarray(cv2.resize(grey, SIZE), np.float32) / np.float32(255)
        rows, columns = np.nonzero(alpha > 0.5)
        left, top = float(columns.min()), float(rows.min())
        box = (left, top, float(columns.max()) - left + 1, float(rows.max()) - top + 1)
        quads = [[(x * across, y * down) for x, y in plate.quad] for plate in row.plates]
        large = np.asarray(cv2.resize(photo, SIZE, interpolation=cv2.INTER_CUBIC), np.uint8)
        made.append(
            Scene(codec.encode_jpeg(large, 92), box, alpha, tuple(tuple(q) for q in quads))  # type: ignore[misc]
        )
    return made


# --- stages ---------------------------------------------------------------------------------------


class Clock:
    """Wall and CPU seconds of each stage, summed over threads; and seconds spent in networks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.wall: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts what happens inside, in this thread."""
        wall, cpu = time.perf_counter(), time.thread_time()
        yield
        wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        with self._lock:
            self.wall[name] += wall
            self.cpu[name] += cpu

    def clear(self) -> None:
        """Forgets the warm-up."""
        with self._lock:
            self.wall.clear()
            self.cpu.clear()


class Gather:
    """Calls from many threads, run as batches by one."""

    def __init__(self, run: Callable[[Sequence[Any]], Sequence[Any]], most: int) -> None:
        self._run, self._most = run, most
        self._waiting: queue.SimpleQueue[tuple[Any, Future[Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, daemon=True).start()

    def __call__(self, item: Any) -> Any:
        """The result for one item, computed together with others'."""
        future: Future[Any] = Future()
        self._waiting.put((item, future))
        return future.result()

    def _serve(self) -> None:
        while True:
            batch = [self._waiting.get()]
            until = time.perf_counter() + GATHER_SECONDS
            while len(batch) < self._most:
                try:
                    batch.append(self._waiting.get(timeout=max(0, until - time.perf_counter())))
                except queue.Empty:
                    break
            try:
                results = self._run([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 - handed to those who wait
                for _, future in batch:
                    future.set_exception(error)
                continue
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)


class Pipeline:
    """One photo from file to finished JPEG, by the functions the assets call."""

    def __init__(self, setup: Setup, clock: Clock) -> None:
        models = models_of(setup)
        sam2, detector, views = models["sam2"], models["detector"], models["views"]
        self._clock, self._saliency = clock, models["saliency"]
        self._plates, self._reader = models["plates"], models["reader"]

        def timed(name: str, run: Callable[[Sequence[Any]], Sequence[Any]]) -> Gather:
            def counted(items: Sequence[Any]) -> Sequence[Any]:
                with clock.stage(f"({name})"):
                    return run(items)

            return Gather(counted, setup.batch)

        self._detect = timed("detector", detector.detect)
        self._logits = timed(
            "sam2", lambda items: sam2.logits([c.pixels for c in items], [c.box for c in items])
        )
        self._view = timed(
            "views", lambda items: views.classify([p for p, _ in items], [b for _, b in items])
        )

    def finish(self, scene: Scene) -> int:
        """Bytes of the finished photo."""
        from okla_assets.imaging.photo import codec, enhance, quality, set_colour
        from okla_assets.imaging.photo.decode import DecodeLimits, decode
        from okla_assets.imaging.studio import studio
        from okla_assets.imaging.studio.camera import view_of
        from okla_assets.imaging.studio.placement import extent, place
        from okla_assets.imaging.studio.shadow import Casting
        from okla_assets.imaging.studio.studio import Look
        from okla_assets.imaging.studio.white_studio import WHITE_STUDIO
        from okla_assets.steps.pictures import WORKING_QUALITY, WORKING_SIDE
        from okla_assets.steps.plate_leaks import SearchRegion, find_leaks
        from okla_assets.steps.plate_masking import Masking, masked_copy
        from okla_assets.steps.plate_search import Finders
        from resources.models.fused_matte import crop_of

        stage = self._clock.stage
        with stage("decode"):
            photo = decode(scene.jpeg, DecodeLimits(), WORKING_SIDE).rgb
        with stage("working copy"):
            quality.perceptual_hash(photo)
            work = codec.encode_jpeg(photo, WORKING_QUALITY, subsampling444=True)
            photo = codec.decode_trusted(work)
        with stage("detector, waiting included"):
            self._detect(photo)
        with stage("sam2, waiting included"):
            crop = crop_of(photo, scene.box)
            self._logits(crop)
        with stage("saliency net"):
            self._saliency.saliency(crop.pixels)
        with stage("matte"):
            cut = true_matte(crop, scene.alpha)
            stored = codec.encode_png((cut.alpha * 255).round().astype(np.uint8))
        with stage("views, waiting included"):
            self._view((photo, scene.box))
        with stage("quality"):
            quality.quality(photo, SIZE[0], SIZE[1], scene.box)
        with stage("plate nets"):
            look_for_plates(self._plates, photo, scene.box)
        with stage("plates masked"):
            copy = masked_copy(work, photo, scene.quads, Masking("fill"))
            photo = codec.decode_trusted(copy)
        with stage("enhance"):
            alpha = studio.as_alpha(codec.decode_gray(stored))
            (correction,) = set_colour.solve([set_colour.measure(photo, alpha)])
            photo = enhance.corrected(photo, correction, enhance.window_of(alpha))
        with stage("studio"):
            look = Look(WHITE_STUDIO, Casting())
            placement = place(extent(alpha), SIZE[0], 4 / 3)
            picture = studio.compose(photo, alpha, placement, view_of(alpha, None), look)
        with stage("leak search"):
            look_for_plates(self._plates, picture, scene.box)
            shown = SearchRegion(scene.quads, [scene.box])
            find_leaks([picture], [shown], Finders(_NoPlates(), _NoPlates()), self._reader)
        with stage("encode"):
            codec.encode_png(codec.resize((cut.alpha * 255).astype(np.uint8), *SIZE))
            codec.encode_jpeg(codec.fit_within(picture, 400), 82)
            return len(codec.encode_jpeg(picture, 90))


def look_for_plates(networks: FusedPlates, photo: Rgb, box: Box) -> None:
    """As `FusedPlates.detect` looks where there is a plate in doubt: both networks on the photo,
    one again on the vehicle, one on the enlarged places."""
    from okla_assets.imaging import plates
    from okla_assets.imaging.matte import cutout

    x0, y0, x1, y1 = cutout.crop_box(box, photo.shape[1], photo.shape[0])
    vehicle = np.ascontiguousarray(photo[y0:y1, x0:x1])
    places = [(x0 + 40.0 * i, y0 + 30.0 * i, 120.0, 40.0) for i in range(4)]
    enlarged, _ = plates.tiles(photo, places, 640)
    for network, picture in (
        (networks.outlines, photo),
        (networks.boxes, photo),
        (networks.boxes, vehicle),
        (networks.outlines, enlarged),
    ):
        ask_for_plates(network, picture)


def ask_for_plates(network: PlateNetwork, picture: Rgb) -> list[RawDetection]:
    """The network on the picture; nothing that random weights see is made a box of."""
    return network.model_copy(update={"min_score": 2.0}).raw_detections(picture, 0)


def true_matte(crop: Any, alpha: npt.NDArray[np.float32]) -> Any:
    """The matte the profile's own code makes of true answers of both networks."""
    import cv2

    from resources.models.base import Subject
    from resources.models.fused_matte import fused

    true = crop.of_photo(alpha)
    logits = np.asarray(20 * true - 10, np.float32)
    small = cv2.resize(logits, (256, 256), interpolation=cv2.INTER_AREA)
    subject = Subject((crop.left, crop.top, *true.shape[::-1]))
    return fused(
        crop, np.asarray(cv2.resize(small, true.shape[::-1]), np.float32), true, subject, None
    )


class _NoPlates:
    """The networks have been asked already."""

    def detect(
        self, photos: Sequence[Rgb], vehicles: Sequence[Sequence[Box]], known: Any = ()
    ) -> list[list[Any]]:
        return [[] for _ in photos]

    def fingerprint(self) -> str:
        return "none"

    def models(self) -> tuple[Any, ...]:
        return ()


class Assets:
    """The job's own models, which ask the networks and answer with the truth."""

    def __init__(self, setup: Setup, pictures: Sequence[Scene]) -> None:
        from okla_assets.imaging.photo import codec

        self._models, self.batch = models_of(setup), setup.batch
        self._scenes = [(_sign(codec.decode_trusted(scene.jpeg)), scene) for scene in pictures]

    def resources(self) -> dict[str, Any]:
        """By the keys that the assets ask for."""
        return {
            "detector": self,
            "segmenter": self,
            "views": self,
            "plate_detector": _AssetPlates(self),
            "quick_plate_detector": _AssetPlates(self),
            "plate_reader": self._models["reader"],
            "face_detector": self,  # not asked: networks of random weights see faces everywhere
        }

    def scene_of(self, photo: Rgb) -> Scene | None:
        """The scene a photo shows; None for a finished picture."""
        sign = _sign(photo)
        distance, scene = min(
            ((float(np.abs(sign - known).mean()), scene) for known, scene in self._scenes),
            key=lambda pair: pair[0],
        )
        return scene if distance < 3 else None

    def detect(self, photos: Sequence[Rgb]) -> list[list[Any]]:
        """The true box, after the network has looked."""
        from resources.models.base import Detection

        self._models["detector"].detect(photos)
        scenes_ = [self.scene_of(photo) for photo in photos]
        return [[Detection(scene.box, 0.9)] if scene else [] for scene in scenes_]

    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Any]) -> list[Any]:
        """The true matte, by the profile's own code."""
        from resources.models.fused_matte import crop_of
        from resources.models.onnx import usable_cores

        crops = [crop_of(p, s.box) for p, s in zip(photos, subjects, strict=True)]
        self._models["sam2"].logits([c.pixels for c in crops], [c.box for c in crops])

        def one(pair: tuple[Rgb, Any]) -> Any:
            photo, crop = pair
            self._models["saliency"].saliency(crop.pixels)
            scene = self.scene_of(photo)
            assert scene is not None
            return true_matte(crop, scene.alpha)

        with ThreadPoolExecutor(min(len(crops), usable_cores())) as pool:
            return list(pool.map(one, zip(photos, crops, strict=True)))

    def segment_turn(self, frames: Sequence[Rgb], boxes: Sequence[Box]) -> list[Any]:
        """The same: there is no video."""
        from resources.models.base import Subject

        return self.segment(frames, [Subject(box) for box in boxes])

    def classify(self, photos: Sequence[Rgb], boxes: Sequence[Box | None]) -> list[Any]:
        """An exterior, after the network has looked."""
        from resources.models.base import View

        self._models["views"].classify(photos, boxes)
        return [View("exterior", 0.97, "side", 0.9, "left", 90.0) for _ in photos]

    def plates(self, photo: Rgb, vehicles: Sequence[Box]) -> list[Any]:
        """The true plates of a photo, none of a finished picture."""
        from resources.models.base import PlateFound

        height, width = photo.shape[:2]
        look_for_plates(
            self._models["plates"], photo, vehicles[0] if vehicles else (0, 0, width, height)
        )
        scene, found = self.scene_of(photo), []
        for quad in scene.quads if scene else ():
            (left, top), (right, bottom) = np.min(quad, axis=0), np.max(quad, axis=0)
            box = (float(left), float(top), float(right - left), float(bottom - top))
            found.append(PlateFound(quad, box, 0.95, 0.9))
        return found

    def fingerprint(self) -> str:
        """Random weights."""
        return "benchmark"

    def models(self) -> tuple[Any, ...]:
        """None that a listing should name."""
        return ()


class _AssetPlates:
    def __init__(self, assets: Assets) -> None:
        self._assets, self.batch = assets, assets.batch
        self.fingerprint, self.models = assets.fingerprint, assets.models

    def detect(
        self, photos: Sequence[Rgb], vehicles: Sequence[Sequence[Box]], known: Any = ()
    ) -> list[list[Any]]:
        with ThreadPoolExecutor(min(len(photos), self.batch)) as pool:  # as FusedPlates
            return list(pool.map(self._assets.plates, photos, vehicles))


def _sign(photo: Rgb) -> npt.NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.resize(photo, (32, 24), interpolation=cv2.INTER_AREA), np.float32)


def serve_vehicles(setup: Setup, threads: int, tasks: Any, answers: Any) -> None:
    """A worker process: every task is a vehicle of all scenes, through the whole Dagster job."""
    import tempfile

    import dagster as dg

    from okla_assets import keys
    from resources.storage.media_store import LocalMediaStore
    from tests.fakes import VEHICLE, Pipeline as Job

    _let_torchvision_import()
    pictures = scenes()
    assets = Assets(setup, pictures)
    models = {
        **assets.resources(),
        "turn_segmenter": assets,
    }

    spent: dict[str, float] = defaultdict(float)

    def process() -> int:
        with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.ephemeral() as instance:
            store = LocalMediaStore(root=folder)
            store.put(keys.options(VEHICLE), b'{"promo": false, "blur_faces": false}')
            job = Job(store, instance, models)
            job.upload({f"{n:03d}.jpg": scene.jpeg for n, scene in enumerate(pictures)})
            done = job.run().listing
            for step, seconds in done.cost.seconds.items():
                spent[f"step {step}"] += seconds
            return sum(photo.treatment == "studio" for photo in done.photos)

    finished = process()
    spent.clear()
    answers.put(("ready", 0.0))
    while tasks.get() is not None:
        began = time.perf_counter()
        process()
        answers.put(("photo", time.perf_counter() - began))
    answers.put(("clock", {"wall": {"photos in the studio": finished, **spent}, "cpu": {}}))


def serve(setup: Setup, threads: int, tasks: Any, answers: Any) -> None:
    """A worker process: warms up, says so, and finishes scenes until told to stop."""
    import cv2
    import torch

    _let_torchvision_import()
    if setup.device != "cpu":
        torch.set_num_threads(1)
    cv2.setNumThreads(1)
    clock = Clock()
    pipeline, pictures = Pipeline(setup, clock), scenes()
    with ThreadPoolExecutor(threads) as pool:
        # One alone, so that networks load and graphs are captured once; then full batches.
        pipeline.finish(pictures[0])
        list(pool.map(pipeline.finish, [pictures[i % len(pictures)] for i in range(threads)]))
        clock.clear()
        answers.put(("ready", 0.0))

        def work() -> None:
            while (number := tasks.get()) is not None:
                began = time.perf_counter()
                pipeline.finish(pictures[number % len(pictures)])
                answers.put(("photo", time.perf_counter() - began))

        list(pool.map(lambda _: work(), range(threads)))
    answers.put(("clock", {"wall": dict(clock.wall), "cpu": dict(clock.cpu)}))


def job_speed(setup: Setup, workers: int, vehicles: int) -> dict[str, Any]:
    """Photos a second of whole vehicles through Dagster, one run at a time in each process."""
    found = pipeline_speed(setup, workers, 1, vehicles, serve_vehicles)
    each = len(scenes())
    stages = {name: told["wall"] * vehicles for name, told in found.pop("ms_a_photo").items()}
    del found["threads"]
    found["vehicles"] = found.pop("photos")
    found["studio_photos_a_vehicle"] = round(stages.pop("photos in the studio") / 1000 / workers, 1)
    found["ms_a_photo"] = {
        name: round(ms / vehicles / each, 1) for name, ms in sorted(stages.items()) if ms
    }
    found["photos_per_s"] = round(found["photos_per_s"] * each, 2)
    return found | {"photos_a_vehicle": each}


def pipeline_speed(
    setup: Setup, workers: int, threads: int, photos: int, target: Callable[..., None] = serve
) -> dict[str, Any]:
    """Photos a second of the whole path, how busy the GPU was, and where the time went."""
    context = multiprocessing.get_context("spawn")
    tasks, answers = context.Queue(), context.Queue()
    arguments = (setup, threads, tasks, answers)
    processes = [context.Process(target=target, args=arguments) for _ in range(workers)]
    for process in processes:
        process.start()
    try:
        return _measured(tasks, answers, processes, threads, photos)
    finally:
        for process in processes:
            process.join(3 if process.exitcode is None else 0)
            process.kill()


def _measured(
    tasks: Any, answers: Any, processes: Sequence[Any], threads: int, photos: int
) -> dict[str, Any]:
    workers = len(processes)
    began = time.perf_counter()
    for _ in processes:
        _expect(answers, processes, "ready")
    warm = time.perf_counter() - began
    with gpu_watched() as busy:
        began = time.perf_counter()
        for number in range(photos):
            tasks.put(number)
        seconds = sorted(_expect(answers, processes, "photo") for _ in range(photos))
        wall = time.perf_counter() - began
    for _ in range(workers * threads):
        tasks.put(None)
    clocks = [_expect(answers, processes, "clock") for _ in processes]
    found: dict[str, Any] = {
        "workers": workers,
        "threads": threads,
        "photos": photos,
        "wall_s": round(wall, 2),
        "photos_per_s": round(photos / wall, 2),
        "median_latency_s": round(seconds[photos // 2], 2),
        "warm_up_s": round(warm, 1),
        "gpu": busy(),
    }
    found["ms_a_photo"] = {
        stage: {
            kind: round(1000 * sum(c[kind].get(stage, 0.0) for c in clocks) / photos, 1)
            for kind in ("wall", "cpu")
        }
        for stage in clocks[0]["wall"]
    }
    return found


def _expect(answers: Any, processes: Sequence[Any], kind: str) -> Any:
    while True:
        try:
            got, value = answers.get(timeout=2)
        except queue.Empty:
            dead = [p for p in processes if p.exitcode not in (None, 0)]
            if dead:
                raise SystemExit(f"a worker died with {dead[0].exitcode}") from None
            continue
        assert got == kind, got
        return value


@contextlib.contextmanager
def gpu_watched() -> Iterator[Callable[[], dict[str, Any]]]:
    """How busy the GPU is meanwhile, by nvidia-smi ten times a second: the share of time in which
    any kernel ran. Nothing where there is no nvidia-smi."""
    command = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used,power.draw"]
    command += ["--format=csv,noheader,nounits", "-lms", "100"]
    try:
        watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        yield dict
        return
    text = ""
    try:
        yield lambda: _busy(text)
    finally:
        watch.terminate()
        text, _ = watch.communicate()


def _busy(text: str) -> dict[str, Any]:
    rows = [line.split(",") for line in text.splitlines() if line.count(",") == 2]
    if not rows:
        return {}
    busy = [float(row[0]) for row in rows]
    return {
        "busy_mean_percent": round(sum(busy) / len(busy), 1),
        "busy_median_percent": sorted(busy)[len(busy) // 2],
        "memory_mb": max(float(row[1]) for row in rows),
        "watts": max(float(row[2]) for row in rows),
        "samples": len(rows),
    }


# --- networks alone -------------------------------------------------------------------------------


def network_speed(
    name: str, setup: Setup, batch: int, seconds: float, pictures: Sequence[Scene]
) -> dict[str, Any]:
    """Pictures a second through one network, its own resizing and copying included, one thread."""
    from okla_assets.imaging.photo import codec
    from resources.models.fused_matte import crop_of

    model = models_of(setup)[name]
    photos = [codec.decode_trusted(s.jpeg) for s in pictures]
    boxes = [s.box for s in pictures]
    crops = [crop_of(p, b) for p, b in zip(photos, boxes, strict=True)]

    def some(items: Sequence[Any]) -> list[Any]:
        return [items[i % len(items)] for i in range(batch)]

    calls: dict[str, Callable[[], Any]] = {
        "detector": lambda: model.detect(some(photos)),
        "sam2": lambda: model.logits(some([c.pixels for c in crops]), some([c.box for c in crops])),
        "views": lambda: model.classify(some(photos), some(boxes)),
        "saliency": lambda: [model.saliency(c.pixels) for c in some(crops)],
        "plates": lambda: [
            ask_for_plates(net, p) for p in some(photos) for net in (model.outlines, model.boxes)
        ],
    }
    began = time.perf_counter()
    calls[name]()
    calls[name]()
    warm = time.perf_counter() - began
    began, rounds = time.perf_counter(), 0
    while time.perf_counter() - began < seconds or not rounds:
        calls[name]()
        rounds += 1
    rate = batch * rounds / (time.perf_counter() - began)
    return {
        "network": name,
        "batch": batch,
        "compiled": setup.compiled,
        "pictures_per_s": round(rate, 1),
        "first_two_calls_s": round(warm, 1),
    }


def encoder_speed(setup: Setup, batch: int, seconds: float) -> dict[str, Any]:
    """Pictures a second through SAM 2's encoder alone, by CUDA's own clock where there is one."""
    import torch

    from resources.models.sam2_torch import KINDS, _Sam2
    from resources.models.torch_models import checkpoint, resolve_device

    where = resolve_device(setup.device, "auto", setup.compiled)
    network = _Sam2(checkpoint(str(setup.folder / "sam2"), KINDS), where)
    pixels = torch.zeros(
        (batch, 3, 1024, 1024), dtype=getattr(torch, where.dtype), device=where.device
    )
    with torch.inference_mode():
        network._encoder(pixels)
        _wait(where.device)
        began, rounds = time.perf_counter(), 0
        while time.perf_counter() - began < seconds or not rounds:
            network._encoder(pixels)
            _wait(where.device)
            rounds += 1
        rate = batch * rounds / (time.perf_counter() - began)
    return {
        "network": "sam2 encoder alone",
        "batch": batch,
        "compiled": setup.compiled,
        "pictures_per_s": round(rate, 1),
    }


def _wait(device: str) -> None:
    import torch

    if device != "cpu":
        torch.cuda.synchronize()


def profile(setup: Setup, pictures: Sequence[Scene], out: Path) -> str:
    """The costliest operators of one batch through SAM 2, as a table in a file."""
    import torch

    activities = [torch.profiler.ProfilerActivity.CPU]
    if setup.device != "cpu":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as seen:
        network_speed("sam2", setup, setup.batch, 0.0, pictures)
    order = "self_cpu_time_total" if setup.device == "cpu" else "self_device_time_total"
    table = seen.key_averages().table(sort_by=order, row_limit=25, max_name_column_width=60)
    (out / "top_ops.txt").write_text(table)
    return "top_ops.txt"


# --- all of it ------------------------------------------------------------------------------------


def main() -> None:
    """Measures in order of worth, until the budget is spent; everything is on disk as it comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--nets", type=Path)
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--runs", default="4x6,8x4,1x16", help="processes x threads, ...")
    parser.add_argument("--jobs", default="8", help="processes that run whole vehicles, ...")
    parser.add_argument("--vehicles", type=int, default=0, help="default: three a process")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--budget", type=float, default=330.0)
    parser.add_argument("--parts", default="job,pipeline,networks,profile,compiled")
    given = parser.parse_args()
    if given.pack:
        pack(given.pack)
        return
    measure(given)


def measure(given: argparse.Namespace) -> None:
    """The measurements asked for."""
    import tempfile

    import torch

    _let_torchvision_import()
    began = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    given.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "torch": torch.__version__,
        "cores": len(os.sched_getaffinity(0)),
        "weights": "RANDOM, in the profile's architectures" + (", tiny" if given.tiny else ""),
    }

    def tell(part: str, value: Any) -> None:
        found.setdefault(part, []).append(value)
        (given.out / "gpu.json").write_text(json.dumps(found, indent=1))
        print(f"{time.perf_counter() - began:6.1f} s", part, json.dumps(value), flush=True)

    def left() -> float:
        return float(given.budget - (time.perf_counter() - began))

    def attempt(part: str, least: float, run: Callable[[], Any]) -> None:
        """One measurement; what fails is told and the others go on, for the machine is lent."""
        if left() < least:
            return
        try:
            value = run()
        except (Exception, SystemExit) as error:  # noqa: BLE001
            traceback.print_exc()
            value = {"failed": f"{type(error).__name__}: {error}"}
        tell(part, value)

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        setup = Setup(folder, "", given.batch, False, device)
        setup = replace(setup, detector=make_networks(given.nets, folder, given.tiny))
        tell("networks written", {**found, "detector": setup.detector})
        half, pictures = given.seconds / 2, scenes()
        if "job" in given.parts:
            for workers in [int(n) for n in given.jobs.split(",") if n]:
                attempt(
                    "job", 60, partial(job_speed, setup, workers, given.vehicles or 3 * workers)
                )
        if "pipeline" in given.parts:
            for run in given.runs.split(","):
                workers, threads = (int(n) for n in run.split("x"))
                attempt(
                    "pipeline", 60, partial(pipeline_speed, setup, workers, threads, given.photos)
                )
        if "networks" in given.parts:
            for batch in (8, 1, 16, 4, 32):
                one = replace(setup, batch=batch)
                attempt("encoder", 25, partial(encoder_speed, one, batch, half))
                for name in ("sam2", "detector", "views"):
                    attempt("network", 25, partial(network_speed, name, one, batch, half, pictures))
            for name in ("saliency", "plates"):
                attempt("network", 20, partial(network_speed, name, setup, 8, half, pictures))
        if "profile" in given.parts:
            attempt("profile", 15, partial(profile, setup, pictures, given.out))
        if "compiled" in given.parts:
            fast = replace(setup, compiled=True)
            for name in ("views", "detector", "sam2"):
                attempt(
                    "network", 45, partial(network_speed, name, fast, given.batch, half, pictures)
                )
            attempt("encoder", 5, partial(encoder_speed, fast, given.batch, half))
    print(f"{time.perf_counter() - began:.0f} s in all", file=sys.stderr)


if __name__ == "__main__":
    main()
