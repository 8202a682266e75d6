"""Warm PyTorch models, shared by everything in the process, and how batches are fed to them.

Weights are read from folders that transformers opens, safetensors only. A model is cached by its
weights and device, as the ONNX sessions are. Nothing here downloads.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import pickle
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from resources import weights as catalogue
from resources.errors import BrokenSetup
from resources.models.base import ModelInfo
from resources.weights import PickleRefused, WeightsMissing

if TYPE_CHECKING:
    from types import ModuleType

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

INSTALL = "pip install 'okla-media[gpu]'"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

_models: dict[tuple[str, str, Device], Any] = {}
_loading = threading.Lock()


def need(module: str, install: str = INSTALL) -> ModuleType:
    """An optional module. Raises `BrokenSetup` with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise BrokenSetup(
            f"{error.name} is not installed; the model needs it: {install}"
        ) from error


# --- where a network runs -------------------------------------------------------------------------


@dataclass(frozen=True)
class Device:
    """Where a network runs, in which dtype, and whether torch.compile prepares it."""

    device: str
    dtype: str
    compiled: bool = False

    def __str__(self) -> str:
        # What a result depends on: a compiled network and an eager one give the same.
        return f"{self.device.partition(':')[0]}-{self.dtype}"


def resolve_device(device: str = "auto", dtype: str = "auto", compiled: bool = False) -> Device:
    """`auto` is CUDA where there is a GPU, and bfloat16 on it; float32 on a CPU.

    Raises `BrokenSetup` for a device or a number format that cannot be had.
    """
    torch = need("torch")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise BrokenSetup(f"there is no device {device!r}; write auto, cpu, cuda or cuda:NUMBER")
    if device != "cpu":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(device.partition(":")[2] or 0) >= count:
            raise BrokenSetup(
                f"device {device}: torch {torch.__version__} sees {count} GPUs. Install a CUDA "
                'build of torch and NVIDIA\'s driver, or set device = "cpu"'
            )
    if dtype == "auto":
        dtype = "float32" if device == "cpu" else "bfloat16"
    if dtype not in ("bfloat16", "float16", "float32"):
        raise BrokenSetup(f"there is no dtype {dtype!r}; write auto, bfloat16, float16 or float32")
    return Device(device, dtype, compiled)


def to_device(batch: npt.NDArray[Any], where: Device) -> Any:
    """An array on the device; from pinned memory, so that copying and computing overlap."""
    torch = need("torch")
    tensor = torch.from_numpy(batch)
    if where.device == "cpu":
        return tensor
    return tensor.pin_memory().to(where.device, non_blocking=True)


def normalised(batch: Any, mean: Sequence[float], std: Sequence[float]) -> Any:
    """RGB uint8 (N, H, W, 3) on the device -> float32 (N, 3, H, W), /255, less mean, over std."""
    torch = need("torch")
    middle = torch.tensor(mean, device=batch.device).view(1, 3, 1, 1)
    spread = torch.tensor(std, device=batch.device).view(1, 3, 1, 1)
    return (batch.permute(0, 3, 1, 2).float() / 255 - middle) / spread


# --- weights --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checkpoint:
    """A folder of weights that transformers opens, found and looked at, not loaded.

    `digest` covers every file that decides a result; `sha256` is the weights' own where they are
    one file.
    """

    name: str
    folder: Path
    digest: str
    sha256: str | None
    config: Mapping[str, Any]

    def info(self, role: str) -> ModelInfo:
        """As the listing names it; the licence of what the catalogue does not know is its own."""
        known = {entry.name: entry.upstream_licence for entry in catalogue.catalogue()}
        return ModelInfo(role, self.name, self.sha256, known.get(self.name, "see its model card"))


