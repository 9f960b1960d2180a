"""Facts about policies and policy sets that refuse a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caracal_site.errors import CaracalError, RetryLater
from policies.examination.report import Issue, Report
from policies.grants import errors as _grant_errors  # noqa: F401 - for the catalogue


def _told(issue: Issue, member: str) -> dict[str, Any]:
    """One fault of a text, as an issue of the body's member that has or names it."""
    return {
        "path": [member],
        "message": issue.message,
        "line": issue.line,
        "column": issue.column,
        "code": issue.code,
        "hint": issue.hint,
    }


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
        issues = [_told(issue, "content") for issue in report.issues]
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


class InvalidPolicyContract(CaracalError):
    """The policies of the set cannot decide together; detail says why."""

    code = "invalid_policy_contract"
    status = 422

    def __init__(self, detail: str, issues: Sequence[Issue] = ()) -> None:
        found = [{**_told(one, "manifest"), "document": one.document} for one in issues]
        super().__init__(
            f"{detail[:1].upper()}{detail[1:]}.",
            extra={
                "detail": detail,
                **({"details": {"issues": found}} if found else {}),
            },
        )


class InvalidShadowPolicyContract(InvalidPolicyContract):
    """The policies of the shadow version cannot decide together."""

    code = "invalid_shadow_policy_contract"


class PolicyNotFound(CaracalError):
    """There is no such policy in this zone."""

    code = "policy_not_found"
    status = 404


class PolicyNameTaken(CaracalError):
    """Another policy of the zone has this name."""

    code = "policy_name_taken"
    status = 409


class PolicyInUse(CaracalError):
    """Policy sets of the zone use this policy; used_by names them."""

    code = "policy_in_use"
    status = 409

    def __init__(self, used_by: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(extra={"used_by": [dict(use) for use in used_by]})


class PolicySetNotFound(CaracalError):
    """There is no such policy set in this zone."""

    code = "policy_set_not_found"
    status = 404


class PolicySetNameTaken(CaracalError):
    """Another policy set of the zone has this name."""

    code = "policy_set_name_taken"
    status = 409


class PolicySetActive(CaracalError):
    """The policy set is in force: activate another, or deactivate it, first."""

    code = "policy_set_active"
    status = 409


class PolicySetNotActive(CaracalError):
    """The policy set is not in force."""

    code = "policy_set_not_active"
    status = 409


class PolicySetVersionNotFound(CaracalError):
    """The policy set has no such version."""

    code = "policy_set_version_not_found"
    status = 404


class VersionNotFound(CaracalError):
    """The zone has no such live policy set, or the set no such version."""

    code = "version_not_found"
    status = 404


class ShadowVersionNotFound(CaracalError):
    """The policy set has no such version to shadow with."""

    code = "shadow_version_not_found"
    status = 404


class PolicySetBindingNotFound(CaracalError):
    """There is no such policy set in this zone."""

    code = "policy_set_binding_not_found"
    status = 404


class ActivePolicySetVersionNotFound(CaracalError):
    """The policy set is not in force, and no version was asked about."""

    code = "active_policy_set_version_not_found"
    status = 404


class ActiveVersionChanged(CaracalError):
    """Another version is in force than the request expected."""

    code = "active_version_changed"
    status = 409

    def __init__(self, active_version_id: str | None) -> None:
        super().__init__(extra={"active_version_id": active_version_id})


class ScenariosFailed(CaracalError):
    """Scenarios of the set do not come out as expected; scenarios names them."""

    code = "policy_scenarios_failed"
    status = 422

    def __init__(self, failed: Sequence[Mapping[str, Any]]) -> None:
        names = ", ".join(str(one["name"]) for one in failed)
        super().__init__(
            f"Scenarios of the set do not come out as expected: {names}.",
            extra={"scenarios": [dict(one) for one in failed]},
        )


class ScenarioNotFound(CaracalError):
    """The policy set has no such scenario."""

    code = "policy_scenario_not_found"
    status = 404


class ScenarioNameTaken(CaracalError):
    """Another scenario of the policy set has this name."""

    code = "policy_scenario_name_taken"
    status = 409
