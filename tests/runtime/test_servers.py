"""What the servers of `okla up` are told, without starting them."""

import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from okla_assets.runtime import servers
from okla_assets.runtime.processes import dagster_environment
from okla_assets.runtime.server_output import ServerOutput
from resources.errors import BadInput
from tests.conftest import REPOSITORY


def plan(tmp_path: Path) -> servers.Plan:
    return servers.Plan(
        out=str(tmp_path / "media"),
        profile="local",
        port=3000,
        api_port=None,
        files_port=None,
        runs=1,
        gpu_slots=None,
        say=print,
        tell=print,
        look=lambda: None,
    )


def output(tmp_path: Path) -> ServerOutput:
    return ServerOutput(tmp_path / "logs", print)


def test_packages_of_the_working_directory_do_not_shadow_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`resources` and `sensors` are names that others use as well."""
    for name in ("resources", "sensors", "okla_assets", "dagster"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    code, others = servers._servers(plan(tmp_path), tmp_path, "http://x", output(tmp_path))
    working = code.command[code.command.index("--working-directory") + 1]
    assert working == str(REPOSITORY)
    for server in (code, *others):
        python = server.command[: server.command.index("-m")]
        found = subprocess.run(
            [*python, "-c", "import resources, sensors; print(resources.__file__)"],
            env=dict(server.environment),
            capture_output=True,
            text=True,
        )
        assert found.returncode == 0, found.stderr
        assert found.stdout.strip() == str(REPOSITORY / "resources" / "__init__.py")


def test_definitions_of_ones_own_are_found_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "resources.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OKLA_DEFINITIONS", "mine")
    environment = dagster_environment(tmp_path / "media", "local")
    subprocess.run(
        [sys.executable, "-P", "-c", "import mine, resources.settings"], env=environment, check=True
    )


def test_a_port_that_this_user_may_not_have_is_not_called_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(BadInput, match="may not listen on port 80; choose one from 1024 on"):
        servers.check_port(80)


def test_a_path_is_a_path_in_the_workspace(tmp_path: Path) -> None:
    folder = tmp_path / "a: [b] #c {env: HOME}"
    folder.mkdir()
    servers._servers(plan(tmp_path), folder, "http://127.0.0.1:3001", output(tmp_path))
    (loaded,) = yaml.safe_load((folder / "workspace.yaml").read_text())["load_from"]
    assert loaded["grpc_server"]["socket"] == str(folder / servers.SOCKET)


@pytest.mark.parametrize(
    ("usual", "chosen"),
    [
        ("/tmp", None),
        ("/var/folders/zz/T", None),
        ("/tmp/a%20b", "/tmp"),
        ("/tmp/x y", "/tmp"),
        ("/tmp/" + "long/" * 20, "/tmp"),
        ("/tmp/a\n", "/tmp"),
    ],
)
def test_a_socket_lies_where_its_path_is_plain_and_short(
    monkeypatch: pytest.MonkeyPatch, usual: str, chosen: str | None
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: usual)
    assert servers._socket_place() == chosen
