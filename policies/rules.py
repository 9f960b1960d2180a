"""What policies and sets may be, and how answers differ: no database or clock."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from policies.decision import Decision

INPUT_SCHEMA_VERSION = "2026-05-20"
# Where the ledger keeps, in the metadata of a decision, what was decided on.
STORED_INPUT = "policy_input"
# Where a decision keeps what the zone's shadow version said.
RECORDED_SHADOW = "shadow"
MAX_NAME = 200
MAX_DESCRIPTION = 2_000
MAX_CONTENT = 262_144
MAX_MANIFEST = 256
MAX_SCENARIOS = 500
OWNER_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}\Z")


def content_digest(content: str) -> str:
    """The hex SHA-256 of the source's UTF-8 bytes."""
    return hashlib.sha256(content.encode()).hexdigest()


def manifest_of(version_ids: Sequence[str]) -> list[dict[str, str]]:
    """The manifest as the API shows it."""
    return [{"policy_version_id": version_id} for version_id in version_ids]


def manifest_digest(version_ids: Sequence[str]) -> str:
    """The hex SHA-256 of the manifest's compact JSON (contract:
    policies-and-grants.md 4.4)."""
    return hashlib.sha256(orjson.dumps(manifest_of(version_ids))).hexdigest()


@dataclass(frozen=True, slots=True)
class Member:
    """What the contract of a set looks at in each of its policy versions."""

    id: str
    zone_id: str
    schema_version: str


def manifest_fault(
    wanted: Sequence[str],
    found: Mapping[str, Member],
    *,
    zone_id: str,
    schema_version: str,
) -> str | None:
    """Why these policy versions are no manifest, as the contract words it, or None."""
    if len(set(wanted)) < len(wanted):
        return "policy set manifest contains duplicate policy_version_id entries"
    missing = [version_id for version_id in wanted if version_id not in found]
    if missing:
        return f"policy set manifest names missing policy versions: {missing[0]}"
    for version_id in wanted:
        member = found[version_id]
        if member.zone_id != zone_id:
            return f"policy version {version_id} belongs to a different zone"
        if member.schema_version != schema_version:
            return (
                f"schema {member.schema_version} of policy version {version_id} does"
                f" not match policy set schema {schema_version}"
            )
    return None


def why_nothing_is_allowed(data: Mapping[str, Any]) -> str | None:
    """Why these documents deny whatever is asked, or None when they may allow some."""
    if data.get("restrict"):
        return "restrict has an entry"
    owners = {view.get("application") for view in (data.get("grants") or {}).values()}
    if not owners:
        return "grants is empty"
    if not owners & set(data.get("app_ids") or {}):
        return "no key of app_ids is the application of a grant"
    return None


def input_warnings(document: Mapping[str, Any], zone_id: str) -> list[str]:
    """What the contract warns of in an input, in its order."""
    warnings = []
    version = document.get("schema_version")
    if version is not None and version != INPUT_SCHEMA_VERSION:
        warnings.append(f"input_schema_mismatch:{version}")
    principal = document.get("principal")
    if not isinstance(principal, Mapping) or principal.get("zone_id") != zone_id:
        warnings.append("principal_zone_mismatch")
    warnings += [
        f"missing_{member}"
        for member in ("resource", "action")
        if not document.get(member) and document.get(member) != {}
    ]
    if not isinstance(document.get("context"), Mapping):
        warnings.append("missing_context")
    return warnings


def answered(decision: Decision) -> dict[str, Any]:
    """A decision as simulations show it."""
    return {
        "decision": decision.decision,
        "determining_policies": [dict(one) for one in decision.determining_policies],
        "evaluation_status": decision.evaluation_status,
        "diagnostics": [dict(one) for one in decision.diagnostics],
    }


def flip(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """How two answers differ: ``allow_to_deny``, ``deny_to_allow``, ``explanation``
    when only the reasons do, or None."""
    if before["decision"] != after["decision"]:
        return f"{before['decision']}_to_{after['decision']}"
    return "explanation" if dict(before) != dict(after) else None


def scenario_fault(
    expected_decision: str, expected_policy: str | None, found: Mapping[str, Any]
) -> str | None:
    """Why an answer is not the one a scenario expects, or None."""
    if found["decision"] != expected_decision:
        return f"expected {expected_decision}, got {found['decision']}"
    named = [one.get("policy") for one in found["determining_policies"]]
    if expected_policy and expected_policy not in named:
        told = ", ".join(str(name) for name in named) or "none"
        return f"expected policy {expected_policy}, got {told}"
    return None
