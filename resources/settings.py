"""Every `OKLA_*` variable of the environment: its type, bounds, default and unit.

`python -m resources.settings > docs/settings.md` writes the page about them.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, Field, StringConstraints, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from resources.errors import BrokenSetup

PREFIX = "OKLA_"

Address = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^\s/]+(/\S*)?$"),
    AfterValidator(lambda address: address.rstrip("/")),
]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """The environment at the moment it is made; an empty variable counts as not set.

    A field's docstring reads on in "give ...": it is what the error about a wrong value asks for.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        validate_default=False,
        frozen=True,
        use_attribute_docstrings=True,
    )

    media_dir: str = "okla-media"
    """the folder of the media, or `s3://BUCKET/PREFIX`"""
    profile: str = "local"
    """the set of models that runs: `local` (CPU), `gpu` or `permissive` (CPU, free of copyleft)"""
    config: str = ""
    """a TOML file that names other models, one section a role"""
    models_dir: str = ""
    """the folder of the weights; default: `okla/models` in the user's cache folder"""
    onnx_runtime: Literal["auto", "openvino", "onnxruntime"] = Field(
        default="auto", examples=["auto"]
    )
    """what runs networks on the CPU: `openvino`, `onnxruntime`, or `auto` for the one that was
    measured to be quicker with each network on such a CPU"""
    onnx_precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", examples=["float32"]
    )
    """the precision, on OpenVINO, of the networks that were measured to be as good in bfloat16:
    `float32`, `bfloat16`, or `auto` for bfloat16 where the CPU has it"""
    definitions: str = ""
    """the module that Dagster loads instead of `okla_assets.definitions`"""
    s3_endpoint_url: Address = Field(
        default="",
        examples=["https://host"],
        validation_alias=AliasChoices(
            "OKLA_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"
        ),
    )
    """the address of a bucket's server that is not AWS; default: `AWS_ENDPOINT_URL_S3` or
    `AWS_ENDPOINT_URL`"""
    s3_public_url: Address = Field(default="", examples=["https://host"])
    """the address (of a CDN, say) at which browsers find the bucket's files"""
    files_url: Address = Field(default="", examples=["http://127.0.0.1:3001"])
    """the address at which links in Dagster's UI find processed/; default: the file server that
    `okla up` starts at the port after its own"""
    viewer_url: Address = Field(default="", examples=["https://host/viewer"])
    """the address of a folder with `okla-spin.js` and `okla-panorama.js` for the pages of all
    vehicles; default: a copy beside each vehicle's pages"""
    sqs_queue_url: str = ""
    """the URL of the SQS queue that receives the bucket's events"""
    quiet_seconds: Amount = Field(default=10.0, examples=[10])
    """the seconds without a change after which a folder of uploads is complete"""
    reconcile_seconds: Amount | None = Field(default=None, examples=[600])
    """the seconds between two listings of all uploads; default: 600 with a queue, 0 without one"""
    alert_webhook_url: str = Field(default="", repr=False)
    """the address to which each failed run is posted as JSON"""
    backfill_cron: str = "0 2 * * *"
    """the five cron fields of the schedule `nightly_backfill`"""
    backfill_timezone: str = "UTC"
    """the time zone of the two schedules, such as `America/Santo_Domingo`"""
    backfill_limit: int = Field(default=200, ge=0, examples=[200])
    """the number of vehicles that a night makes again"""
    report_cron: str = "0 6 * * *"
    """the five cron fields of the schedule `nightly_report`"""
    review_below: int = Field(default=600, ge=0, examples=[600])
    """the pixels of a photo's shorter side below which a person should look at its studio picture
    (`needs_review`), as so small a photo seldom gives a clean one; 0 for never"""
    price_cpu_hour: Amount | None = Field(default=None, examples=[0.45])
    """the price of an hour of the machine while its CPU works, in dollars"""
    price_gpu_hour: Amount | None = Field(default=None, examples=[2.5])
    """the price of an hour of the machine while a GPU works, in dollars"""
    runs: int = Field(default=1, ge=1, examples=[2])
    """the number of vehicles that `okla up` makes at a time"""
    gpu_slots: int | None = Field(default=None, ge=1, examples=[1])
    """the number of steps that may use a GPU at a time; default: no limit"""
    postgres_url: str = Field(default="", repr=False)
    """the database that holds Dagster's records instead of SQLite, as
    `postgresql://USER:PASSWORD@HOST:5432/DATABASE`"""
    broker_url: str = Field(default="", repr=False)
    """the RabbitMQ that hands runs to `okla worker`, as `pyamqp://USER:PASSWORD@HOST:5672//`"""
    api_url: Address = Field(default="", examples=["https://media.example.org"])
    """the address at which callers reach the HTTP door, for the links in its answers; default: the
    one that each request came to"""
    api_secret: str = Field(default="", repr=False)
    """the secret that links to files are signed with, the same on all machines; default: one that
    is made and kept beside Dagster's records"""
    api_wait_seconds: Amount = Field(default=60.0, examples=[60])
    """the seconds that a synchronous call waits for its result before it is answered 202"""
    api_origins: str = Field(default="", examples=["https://okla.com.do"])
    """the web pages that may call the HTTP door (CORS), separated by commas"""
    public_viewers: bool = False
    """1 to have documents of 360° views and their files read without a key"""
    job_days: Amount = Field(default=7.0, examples=[7])
    """the days after which the vehicle of a job that names none leaves, with all its files"""
    fetch_hosts: str = Field(default="", examples=["photos.example.org, *.example.net"])
    """the hosts that photos are fetched from and callbacks sent to, by commas: `*.` before
    one for all below it, `:PORT` behind one for another port than 443, `*` for every public one,
    which is the default"""
    fetch_private: bool = False
    """1 to let hosts named in OKLA_FETCH_HOSTS have private addresses and plain http, for services
    beside this one"""
    callback_secrets: str = Field(default="", repr=False)
    """the secrets that callbacks are signed with, separated by commas, the newest first: each
    signs"""
    callback_hours: Amount = Field(default=24.0, examples=[24])
    """the hours after which a callback that nobody takes is given up"""
    jwt_secret: str = Field(default="", repr=False)
    """the secret of JWT bearer tokens (HS256) that callers may have instead of an API key"""
    jwt_jwks_url: Address = Field(default="", examples=["https://login.example.org/jwks.json"])
    """the address of the public keys of such tokens (RS256, ES256)"""
    jwt_audience: str = ""
    """the audience that such a token must name"""
    jwt_issuer: str = ""
    """the issuer that such a token must name"""
    jwt_admin_role: str = "Admin"
    """the role in such a token that sees all jobs and vehicles"""
    amqp_url: str = Field(default="", repr=False)
    """the RabbitMQ whose messages `okla consume` takes, as
    `amqp://USER:PASSWORD@HOST:5672/%2F`; default: that of OKLA_BROKER_URL"""
    amqp_caller: str = Field(
        default="amqp", examples=["okla"], pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
    )
    """the caller whose jobs the messages are: name an API key's, and it sees them over HTTP"""
    c2pa_cert: str = ""
    """the PEM file of the certificate's chain that signs finished pictures (C2PA)"""
    c2pa_key: str = ""
    """the PEM file of that certificate's private key"""


