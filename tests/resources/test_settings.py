from pathlib import Path

import pytest

from resources.errors import BrokenSetup
from resources.settings import PAGE, Settings, settings, settings_table


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"OKLA_{name.upper()}", raising=False)
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


def test_the_page_holds_exactly_the_settings() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == PAGE + settings_table()


def test_the_environment_is_read_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings().quiet_seconds == 10
    monkeypatch.setenv("OKLA_QUIET_SECONDS", " 2.5 ")
    monkeypatch.setenv("OKLA_GPU_SLOTS", "2")
    assert (settings().quiet_seconds, settings().gpu_slots) == (2.5, 2)
    monkeypatch.setenv("OKLA_QUIET_SECONDS", "")  # as not set
    assert settings().quiet_seconds == 10


@pytest.mark.parametrize(
    ("variable", "value", "asks"),
    [
        ("OKLA_QUIET_SECONDS", "a while", "seconds"),
        ("OKLA_RECONCILE_SECONDS", "-1", "seconds"),
        ("OKLA_PRICE_CPU_HOUR", "cheap", "in dollars, as 0.45"),
        ("OKLA_PRICE_GPU_HOUR", "nan", "in dollars"),
        ("OKLA_PRICE_GPU_HOUR", "inf", "in dollars"),
        ("OKLA_PRICE_GPU_HOUR", "$2", "in dollars"),
        ("OKLA_BACKFILL_LIMIT", "many", "number of vehicles"),
        ("OKLA_BACKFILL_LIMIT", "-1", "number of vehicles"),
        ("OKLA_RUNS", "0", "number of vehicles"),
        ("OKLA_GPU_SLOTS", "1.5", "number of steps"),
        ("OKLA_S3_PUBLIC_URL", "cdn.example.com", "as https://host"),
        ("AWS_ENDPOINT_URL", "s3.example.com", "as https://host"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_give(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, asks: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BrokenSetup) as raised:
        settings()
    assert str(raised.value).startswith(f"{variable} is {value!r}; give ")
    assert asks in str(raised.value)


def test_a_wrong_value_in_small_letters_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OKLA_RUNS", raising=False)
    monkeypatch.setenv("okla_runs", "many")
    with pytest.raises(BrokenSetup, match=r"^OKLA_RUNS is 'many'; give "):
        settings()


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKLA_RUNS", "0")
    monkeypatch.setenv("OKLA_QUIET_SECONDS", "long")
    with pytest.raises(BrokenSetup, match=r"OKLA_QUIET_SECONDS.*; OKLA_RUNS"):
        settings()


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKLA_POSTGRES_URL", "postgresql://me:secret@host/records")
    monkeypatch.setenv("OKLA_BROKER_URL", "pyamqp://me:secret@host//")
    monkeypatch.setenv("OKLA_ALERT_WEBHOOK_URL", "https://hooks/secret")
    assert "secret" not in repr(settings())
