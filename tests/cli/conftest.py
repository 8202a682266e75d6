"""The command line, run in this process on fake models."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from okla_assets import definitions
from okla_assets.cli import app
from resources import profiles, weights
from resources.profiles import resources_for
from tests.fakes import fake_models


@dataclass(frozen=True)
class Result:
    """How the command ended and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Every profile on these fakes; nothing is fetched."""
    fakes = fake_models()
    monkeypatch.setattr(definitions, "resources_for", lambda name: resources_for(name) | fakes)
    monkeypatch.setattr(weights, "ensure", lambda *_: {})
    monkeypatch.setattr(profiles, "load_ahead", lambda _: None)
    return fakes


@pytest.fixture
def command(
    models: dict[str, object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs `okla` with these arguments."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("OKLA_PROFILE", raising=False)

    def run(*arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["okla", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            app.main()
        except SystemExit as end:
            code = end.code
        assert isinstance(code, int)
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run
