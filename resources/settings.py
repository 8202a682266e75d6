"""Every `OKLA_*` variable of the environment: its type, bounds, default and unit.

`python -m resources.settings > docs/settings.md` writes the page about them.
"""

import os
from typing import Annotated, Any

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

    A description reads on in "give ...": it is what the error about a wrong value asks for.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, validate_default=False, frozen=True
    )

    media_dir: str = Field(
        default="okla-media", description="the folder of the media, or `s3://BUCKET/PREFIX`"
    )
    profile: str = Field(
        default="local", description="the set of models that runs: `local` (CPU) or `gpu`"
    )
    config: str = Field(
        default="", description="a TOML file that names other models, one section a role"
    )
    models_dir: str = Field(
        default="",
        description="the folder of the weights; default: `okla/models` in the user's cache folder",
    )
    definitions: str = Field(
        default="", description="the module that Dagster loads instead of `okla_assets.definitions`"
    )
    s3_endpoint_url: Address = Field(
        default="",
        description="the address of a bucket's server that is not AWS; "
        "default: `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`",
        examples=["https://host"],
        validation_alias=AliasChoices(
            "OKLA_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"
        ),
    )
    s3_public_url: Address = Field(
        default="",
        description="the address (of a CDN, say) at which browsers find the bucket's files",
        examples=["https://host"],
    )
    sqs_queue_url: str = Field(
        default="", description="the URL of the SQS queue that receives the bucket's events"
    )
    quiet_seconds: Amount = Field(
        default=10.0,
        description="the seconds without a change after which a folder of uploads is complete",
        examples=[10],
    )
    reconcile_seconds: Amount | None = Field(
        default=None,
        description="the seconds between two listings of all uploads; "
        "default: 600 with a queue, 0 without one",
        examples=[600],
    )
    alert_webhook_url: str = Field(
        default="", description="the address to which each failed run is posted as JSON", repr=False
    )
    backfill_cron: str = Field(
        default="0 2 * * *", description="the five cron fields of the schedule `nightly_backfill`"
    )
    backfill_timezone: str = Field(
        default="UTC", description="the time zone of that schedule, such as `America/Santo_Domingo`"
    )
    backfill_limit: int = Field(
        default=200,
        description="the number of vehicles that a night makes again",
        ge=0,
        examples=[200],
    )
    price_cpu_hour: Amount | None = Field(
        default=None,
        description="the price of an hour of the machine while its CPU works, in dollars",
        examples=[0.45],
    )
    price_gpu_hour: Amount | None = Field(
        default=None,
        description="the price of an hour of the machine while a GPU works, in dollars",
        examples=[2.5],
    )
    runs: int = Field(
        default=1,
        description="the number of vehicles that `okla up` makes at a time",
        ge=1,
        examples=[2],
    )
    gpu_slots: int | None = Field(
        default=None,
        description="the number of steps that may use a GPU at a time; default: no limit",
        ge=1,
        examples=[1],
    )
    postgres_url: str = Field(
        default="",
        description="the database that holds Dagster's records instead of SQLite, as "
        "`postgresql://USER:PASSWORD@HOST:5432/DATABASE`",
        repr=False,
    )
    broker_url: str = Field(
        default="",
        description="the RabbitMQ that hands runs to `okla worker`, as "
        "`pyamqp://USER:PASSWORD@HOST:5672//`",
        repr=False,
    )


def settings() -> Settings:
    """The settings of the present environment, read at each call, which takes 1 to 2 ms.

    Raises BrokenSetup naming the variables that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise BrokenSetup("; ".join(map(_problem, error.errors()))) from None


def _problem(error: Any) -> str:
    location = error["loc"][0]  # the field's name, or the first of its aliases
    for name, field in Settings.model_fields.items():
        variables = _variables(name, field)
        if location in (name, variables[0]):
            given = next(variable for variable in variables if os.environ.get(variable))
            example = (field.examples or ("",))[0]
            return f"{given} is {error['input']!r}; give {field.description}, as {example}"
    raise AssertionError(f"there is no field {location}")


def _variables(name: str, field: FieldInfo) -> tuple[str, ...]:
    """The variables that set a field, the first of them that is set."""
    if isinstance(field.validation_alias, AliasChoices):
        return tuple(str(choice) for choice in field.validation_alias.choices)
    return (PREFIX + name.upper(),)


def settings_table() -> str:
    """All variables as a table in Markdown."""
    lines = ["| name | default | what |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") else f"`{field.default}`"
        lines.append(f"| `{_variables(name, field)[0]}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


PAGE = """\
# Settings

Environment variables, read when they are needed; an empty one counts as not set. A value that
cannot be used stops the command with a sentence that names the variable. This page is written by
`python -m resources.settings > docs/settings.md`.

"""

if __name__ == "__main__":
    print(PAGE + settings_table(), end="")
