"""Scenarios of the load generator for the token endpoint, beside those it has itself.

The zone is made over HTTP as an operator would: a policy set in force, an application
with its secret, agents, and edges between them.
"""

from __future__ import annotations

import uuid
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import load  # type: ignore[import-not-found]
from django.conf import settings

from tokens import forms

DEPTH = 5
LABEL = "bench-role"
READ = "bench:read"
TTL_SECONDS = 36_000
POLICY = """# caracal:data-document
package caracal.authz

import rego.v1

app_ids := {{"bench": "{application}"}}

grants := {{
  "{resource}": {{"application": "bench", "roles": {{"{label}": ["{read}"]}}}},
}}
"""


@load.scenario("tokens_bootstrap")  # type: ignore[untyped-decorator]
def bootstrap(target: Any, concurrency: int, seconds: float) -> Any:
    """POST /oauth/2/token: an application's session token"""
    zone, resource, _ = _zone(target)
    asked = _form(zone, resource, scope=settings.AGENT_COORDINATOR_SCOPE)
    return target.coord_addr, load.loop([("token", _request(target, asked))])


@load.scenario("tokens_narrowed_depth5")  # type: ignore[untyped-decorator]
def narrowed(target: Any, concurrency: int, seconds: float) -> Any:
    """POST /oauth/2/token for an agent at the end of five delegations"""
    zone, resource, resource_id = _zone(target)
    agents = target.agents(zone, DEPTH + 1, labels=[LABEL])
    edge = None
    for hop, (source, receiver) in enumerate(pairwise(agents)):
        edge = _delegate(target, zone, resource_id, source, receiver, hop, edge)
    bound = {"agent_session_id": agents[-1], "delegation_edge_id": edge}
    asked = _form(zone, resource, scope=READ, **bound)
    return target.coord_addr, load.loop([("token", _request(target, asked))])


def _zone(target: Any) -> tuple[Any, str, str]:
    """A zone with policies in force, and the identifier and id of its resource."""
    zone = target.new_zone()
    resource_id = target.resource(zone, (settings.AGENT_COORDINATOR_SCOPE, READ))
    base = f"/v1/zones/{zone.zone}"
    found = load.must(target.api("GET", f"{base}/resources/{resource_id}"), 200)
    resource = found["identifier"]
    content = POLICY.format(
        application=zone.application, resource=resource, label=LABEL, read=READ
    )
    policy = {"name": f"bench {uuid.uuid4().hex[:8]}", "content": content}
    made = load.must(target.api("POST", f"{base}/policies", policy), 201)
    chosen = load.must(
        target.api("POST", f"{base}/policy-sets", {"name": "bench"}), 201
    )
    path = f"{base}/policy-sets/{chosen['id']}"
    manifest = {"manifest": [{"policy_version_id": made["version_id"]}]}
    version = load.must(target.api("POST", f"{path}/versions", manifest), 201)
    asked = {"version_id": version["version_id"]}
    load.must(target.api("POST", f"{path}/activate", asked), 202)
    return zone, resource, resource_id


def _delegate(
    target: Any,
    zone: Any,
    resource_id: str,
    source: str,
    receiver: str,
    hop: int,
    parent: str | None,
) -> str:
    left = DEPTH - hop
    ttl = TTL_SECONDS + 60 * left
    body = load.delegation(zone, resource_id, source, receiver, left, ttl)
    body |= {"parent_edge_id": parent} if parent else {}
    path = f"/zones/{zone.zone}/delegations"
    made = load.must(target.coord("POST", path, zone.token, body), 201)
    return str(made["delegation_edge_id"])


def _form(zone: Any, resource: str, **more: Any) -> dict[str, Any]:
    return {
        "grant_type": forms.TOKEN_EXCHANGE,
        "zone_id": zone.zone,
        "application_id": zone.application,
        "client_secret": zone.secret,
        "resource": resource,
        **more,
    }


def _request(target: Any, form: dict[str, Any]) -> bytes:
    body = urlencode(form).encode()
    head = (
        f"POST /oauth/2/token HTTP/1.1\r\nhost: {target.coord_host}\r\n"
        f"content-type: {forms.FORM}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
