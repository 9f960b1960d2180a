"""What became of one request, from its rows in the ledger (contract:
audit-and-events.md 2.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SCHEMA_VERSION = "2026-05-20"
STORED_INPUT = "policy_input"
SHADOW = "shadow"
OUTCOMES = {"allow": "was allowed", "deny": "was denied"}
Row = Mapping[str, Any]


def final_decision(rows: Sequence[Row]) -> str:
    """``deny`` if anything was denied, else what was decided last. When a token went
    out all the same, for what was not denied, it is ``partial``."""
    decisions = {row["decision"] for row in rows}
    if "deny" in decisions:
        return "partial" if any(_issued(row) for row in rows) else "deny"
    return rows[-1]["decision"] or "unknown"


def _issued(row: Row) -> bool:
    """Whether a token went out that covers what the row is about."""
    return row["decision"] == "allow" and bool(_metadata(row).get("jti"))


def policy_input(zone_id: str, row: Row) -> dict[str, Any]:
    """What the policies were asked: as it was recorded, or for rows of other producers
    put together again from what they tell. It can be given to a simulation as it is."""
    metadata = _metadata(row)
    stored = metadata.get(STORED_INPUT)
    if isinstance(stored, dict):
        return stored
    scopes = metadata.get("requested_scopes")
    scopes = scopes if isinstance(scopes, list) else []
    found: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "principal": {
            "type": "Application",
            "id": _text(metadata.get("application_id")),
            "zone_id": zone_id,
            **_told(
                metadata,
                registration_method="application_registration_method",
                agent_session_id="agent_session_id",
                lifecycle="agent_lifecycle",
            ),
        },
        "resource": {
            "type": "Resource",
            "identifier": _text(metadata.get("resource")),
            "scopes": scopes,
        },
        "action": {"id": "TokenExchange"},
        "context": {
            "actor_claims": {},
            "requested_scopes": scopes,
            "challenge_resolved": False,
            **_told(
                metadata,
                session_id="session_id",
                agent_session_id="agent_session_id",
                delegation_edge_id="delegation_edge_id",
            ),
        },
    }
    labels = metadata.get("agent_labels")
    if isinstance(labels, list):
        found["principal"]["labels"] = labels
    for member, name in (
        ("session", "session_id"),
        ("delegation_edge", "delegation_edge_id"),
    ):
        if _text(metadata.get(name)):
            found[member] = {"id": metadata[name]}
    return found


def in_words(row: Row) -> str:
    """What was asked, what came of it, and why; more of why when it was recorded."""
    more = _text(_metadata(row).get("why"))
    said = f"{' '.join(_words(row))}. {more}".rstrip()
    return f"{said} {_on_trial(_metadata(row))}".rstrip()


def _on_trial(metadata: Mapping[str, Any]) -> str:
    """What the zone's shadow version would have done, when that is something else."""
    shadow = metadata.get(SHADOW)
    if not isinstance(shadow, dict) or shadow.get("agrees", True):
        return ""
    would = "allowed" if shadow.get("decision") == "allow" else "denied"
    return f"The shadow version would have {would} it."


def _words(row: Row) -> Iterator[str]:
    metadata = _metadata(row)
    yield _question(row["event_type"], metadata)
    who = metadata.get("application_name") or metadata.get("application_id")
    if who:
        yield f"by {who}"
    if metadata.get("agent_session_id"):
        yield f"as agent {metadata['agent_session_id']}"
    yield OUTCOMES.get(row["decision"], f"ended as {row['decision'] or 'unknown'}")
    reasons = ", ".join(_reasons(row))
    if reasons:
        yield f"({reasons})"


def _question(event_type: str, metadata: Mapping[str, Any]) -> str:
    scopes, resource = metadata.get("requested_scopes"), metadata.get("resource")
    if not resource:
        return event_type
    if isinstance(scopes, list) and scopes:
        return f"{', '.join(map(str, scopes))} on {resource}"
    return f"{event_type} for {resource}"


def _reasons(row: Row) -> Iterator[str]:
    """The words of the ledger for why, each once."""
    policies = row["determining_policies_json"] or ()
    diagnostics = row["diagnostics_json"] or ()
    told = [one.get("policy") for one in policies if isinstance(one, dict)]
    told += [one.get("reason") for one in diagnostics if isinstance(one, dict)]
    told.append(_metadata(row).get("reason"))
    if row["evaluation_status"] != "complete":
        told.append(row["evaluation_status"])
    yield from dict.fromkeys(str(word) for word in told if word)


def _metadata(row: Row) -> dict[str, Any]:
    metadata = row["metadata_json"]
    return metadata if isinstance(metadata, dict) else {}


def _told(metadata: Mapping[str, Any], **names: str) -> dict[str, str]:
    """Members of an input and the metadata they come from, where these tell them."""
    return {
        member: metadata[name]
        for member, name in names.items()
        if _text(metadata.get(name))
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
