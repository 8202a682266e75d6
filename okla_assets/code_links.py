"""Links from Dagster's UI to the code, for checks, jobs, sensors and schedules of a checkout.

Assets get theirs from `dg.with_source_code_references`.
"""

import warnings
from typing import Any

import dagster as dg

# "Beta" in dagster 1.13; the release is pinned.
warnings.filterwarnings("ignore", category=dg.BetaWarning)


def code_link(file: str) -> dict[str, Any]:
    """Metadata of what is defined in this file (`__file__`)."""
    reference = dg.LocalFileCodeReference(file_path=file, line_number=1)
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}
