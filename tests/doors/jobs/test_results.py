"""What came of a job, as it is kept."""

import pytest

from okla_assets.doors.jobs.results import JobResult


def test_a_record_of_an_earlier_release_is_read() -> None:
    """It has fields that nothing reads any more."""
    earlier = (
        '{"vehicle": "CAR-1", "status": "ready", "listing_key": "processed/CAR-1/listing.json",'
        ' "photos": [{"source": 0, "number": 1, "width": 1600, "agreement": 0.9, "quality": 82}]}'
    )
    (photo,) = JobResult.model_validate_json(earlier).photos
    assert photo.quality == 82


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (JobResult(spin_reason="one side only", reasons=("no photo",)), "one side only"),
        (JobResult(reasons=("no photo", "no video")), "no photo; no video"),
        (JobResult(), "no 360° view could be made"),
    ],
)
def test_why_there_is_no_view_is_one_sentence(result: JobResult, why: str) -> None:
    assert (result.no_spin.code, result.no_spin.detail) == ("no_spin", why)
