"""Policies and sets as any caller makes them, and inputs to ask them."""

from __future__ import annotations

import json
from typing import Any

from caracal_site.ids import new_id
from policies import services
from policies.models import PolicySet, PolicySetVersion
from zones.models import Zone
from zones.tests.factories import ACTOR

LIFECYCLE = "agent:lifecycle"
RESOURCE = "resource://invoices"
HEAD = "# caracal:data-document\npackage caracal.authz\n\nimport rego.v1\n\n"
READ, ISSUE = "invoices:read", "invoices:issue"
# The contract's worked examples (policies-and-grants.md 9).
APP_IDS = {"billing": "app-7f3", "reports": "app-9c1"}
GRANTS = {
    RESOURCE: {
        "application": "billing",
        "roles": {"clerk": [READ, ISSUE], "viewer": [READ]},
    },
    "resource://metrics": {
        "application": "reports",
        "roles": {"analyst": ["metrics:read"]},
    },
}


def document(**named: Any) -> str:
    """The source that defines each name as this value."""
    return HEAD + "".join(
        f"{name} := {json.dumps(value, indent=2)}\n" for name, value in named.items()
    )


def base_document(**changes: Any) -> str:
    """The worked examples' data, changed."""
    return document(**{"app_ids": APP_IDS, "grants": GRANTS, **changes})


def make_policy(
    zone: Zone, content: str = "", name: str = "", **fields: Any
) -> services.CreatedPolicy:
    return services.create_policy(
        name or new_id(),
        zone_id=zone.id,
        actor=ACTOR,
        content=content or base_document(),
        **fields,
    )


def make_set(zone: Zone, name: str = "") -> PolicySet:
    return services.create_policy_set(name or new_id(), zone_id=zone.id, actor=ACTOR)


def make_version(
    zone: Zone, *contents: str, of: PolicySet | None = None
) -> PolicySetVersion:
    """A version of a set, with a policy for each source."""
    made = [make_policy(zone, content) for content in contents or ("",)]
    return services.add_policy_set_version(
        (of or make_set(zone)).id,
        zone_id=zone.id,
        actor=ACTOR,
        policy_version_ids=[one.version.id for one in made],
    )


def activate(version: PolicySetVersion, **given: Any) -> services.Activation:
    return services.activate_policy_set(
        version.policy_set_id,
        zone_id=version.policy_set.zone_id,
        actor=ACTOR,
        version_id=version.id,
        **given,
    )


def bootstrap(application: str = "app-7f3", **changes: Any) -> dict[str, Any]:
    """An application that asks, as itself, for the lifecycle scope."""
    return {
        "schema_version": "2026-05-20",
        "principal": {
            "type": "Application",
            "id": application,
            "zone_id": "zone-a",
            "registration_method": "managed",
        },
        "resource": {
            "type": "Resource",
            "id": "res-1",
            "identifier": RESOURCE,
            "scopes": [LIFECYCLE, READ, ISSUE],
        },
        "action": {"id": "TokenExchange"},
        "context": {
            "actor_claims": {"caracal_client_id": application},
            "challenge_resolved": False,
            "requested_scopes": [LIFECYCLE],
            "trace_id": "req-1",
        },
        **changes,
    }


def mint(*scopes: str, labels: Any = ("clerk",), **changes: Any) -> dict[str, Any]:
    """An agent of the application that asks for scopes under an edge."""
    asked = bootstrap()
    asked["principal"] |= {
        "agent_session_id": "as-1",
        "lifecycle": "task",
        "labels": list(labels) if labels is not None else None,
    }
    asked["context"] |= {
        "requested_scopes": list(scopes or (ISSUE,)),
        "agent_session_id": "as-1",
        "delegation_edge_id": "edge-1",
    }
    asked["delegation_edge"] = {
        "id": "edge-1",
        "source_session_id": "as-0",
        "target_session_id": "as-1",
        "issuer_application_id": "app-7f3",
        "receiver_application_id": "app-7f3",
        "scopes": [READ, ISSUE],
        "edge_version": 1,
        "path": ["edge-1"],
        "graph_epoch": 4,
    }
    return {**asked, **changes}
