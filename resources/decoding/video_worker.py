"""The process in which one untrusted video is decoded; started and fed by `video_reader`.

`python -m resources.decoding.video_worker module:function memory_mb`. As `decode_worker`: JSON
headers and raw pixels, no dagster. The first request names the file; after its answer, which lists
the moments, each request asks for one moment's picture. The pictures stay here as JPEG and go over
as pixels, so that the parent decodes nothing that an attacker's decoder has made.
"""

import signal
import sys
from pathlib import Path

from resources.decoding.decode_worker import (
    bound_memory,
    named,
    open_answers,
    read_header,
    write_message,
)


def serve(function: str, memory_mb: int) -> None:
    """Answers requests on stdin until it is closed, which the parent's end does by itself."""
    answers = open_answers()  # stays open until the process ends, which the parent sees by it
    read_moments = named(function)

    import cv2

    from okla_assets.imaging.photo.codec import decode_trusted
    from okla_assets.imaging.photo.refusals import Refused
    from okla_assets.imaging.turn.video import VideoLimits

    cv2.setNumThreads(1)
    bound_memory(memory_mb)
    write_message(answers, {"ready": True})
    request = read_header(sys.stdin.buffer)
    if request is None:
        return
    if hasattr(signal, "alarm"):
        # Only matters where the parent was killed and cannot keep the time any more.
        signal.alarm(int(request["seconds"]) + 5)
    try:
        moments = read_moments(Path(request["path"]), VideoLimits(**request["limits"]))
    except Refused as refused:
        write_message(answers, {"refused": [refused.reason, refused.detail]})
        return
    except MemoryError:
        detail = "The video needs more memory than it may take; upload it as 1080p."
        write_message(answers, {"refused": ["too_many_pixels", detail]})
        return
    if hasattr(signal, "alarm"):
        signal.alarm(0)
    write_message(answers, {"moments": [[m.time, m.sharpness] for m in moments]})
    while (request := read_header(sys.stdin.buffer)) is not None:
        picture = decode_trusted(moments[request["picture"]].jpeg)
        write_message(answers, {"shape": picture.shape}, picture.data)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
