"""Facts about policies that refuse a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caracal_site.errors import CaracalError, RetryLater
from policies.examination.report import Report


class InvalidSchemaVersion(CaracalError):
    """Policies are not written in this schema version."""

    code = "invalid_schema_version"
    status = 422

    def __init__(self, version: str, extra: Mapping[str, Any] | None = None) -> None:
        detail = f"unsupported_schema_version:{version}"
        super().__init__(extra={**(extra or {}), "detail": detail})


class InvalidRego(CaracalError):
    """The policy is not valid; detail and details.issues say where and why."""

    code = "invalid_rego"
    status = 422

    def __init__(self, report: Report, extra: Mapping[str, Any] | None = None) -> None:
        issues = [
            {
                "path": ["content"],
                "message": issue.message,
                "line": issue.line,
                "column": issue.column,
                "code": issue.code,
                "hint": issue.hint,
            }
            for issue in report.issues
        ]
        super().__init__(
            str(report.leading_issue),
            extra={
                **(extra or {}),
                "detail": report.leading_issue.code,
                "details": {"issues": issues},
            },
        )
        self.report = report


class PolicyValidationBusy(RetryLater):
    """Too many policies are being validated at this moment."""

    code = "policy_validation_busy"
    status = 503
