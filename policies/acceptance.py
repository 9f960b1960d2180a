"""The one rule on whether a policy's text is accepted, for every way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies import sandbox, validation
from policies.errors import InvalidRego, InvalidSchemaVersion, PolicyValidationBusy
from policies.validation import Report

SCHEMA_VERSIONS = ("2026-03-16", "2026-05-20")
CURRENT_SCHEMA_VERSION = "2026-05-20"


def accepted(
    content: str, schema_version: str, *, extra: Mapping[str, Any] | None = None
) -> Report:
    """The report on ``content``, which is valid. Refusals carry ``extra``."""
    if schema_version not in SCHEMA_VERSIONS:
        raise InvalidSchemaVersion(schema_version, extra)
    try:
        report = validation.validate(content)
    except sandbox.Busy:
        raise PolicyValidationBusy from None
    if not report.is_valid:
        raise InvalidRego(report, extra)
    return report
