"""The process in which untrusted photos are decoded; started and fed by `photo_decoder`.

`python -m resources.decoding.decode_worker module:function memory_mb`. It has a file to itself
because it must not import dagster: it starts in well under a second, and nothing of value is in its
memory. Requests and answers are a JSON header (4-byte length before it) and raw bytes, no pickle:
the parent takes nothing from a decoder that an attacker controls beyond one picture.
"""

import json
import os
import signal
import struct
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import IO, Any

LENGTH = struct.Struct(">I")


def write_message(stream: IO[bytes], header: Mapping[str, Any], *parts: Any) -> None:
    """Sends a header and bytes-like parts, and flushes."""
    encoded = json.dumps(header).encode()
    stream.write(LENGTH.pack(len(encoded)) + encoded)
    for part in parts:
        stream.write(part)
    stream.flush()


def read_header(stream: IO[bytes]) -> dict[str, Any] | None:
    """The next header; None where the other side has gone."""
    prefix = stream.read(LENGTH.size)
    if len(prefix) < LENGTH.size:
        return None
    encoded = stream.read(LENGTH.unpack(prefix)[0])
    header: dict[str, Any] | None = json.loads(encoded) if encoded else None
    return header


def bound_memory(memory_mb: int) -> None:
    """Lets this process take `memory_mb` beyond what it has mapped by now, where the system can."""
    try:
        import resource

        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError):
        return
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory_mb * 2**20,) * 2)


def open_answers() -> IO[bytes]:
    """The pipe to the parent; whatever a native library prints must not get between the answers."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    return answers


def named(function: str) -> Callable[..., Any]:
    """The function that `module:function` names."""
    module, _, name = function.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def serve(function: str, memory_mb: int) -> None:
    """Answers requests on stdin until it is closed, which the parent's end does by itself."""
    answers = open_answers()  # stays open until the process ends, which the parent sees by it
    decode = named(function)

    import cv2

    from okla_assets.imaging.photo.decode import DecodeLimits
    from okla_assets.imaging.photo.refusals import Refused

    cv2.setNumThreads(1)
    bound_memory(memory_mb)
    write_message(answers, {"ready": True})
    while (request := read_header(sys.stdin.buffer)) is not None:
        data = sys.stdin.buffer.read(request["bytes"])
        if hasattr(signal, "alarm"):
            # Only matters where the parent was killed and cannot keep the time any more.
            signal.alarm(int(request["seconds"]) + 5)
        try:
            photo = decode(data, DecodeLimits(**request["limits"]), request["working_side"])
        except Refused as refused:
            write_message(answers, {"refused": [refused.reason, refused.detail]})
        except MemoryError:
            detail = "The picture needs more memory than a photo may take; upload a smaller one."
            write_message(answers, {"refused": ["too_many_pixels", detail]})
        else:
            header = {
                "shape": photo.rgb.shape,
                "width": photo.width,
                "height": photo.height,
                "format": photo.format,
                "notes": photo.notes,
                "focal": photo.focal,
            }
            write_message(answers, header, photo.rgb.data)
        if hasattr(signal, "alarm"):
            signal.alarm(0)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
