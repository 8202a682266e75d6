"""The served OpenAPI document, tried by schemathesis: requests that it allows and that it does not.

Every answer has a status and a content type that the document names, and none is the door's own
fault. OKLA_TEST_EXAMPLES says how many requests an operation gets, 4 unless it is set.
"""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from okla_assets.doors.jobs.requests import checked
from okla_assets.doors.server import openapi_document
from tests.doors.ended import end, spin_made
from tests.doors.places import CAR, PHOTO
from tests.doors.whole import Whole, whole

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("OKLA_TEST_EXAMPLES", "4"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
schema = schemathesis.openapi.from_dict(openapi_document())


@schemathesis.serializer("application/offset+octet-stream", "image/*", "video/*")
def _bytes(_context: schemathesis.SerializationContext, value: Any) -> Any:
    return {"data": value if isinstance(value, bytes) else str(value).encode()}


@dataclass(frozen=True)
class Known:
    """A door with a vehicle, one job of it that has its 360° view, and an upload in parts."""

    door: Whole
    ids: dict[str, str]

    def among(self, case: schemathesis.Case[Any]) -> None:
        """Has every other request ask for what there is, unless that would delete it."""
        given = case.path_parameters
        if given and case.method != "DELETE" and zlib.crc32(repr(given).encode()) % 2:
            given.update({name: self.ids[name] for name in given if name in self.ids})


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    with whole(tmp_path_factory.mktemp("media"), quick=True) as door:
        door.boss("POST", f"vehicles/{CAR}/photos", data=PHOTO).raise_for_status()
        request = checked(operation="generate-360", vehicle=CAR, caller="boss")
        job, _ = door.door.jobs.accept(request)
        end(door.door, job, result=spin_made(door.door, job))
        facts = "vehicle Q0FSLTE=,filename YS5qcGc="
        told = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000000", "Upload-Metadata": facts}
        begun = door.boss("POST", "uploads", headers=told)
        ids = {
            "vehicle_id": CAR,
            "job_id": job.id,
            "upload_id": begun.headers["Location"].rpartition("/")[2],
            "code": "white_studio",
            "size": "thumbnail",
            "file": f"processed_{CAR}_{job.id}.jpg",
        }
        yield Known(door, ids)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_an_answer_is_one_that_the_document_names(
    case: schemathesis.Case[Any], known: Known
) -> None:
    known.among(case)
    headers = {"X-Api-Key": known.door.boss.key}
    case.call_and_validate(base_url=known.door.url, headers=headers, checks=CHECKS, timeout=60)