def checkpoint(name: str, kinds: Sequence[str], called: str = "") -> Checkpoint:
    """Finds weights: a name of the catalogue, the path of a folder, or a hub id fetched before.

    `kinds` are the values that `model_type` in its config.json may have, `called` what they are
    together, where they are too many to be listed. Raises `WeightsMissing`
    where there is none, `PickleRefused` for a folder with pickles only, and `BrokenSetup` for one
    of another kind of model.
    """
    folder = _folder(name)
    tensors = sorted(folder.glob("*.safetensors"))
    if not tensors:
        if sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt")):
            raise PickleRefused(
                f"{folder}: holds pickles (.bin, .pt) only, and a pickle can run any code while it "
                "is opened; use a revision with .safetensors, or convert it"
            )
        raise WeightsMissing(f"{folder}: holds no .safetensors file, so {name} cannot be loaded")
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = config["model_type"]
    except OSError as error:
        raise WeightsMissing(
            f"{folder}: holds no config.json; copy it from where the weights came from"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenSetup(f"{path}: is no configuration of a transformers model") from error
    if kind not in kinds:
        wanted = called or " or ".join(kinds)
        raise BrokenSetup(f"{folder}: holds weights of a model {kind!r}; looked for {wanted}")
    parts = [*tensors, *sorted(folder.glob("*.json")), *sorted(folder.glob("*.txt"))]
    digests = [(part.name, file_digest(part)) for part in parts]
    whole = hashlib.sha256(json.dumps(digests).encode()).hexdigest()
    return Checkpoint(name, folder, whole, digests[0][1] if len(tensors) == 1 else None, config)


def _folder(name: str) -> Path:
    if name in {entry.name for entry in catalogue.catalogue()}:
        return catalogue.weight_path(name).parent
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if _HUB_ID.fullmatch(name):
        return _fetched(name)
    raise WeightsMissing(
        f"{name}: there is no such folder, and no weights of the catalogue are called so. Give a "
        "folder with config.json and .safetensors, a name from `okla models list`, or a hub id"
    )


def _fetched(hub_id: str) -> Path:
    """Where the hub's client keeps a repository that was fetched before."""
    hub, constants = need("huggingface_hub"), need("huggingface_hub.constants")
    try:
        return Path(hub.snapshot_download(hub_id, local_files_only=True))
    except need("huggingface_hub.errors").LocalEntryNotFoundError as error:
        raise WeightsMissing(
            f"{hub_id}: is no folder here, and the hub's client has not fetched it to "
            f"{constants.HF_HUB_CACHE}. Fetch it where the hub can be reached: hf download "
            f"{hub_id}; or copy its files to a folder and give that folder's path"
        ) from error


def file_digest(path: Path) -> str:
    """SHA-256 of a file, cached while its size and time of change stay the same."""
    status = path.stat()
    return _file_digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _file_digest(path: Path, _size: int, _modified_ns: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tensors_file(weights: str) -> Path:
    """The .safetensors or .pth file at a path. Raises `WeightsMissing` where there is none."""
    path = Path(weights).expanduser()
    if not path.is_file():
        raise WeightsMissing(f"{path}: there is no such file of weights")
    if path.suffix not in (".safetensors", ".pth"):
        raise BrokenSetup(f"{path}: is neither a .safetensors nor a .pth file")
    return path


def filled(network: Any, path: Path, prefix: str = "") -> Any:
    """A network with the tensors of a file whose names begin with `prefix`, ready to be asked.

    A .pth is opened by torch's restricted reader, which runs no code of it. Raises `BrokenSetup`
    where the file holds other tensors than the network's.
    """
    torch = need("torch")
    try:
        if path.suffix == ".safetensors":
            tensors = need("safetensors.torch").load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items()})
    except (
        OSError,
        RuntimeError,
        pickle.UnpicklingError,
        AttributeError,
        EOFError,
        need("safetensors").SafetensorError,
    ) as error:
        raise BrokenSetup(f"{path}: does not hold this network's weights: {error}") from error
    return network.eval()


def load(kind: str, digest: str, where: Device, make: Callable[[], Any]) -> Any:
    """The warm model that `make` builds, cached by use (`kind`), weights and device."""
    key = (kind, digest, where)
    if (model := _models.get(key)) is not None:
        return model
    with _loading:
        if key not in _models:
            _models[key] = make()
        return _models[key]


