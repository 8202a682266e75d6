"""`okla send`: a client of the HTTP door, for trying it."""

import json
import time
import uuid
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote, urlsplit

import typer

from okla_assets.cli.terminal import FAILED, INTERRUPTED, Json, print_json, say, warn
from resources.errors import BadInput, BrokenSetup

if TYPE_CHECKING:
    import requests

SECONDS = 60
"""Until an answer has begun."""
PIECE = 1 << 18
LONGEST_PAUSE = 3.0
ENDED = ("completed", "failed", "cancelled")


class Asked(StrEnum):
    """What can be asked for."""

    background = "background-replace"
    segment = "segment-vehicle"
    classify = "classify-image"
    mask_plate = "mask-license-plate"
    spin = "generate-360"


def send(
    files: Annotated[
        list[Path], typer.Argument(help="Photos of a car; for generate-360 also a video.")
    ],
    url: Annotated[
        str, typer.Option(envvar="OKLA_API_URL", help="Where the door is.")
    ] = "http://127.0.0.1:8080",
    key: Annotated[
        str, typer.Option(envvar="OKLA_API_KEY", help="The API key, as `okla keys` printed it.")
    ] = "",
    operation: Annotated[Asked, typer.Option(help="What is made.")] = Asked.background,
    vehicle: Annotated[
        str | None, typer.Option(help="The vehicle's id; default: one of the job's own.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", "-o", metavar="NAME=VALUE", help="As in `okla process`; may be repeated."
        ),
    ] = None,
    to: Annotated[
        Path, typer.Option(help="The folder for what comes back; it is made where there is none.")
    ] = Path("okla-results"),
    as_json: Json = False,
) -> None:
    """Send photos or a video to an `okla serve`, wait, and fetch what was made.

    Ends with 1 where the job fails. Ctrl-C ends the waiting, not the job.
    """
    from okla_assets.cli.process import parse_option

    if unusable := [str(path) for path in files if not path.is_file()]:
        raise BadInput(f"there is no file {unusable[0]}")
    if operation is Asked.spin and vehicle is None:
        raise BadInput("a 360° view is one vehicle's: give --vehicle")
    options = dict(parse_option(text) for text in option or ())
    door = _Door(url.rstrip("/"), key)
    accepted = door.ask(operation, files, {"vehicleId": vehicle, "options": options})
    try:
        job = accepted if accepted["status"] in ENDED else door.wait(accepted["jobId"])
    except KeyboardInterrupt:
        warn(f"the job goes on: {door.status_of(accepted['jobId'])}")
        raise typer.Exit(INTERRUPTED) from None
    saved = [str(door.fetch(address, to)) for address in _addresses(job)]
    if as_json:
        print_json(job | {"files": saved})
    else:
        _print(job, saved)
    if job["status"] != "completed":
        raise typer.Exit(FAILED)


class _Door:
    """The door as its caller sees it."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._headers = {"X-Api-Key": key} if key else {}

    def ask(self, operation: Asked, files: list[Path], fields: dict[str, Any]) -> dict[str, Any]:
        """The job, accepted. The files are read while they are sent, and never held whole."""
        texts = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in fields.items()
            if value
        }
        boundary = uuid.uuid4().hex
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            # Sent twice, it is one job.
            "Idempotency-Key": str(uuid.uuid4()),
        }
        answer = self._request(
            "POST",
            f"{self.url}/api/ai-process/{operation.value}",
            headers=headers | self._headers,
            data=_form(boundary, texts, files),
        )
        return _object(answer)

    def status_of(self, job_id: str) -> str:
        """Where the job's status is."""
        return f"{self.url}/api/ai-process/status/{job_id}"

    def wait(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended."""
        pause, told = 0.2, ""
        while True:
            job = _object(self._request("GET", self.status_of(job_id), headers=self._headers))
            status = str(job["status"])
            if status in ENDED:
                return job
            if status != told:
                warn(f"job {job_id}: {status}", "dim")
                told = status
            time.sleep(pause)
            pause = min(pause * 1.3, LONGEST_PAUSE)

    def fetch(self, address: str, folder: Path) -> Path:
        """A file of the job's, in the folder. Its address needs no key, and gets none."""
        import requests

        name = PurePosixPath(unquote(urlsplit(address).path)).name
        if not name or name.startswith("."):
            raise BadInput(f"the door names a file {name!r}, which is none")
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{name}.part"
        try:
            with self._request("GET", address, stream=True) as answer, part.open("wb") as out:
                for piece in answer.iter_content(PIECE):
                    out.write(piece)
        except requests.exceptions.RequestException:
            part.unlink(missing_ok=True)
            raise BrokenSetup(f"{name} broke off while it was fetched; ask again") from None
        return part.replace(folder / name)

    def _request(self, method: str, address: str, **more: Any) -> "requests.Response":
        """An answer that is none of an error. Raises BadInput with the door's own sentence, and
        BrokenSetup where there is no door."""
        import requests

        try:
            # A redirect could lead the key to somebody else.
            answer = requests.request(
                method, address, timeout=SECONDS, allow_redirects=False, **more
            )
        except requests.exceptions.RequestException as error:
            reason = type(error).__name__
            raise BrokenSetup(
                f"no door answers at {self.url} ({reason}); start `okla serve`, or give --url"
            ) from None
        if answer.status_code in (200, 202):
            return answer
        try:
            said = str(answer.json()["detail"])
        except (ValueError, KeyError, TypeError):
            said = answer.text[:200].strip()
        if answer.status_code in (401, 403):
            said += "; give --key or OKLA_API_KEY"
        raise BadInput(f"the door answers {answer.status_code}: {said}")


def _object(answer: "requests.Response") -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict) or not {"jobId", "status"} <= set(found):
        raise BadInput("what answers is no door of `okla serve`; look after --url")
    return found


def _form(boundary: str, texts: dict[str, str], files: list[Path]) -> Iterator[bytes]:
    """The fields and files as multipart/form-data (RFC 7578)."""
    for name, text in texts.items():
        yield f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
        yield f"{text}\r\n".encode()
    for path in files:
        # A browser writes these three of a name so.
        told = path.name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        disposition = f'Content-Disposition: form-data; name="file"; filename="{told}"'
        head = f"--{boundary}\r\n{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n"
        yield head.encode(errors="surrogateescape")
        with path.open("rb") as stream:
            while piece := stream.read(PIECE):
                yield piece
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _addresses(job: dict[str, Any]) -> list[str]:
    """The addresses of all files that a job has made, each once."""
    results = job.get("images") or [job.get("result") or {}]
    found = [result.get(name) for result in results for name in ("processedImageUrl", "maskUrl")]
    found += [frame.get("processedUrl") for frame in results[0].get("frames", ())]
    return list(dict.fromkeys(filter(None, found)))


def _print(job: dict[str, Any], saved: list[str]) -> None:
    ended = job["status"] == "completed"
    say(f"job {job['jobId']}: {job['status']}", "green" if ended else "red")
    if job.get("errorMessage"):
        say(f"  {job['errorMessage']}")
    for result in job.get("images") or filter(None, [job.get("result")]):
        facts = [
            f"{label} {result[name]}"
            for name, label in (
                ("imageCategory", "category"),
                ("detectedAngle", "angle"),
                ("qualityScore", "quality"),
                ("maskStatus", "matte"),
                ("treatment", "treatment"),
                ("totalFrames", "frames"),
                ("refusalDetail", "refused:"),
            )
            if result.get(name) is not None
        ]
        say(f"  {', '.join(facts)}")
    for path in saved:
        say(f"  {path}")
