"""The API's description that is checked in is the one that is served."""

import json
from typing import Any

from okla_assets.doors.server import openapi_document
from tests.conftest import REPOSITORY


def shape(document: dict[str, Any]) -> dict[str, object]:
    """What a client is generated from, without what releases of FastAPI write in other words."""
    return {
        f"{method} {path}": (
            sorted((one["in"], one["name"]) for one in operation.get("parameters", ())),
            sorted(operation.get("requestBody", {}).get("content", ())),
            sorted(operation["responses"]),
        )
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


def test_the_document_is_up_to_date() -> None:
    """`okla schema --openapi > docs/openapi.json` writes it anew."""
    written = json.loads((REPOSITORY / "docs" / "openapi.json").read_text(encoding="utf-8"))
    assert shape(written) == shape(openapi_document())
    assert len(shape(written)) > 60
