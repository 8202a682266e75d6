"""What the servers of `okla up` are told, without starting them."""

import tempfile
from pathlib import Path

import pytest
import yaml

from okla_assets.runtime import servers


def test_a_path_is_a_path_in_the_workspace(tmp_path: Path) -> None:
    folder = tmp_path / "a: [b] #c {env: HOME}"
    folder.mkdir()
    servers._servers(str(tmp_path / "media"), "local", 3000, folder)
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
