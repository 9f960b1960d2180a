"""Weaknesses of other implementations, each as the scenario it is known by (contract:
policies-and-grants.md 17). Those with tests of their own beside them are not repeated.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from audit.models import OutboxEvent
from caracal_site.testing.api import Api, refusal
from policies import services
from policies.models import Policy, PolicyActivation
from policies.tests.factories import (
    HEAD,
    RESOURCE,
    activate,
    bootstrap,
    make_policy,
    make_version,
    mint,
)
from policies.watching import Watcher
from zones.models import Zone
from zones.tests.factories import ACTOR


@pytest.mark.parametrize(
    "line",
    [
        'holds contains "scopes_within_edge"',
        'allowed contains "mint"',
        'allowed contains "mint" if true',
        'application := "billing"',
        "unmet := {}",
        "needs := {}",
        "policy_set_is_active := true",
        "admits(rule) := true",
        'grants[input.resource.identifier] := {"application": "billing"}',
        "app_ids := {k: v | some k, v in input.principal}",
        'grants := {"a": data.caracal.contract}',
    ],
)
def test_no_document_widens_what_the_rules_allow(
    api: Api, zone: Zone, line: str
) -> None:
    """W1: a helper of the platform's rules, or data computed from the question."""
    body = {"name": "grasping", "content": HEAD + line + "\n"}
    response = api.post(f"/v1/zones/{zone.id}/policies", body)
    assert refusal(response) == (422, "invalid_rego")
    assert response.json()["details"]["issues"][0]["line"] == 6
    assert not Policy.objects.filter(zone=zone).exists()


def test_an_activation_has_arrived_although_its_news_was_pruned(
    api: Api, zone: Zone
) -> None:
    """W15: what is loaded counts, not what is left of the event."""
    version = make_version(zone)
    done = activate(version)
    Watcher("one").turn()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM event_outbox WHERE id = %s", [done.outbox_id])
    assert not OutboxEvent.objects.filter(id=done.outbox_id).exists()
    found = api.get(
        f"/v1/zones/{zone.id}/policy-sets/{version.policy_set_id}/activation-status"
    ).json()
    assert found["outbox"]["state"] == "missing"
    assert found["propagation_status"] == "loaded"


def test_without_redis_an_activation_commits_and_processes_catch_up(
    api: Api, zone: Zone, settings: Any
) -> None:
    """They look for what came in force by themselves; the news waits."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    first, second = make_version(zone), make_version(zone)
    activate(first)
    missed = Watcher("missed")
    missed.turn()
    path = f"/v1/zones/{zone.id}/policy-sets/{second.policy_set_id}"
    done = api.post(f"{path}/activate", {"version_id": second.id})
    assert done.status_code == 202
    assert PolicyActivation.objects.get(zone=zone).active_version_id == second.id
    waiting = api.get(f"{path}/activation-status").json()
    assert waiting["sts"]["state"] == "not_loaded"
    assert waiting["outbox"]["state"] == "pending"
    missed.turn()
    assert api.get(f"{path}/activation-status").json()["sts"]["state"] == "loaded"


def test_would_activate_says_what_activating_does(api: Api, zone: Zone) -> None:
    """W18: not when an input cannot be evaluated, nor when a scenario fails."""
    version = make_version(zone)
    path = f"/v1/zones/{zone.id}/policy-sets/{version.policy_set_id}"

    def would_activate(**asked: object) -> bool:
        body = {"version_id": version.id, **asked}
        return bool(api.post(f"{path}/simulate", body).json()["would_activate"])

    given = mint()
    given["principal"]["zone_id"] = zone.id
    assert would_activate()
    assert would_activate(input=given)
    assert not would_activate(input={**given, "principal": {"labels": "clerk"}})
    services.add_scenario(
        "an owner begins elsewhere",
        policy_set_id=version.policy_set_id,
        zone_id=zone.id,
        actor=ACTOR,
        document=bootstrap(resource={"identifier": f"{RESOURCE}/none"}),
        expected_decision="allow",
    )
    assert not would_activate()
    assert not would_activate(input=given)
    refused = api.post(f"{path}/activate", {"version_id": version.id})
    assert refusal(refused) == (422, "policy_scenarios_failed")


def test_pages_lose_no_policy_of_one_moment(api: Api, zone: Zone) -> None:
    """W24: what one transaction made has one time, to the microsecond."""
    made = {make_policy(zone).policy.id for _ in range(5)}
    moment = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
    Policy.objects.filter(zone=zone).update(created_at=moment)
    found: list[str] = []
    path: str | None = f"/v1/zones/{zone.id}/policies?limit=2"
    while path:
        response = api.get(path)
        found += [row["id"] for row in response.json()]
        link = response.headers.get("Link", "")
        path = link.partition("<")[2].partition(">")[0] or None
    assert sorted(found) == sorted(made)