def of_transformers(name: str) -> Any:
    """A class of transformers. Raises `BrokenSetup` where it, or what it needs, is not there."""
    transformers = need("transformers")
    try:
        return getattr(transformers, name)
    except (ImportError, AttributeError) as error:
        raise BrokenSetup(
            f"transformers {transformers.__version__} cannot give {name}: {error} "
            f"Install torch and torchvision of one release: {INSTALL}"
        ) from error


def kinds_of(task: str) -> tuple[str, ...]:
    """Every `model_type` that transformers has a network for, for a task such as
    `IMAGE_CLASSIFICATION`."""
    names = need("transformers.models.auto.modeling_auto")
    return tuple(getattr(names, f"MODEL_FOR_{task}_MAPPING_NAMES"))


def from_folder(class_name: str, source: Checkpoint, where: Device) -> Any:
    """A transformers model on its device, in float32, warm; never with a random weight.

    Raises `BrokenSetup` where the folder does not hold every weight of the model.
    """
    return load(class_name, source.digest, where, lambda: _from_folder(class_name, source, where))


def _from_folder(class_name: str, source: Checkpoint, where: Device) -> Any:
    torch, safetensors = need("torch"), need("safetensors")
    try:
        model, report = of_transformers(class_name).from_pretrained(
            source.folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise BrokenSetup(f"{source.folder}: cannot be loaded as {class_name}: {error}") from error
    # transformers fills what is missing with random numbers and only warns.
    missing = sorted(report["missing_keys"])
    if missing:
        raise BrokenSetup(
            f"{source.folder}: {len(missing)} weights of {class_name} are not in it, "
            f"{missing[0]} for one; it is the checkpoint of another model or not whole"
        )
    return model.to(where.device).eval()


def tokenizer_of(source: Checkpoint) -> Any:
    """The tokenizer that lies with the weights. Raises `BrokenSetup` where there is none."""
    # Checked, because transformers makes an empty one of nothing and reads every word as unknown.
    names = {path.name for path in source.folder.iterdir()}
    if not ({"tokenizer.json"} <= names or {"vocab.json", "merges.txt"} <= names):
        raise BrokenSetup(
            f"{source.folder}: holds no tokenizer; copy tokenizer.json (or vocab.json and "
            "merges.txt) from where the weights came from"
        )
    try:
        return of_transformers("AutoTokenizer").from_pretrained(
            source.folder, local_files_only=True
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BrokenSetup(f"{source.folder}: its tokenizer cannot be read: {error}") from error


def as_numbers(module: Any, where: Device) -> Any:
    """A module in the device's dtype, compiled where that is configured."""
    torch = need("torch")
    module = module.to(getattr(torch, where.dtype))
    return torch.compile(module) if where.compiled else module


# --- batches --------------------------------------------------------------------------------------


def in_batches(
    items: Sequence[ItemT],
    size: int,
    run: Callable[[Sequence[ItemT]], Sequence[ResultT]],
    describe: Callable[[ItemT], str],
    *,
    fill: bool = False,
) -> list[ResultT]:
    """`run` over `items`, at most `size` at a time; results in their order.

    With `fill` a short batch is filled up with its last item: a compiled network takes a minute for
    each size that it has not seen.

    A batch too large for the device's memory is halved, and the smaller size holds for the rest of
    the call; a single item too large raises `MemoryError` with what `describe` returns for it.
    Any other error is raised as it is: the steps' loop then tries each photo alone and so finds the
    one at fault.
    """
    torch = need("torch")
    results: list[ResultT] = []
    size = max(1, size)
    while len(results) < len(items):
        batch = items[len(results) : len(results) + size]
        filling = [batch[-1]] * (size - len(batch)) if fill else []
        try:
            results += run([*batch, *filling])[: len(batch)]
            continue
        except torch.cuda.OutOfMemoryError:
            tried = size if fill else len(batch)
        # Outside the handler: the error's traceback holds the tensors of the failed try.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if tried == 1:
            raise MemoryError(
                f"the device has too little memory for one photo ({describe(batch[0])}): "
                "close what else uses it, or choose a smaller model"
            )
        size = tried // 2
    return results


def size_of(picture: npt.NDArray[np.uint8]) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]} pixels"
