"""PyTorch for tests: skipped by name where it is not installed, and torchvision made importable.

torchvision's wheel on the index is the CUDA build, which dies at import beside a CPU build of
torch: the two operators that it registers unconditionally are missing. Defining them is enough.
"""

from typing import Any

import pytest

_kept: list[Any] = []


def torch_or_skip(*modules: str) -> Any:
    """torch, with the named modules of the `gpu` extra there too; else the test is skipped."""
    reason = "needs the gpu extra: pip install 'okla-media[gpu]'"
    torch = pytest.importorskip("torch", reason=reason)
    let_torchvision_import()
    for module in modules:
        pytest.importorskip(module, reason=reason)
    return torch


def let_torchvision_import() -> None:
    """Stands in for torchvision's compiled operators under a CPU build of torch."""
    import importlib
    import importlib.util

    import torch

    if torch.version.cuda is not None or importlib.util.find_spec("torchvision") is None or _kept:
        return
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _nms, "CPU")
    _kept.append(library)
    extension: Any = importlib.import_module("torchvision.extension")
    extension._has_ops = lambda: True
    # Its own stand-in for this operator is compiled when it is first called, which takes a minute.
    roi_align: Any = importlib.import_module("torchvision.ops.roi_align")
    roi_align._roi_align = roi_align._roi_align.__wrapped__


def _nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    import torch

    kept: list[int] = []
    for i in scores.argsort(descending=True, stable=True).tolist():
        corner = torch.maximum(boxes[i, :2], boxes[kept, :2])
        common = (torch.minimum(boxes[i, 2:], boxes[kept, 2:]) - corner).clamp(min=0).prod(1)
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        if not bool((common > iou_threshold * (area[i] + area[kept] - common)).any()):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.long)