def settings() -> Settings:
    """The settings of the present environment, looked at anew at each call.

    Raises BrokenSetup naming the variables that cannot be used.
    """
    try:
        return _settings_of(frozenset(os.environ.items()))
    except ValidationError as error:
        raise BrokenSetup("; ".join(map(_problem, error.errors()))) from None


@lru_cache(maxsize=1)
def _settings_of(environment: frozenset[tuple[str, str]]) -> Settings:
    """Those of `os.environ` while it holds just this: reading takes 3 ms, and runs ask 50 times."""
    return Settings()


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with changes over it, nested tables merged."""
    merged = dict(base)
    for key, value in changes.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(before, value) if both else value  # type: ignore[arg-type]
    return merged


def _problem(error: Any) -> str:
    location = error["loc"][0]  # the field's name, or the first of its aliases
    for name, field in Settings.model_fields.items():
        variables = _variables(name, field)
        if location in (name, variables[0]):
            # In whatever letters it is written, which is read as well.
            given = next((v for v in variables if os.environ.get(v)), variables[0])
            example = (field.examples or ("",))[0]
            return f"{given} is {error['input']!r}; give {_description(field)}, as {example}"
    raise AssertionError(f"there is no field {location}")


def _variables(name: str, field: FieldInfo) -> tuple[str, ...]:
    """The variables that set a field, the first of them that is set."""
    if isinstance(field.validation_alias, AliasChoices):
        return tuple(str(choice) for choice in field.validation_alias.choices)
    return (PREFIX + name.upper(),)


def _description(field: FieldInfo) -> str:
    return " ".join(str(field.description).split())


def settings_table() -> str:
    """All variables as a table in Markdown."""
    lines = ["| name | default | what |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") else f"`{field.default}`"
        lines.append(f"| `{_variables(name, field)[0]}` | {default} | {_description(field)} |")
    return "\n".join(lines) + "\n"


PAGE = """\
# Settings

Environment variables, read when they are needed; an empty one counts as not set. A value that
cannot be used stops the command with a sentence that names the variable. This page is written by
`python -m resources.settings > docs/settings.md`.

"""

if __name__ == "__main__":
    print(PAGE + settings_table(), end="")
