"""Gestures show what they will do, ask why, and do it through the services."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from agents.models import AgentSession
from audit.models import AdminAuditEvent
from caracal_site.console.tests import asking
from caracal_site.console.tests.populating import inhabit, parked
from caracal_site.testing.world import World
from delegations.models import DelegationEdge
from tokens.models import SigningKey
from zones.models import AdminToken, Zone
from zones.tests.factories import make_provider, make_resource, make_zone

WHY = "It was compromised."


@pytest.fixture
def actor_id(person: User) -> str:
    return f"console:{person.pk}"


def evidence(actor_id: str, entity_type: str, row: Model) -> AdminAuditEvent:
    """The person's newest row, which must be about ``row`` and carry the reason."""
    found = asking.last_audit(actor_id)
    assert (found.entity_type, found.entity_id) == (entity_type, row.pk)
    assert found.payload_json["reason"] == WHY
    return found


def impact(console: Client, page: str) -> dict[str, int]:
    """What the page of a gesture says will be affected."""
    return {part.what: part.count for part in console.get(page).context["impact"].parts}


def test_every_harmful_gesture_needs_a_reason(
    console: Client, rows: dict[str, Any], actor_id: str
) -> None:
    harmful = [
        ("agents.agentsession", "terminate"),
        ("agents.agentsession", "suspend"),
        ("agents.agentservice", "deregister"),
        ("agents.invocation", "cancel"),
        ("delegations.delegationedge", "revoke"),
        ("zones.zone", "archive"),
        ("zones.application", "archive"),
        ("zones.application", "rotate-secret"),
        ("zones.provider", "archive"),
        ("zones.resource", "archive"),
        ("zones.admintoken", "revoke"),
        ("tokens.signingkey", "withdraw"),
        ("tokens.stepupchallenge", "approve"),
        ("tokens.stepupchallenge", "reject"),
        ("policies.grant", "revoke"),
        ("policies.providergrant", "disconnect"),
    ]
    for label, name in harmful:
        page = asking.gesture(rows[label], name)
        for reason in ("", "   "):
            response = asking.carry_out(console, page, reason=reason)
            assert response.status_code == 200, (label, name)
            assert "This field is required." in asking.text(response)
    assert not AdminAuditEvent.objects.filter(actor_id=actor_id).exists()


def test_opening_the_page_changes_nothing(
    console: Client, rows: dict[str, Any], actor_id: str
) -> None:
    agent = rows["agents.agentsession"]
    console.get(asking.gesture(agent, "terminate"))
    agent.refresh_from_db()
    assert agent.status == "active"


def test_an_agent_is_terminated_with_what_was_previewed(
    console: Client, rows: dict[str, Any], actor_id: str
) -> None:
    agent = rows["agents.agentsession"]
    page = asking.gesture(agent, "terminate")
    foreseen = impact(console, page)
    assert foreseen["Agents that end"] >= 2
    assert foreseen["Invocations canceled"] == 1
    assert asking.carry_out(console, page, reason=WHY).status_code == 302
    agent.refresh_from_db()
    assert agent.status == "terminated"
    told = evidence(actor_id, "agents", agent).payload_json
    counts = [told["agents"], told["edges"], told["invocations"]]
    assert counts == list(foreseen.values())


def test_an_invocation_is_canceled(
    console: Client, rows: dict[str, Any], actor_id: str
) -> None:
    call = rows["agents.invocation"]
    page = asking.gesture(call, "cancel")
    assert impact(console, page) == {"Invocations canceled": 1}
    assert asking.carry_out(console, page, reason=WHY).status_code == 302
    call.refresh_from_db()
    assert (call.status, call.metadata_json) == ("canceled", {"cancel_reason": WHY})
    evidence(actor_id, "invocations", call)


def test_a_service_is_deregistered_with_its_calls(
    console: Client, rows: dict[str, Any], actor_id: str
) -> None:
    service = rows["agents.agentservice"]
    page = asking.gesture(service, "deregister")
    assert impact(console, page) == {
        "Services deregistered": 1,
        "Invocations canceled": 1,
    }
    assert asking.carry_out(console, page, reason=WHY).status_code == 302
    service.refresh_from_db()
    assert service.deregistration_reason == WHY
    rows["agents.invocation"].refresh_from_db()
    assert rows["agents.invocation"].status == "canceled"
    evidence(actor_id, "agent-services", service)


def test_a_service_that_lost_its_lease_is_kept_at_rest(
    console: Client, world: World, actor_id: str
) -> None:
    agent = world.spawn(lifecycle="service")
    row = AgentSession.objects.get(id=agent["agent_session_id"])
    past = timezone.now() - timedelta(seconds=1)
    AgentSession.objects.filter(id=row.id).update(heartbeat_deadline_at=past)
    assert world.heartbeat(agent).status_code == 409
    suspend = asking.gesture(row, "suspend")
    assert impact(console, suspend) == {"Agents suspended": 1}
    assert asking.carry_out(console, suspend, reason=WHY).status_code == 302
    assert evidence(actor_id, "agents", row).payload_json["event"] == (
        "agent.kept_suspended"
    )
    assert world.heartbeat(agent).json()["agent"]["status"] == "suspended"
    # Once is enough: it is not offered again.
    assert console.get(suspend).status_code == 302


def test_agents_are_suspended_and_resumed(
    console: Client, rows: dict[str, Any], actor_id: str
) -> None:
    agent = rows["agents.agentsession"]
    suspend = asking.gesture(agent, "suspend")
    assert console.get(suspend).context["impact"].size == 2
    assert asking.carry_out(console, suspend, reason=WHY).status_code == 302
    evidence(actor_id, "agents", agent)
    agent.refresh_from_db()
    assert agent.status == "suspended"
    assert (
        asking.carry_out(
            console, asking.gesture(agent, "resume"), reason=WHY
        ).status_code
        == 302
    )
    agent.refresh_from_db()
    assert agent.status == "active"
    resumed = asking.last_audit(actor_id).payload_json
    assert (resumed["event"], resumed["reason"]) == ("agent.resumed", WHY)


def test_a_refused_gesture_says_why(console: Client, world: World) -> None:
    agent, _edge = inhabit(world)
    root = AgentSession.objects.get(pk=agent.parent_id)
    asking.carry_out(console, asking.gesture(root, "suspend"), reason=WHY)
    response = asking.carry_out(console, asking.gesture(agent, "resume"), reason=WHY)
    assert response.status_code == 200
    assert "resume from there" in asking.text(response)


def test_a_delegation_is_revoked_with_what_rests_on_it(
    console: Client, rows: dict[str, Any], actor_id: str
) -> None:
    edge = rows["delegations.delegationedge"]
    page = asking.gesture(edge, "revoke")
    assert console.get(page).context["impact"].parts[0].count == 2
    response = asking.carry_out(console, page, reason=WHY)
    assert response.status_code == 302
    below = DelegationEdge.objects.get(parent_edge=edge)
    assert below.status == "revoked"
    assert evidence(actor_id, "delegations", edge).payload_json["edges"] == 2
    again = console.get(page, follow=True)
    assert "not possible here any more" in asking.text(again)


def crowd(world: World) -> AgentSession:
    """An agent with eleven below it."""
    root = world.spawn()
    for _ in range(11):
        world.spawn(root)
    return world.agent(root)


def test_a_large_effect_is_typed(console: Client, world: World) -> None:
    agent = crowd(world)
    page = asking.gesture(agent, "terminate")
    response = asking.carry_out(console, page, reason=WHY)
    assert "Type: terminate 12" in asking.text(response)
    wrong = asking.carry_out(console, page, reason=WHY, typed="terminate")
    assert "Type exactly" in asking.text(wrong)
    right = asking.carry_out(console, page, reason=WHY, typed="terminate 12")
    assert right.status_code == 302
    agent.refresh_from_db()
    assert agent.status == "terminated"


def test_an_effect_that_has_grown_is_shown_again(console: Client, world: World) -> None:
    root = world.spawn()
    agent = world.agent(root)
    page = asking.gesture(agent, "terminate")
    sent = {**asking.hidden(console.get(page)), "reason": WHY}
    world.spawn(root)
    response = console.post(page, sent)
    assert "More would be affected than you were shown" in asking.text(response)
    agent.refresh_from_db()
    assert agent.status == "active"
    assert (
        console.post(page, {**asking.hidden(response), "reason": WHY}).status_code
        == 302
    )


def choose(console: Client, name: str, *rows: Model) -> HttpResponse:
    """Picks rows in their list and an action for them."""
    chosen = {"action": name, "_selected_action": [row.pk for row in rows]}
    return console.post(asking.changelist(rows[0]), chosen)


def confirm_all(console: Client, page: HttpResponse, **answers: str) -> HttpResponse:
    ids = [row.pk for row in page.context["subjects"]]
    sent = {**asking.hidden(page), **answers, "id": ids}
    return console.post(page.context["action"], sent)


def test_several_agents_end_together(
    console: Client, world: World, actor_id: str
) -> None:
    agents = [world.agent(world.spawn()) for _ in range(3)]
    page = choose(console, "terminate", *agents)
    assert "Terminate 3 agents?" in asking.text(page)
    assert page.context["impact"].size == 3
    assert confirm_all(console, page, reason=WHY).status_code == 302
    left = AgentSession.objects.filter(pk__in=[agent.pk for agent in agents]).live()
    assert not left.exists()
    rows = AdminAuditEvent.objects.filter(actor_id=actor_id)
    assert len({row.request_id for row in rows}) == 1


def test_delegations_that_fall_with_one_another_are_revoked_together(
    console: Client, world: World
) -> None:
    _agent, edge = inhabit(world)
    below = DelegationEdge.objects.get(parent_edge=edge)
    page = choose(console, "revoke", edge, below)
    assert page.context["impact"].parts[0].count == 2
    assert confirm_all(console, page, reason=WHY).status_code == 302
    below.refresh_from_db()
    assert below.status == "revoked"


def test_a_zone_is_archived_by_typing_its_slug(
    console: Client, world: World, actor_id: str
) -> None:
    zone = world.zone
    world.spawn()
    page = asking.gesture(zone, "archive")
    foreseen = impact(console, page)
    assert foreseen["Agents that end"] == 1
    assert foreseen["Authority sessions revoked"] == 1
    standing = ("Applications archived", "Resources archived", "Providers archived")
    assert [foreseen[what] for what in standing] == [1, 1, 1]
    assert asking.carry_out(console, page, reason=WHY).status_code == 200
    done = asking.carry_out(console, page, reason=WHY, typed=zone.slug)
    assert done.status_code == 302
    zone.refresh_from_db()
    assert zone.archived_at is not None
    told = evidence(actor_id, "zones", zone).payload_json
    assert (told["terminated_agents"], told["revoked_sessions"]) == (1, 1)


def test_an_application_is_archived(
    console: Client, world: World, actor_id: str
) -> None:
    application = world.application.application
    world.spawn()
    page = asking.gesture(application, "archive")
    parts = impact(console, page)
    assert parts["Agents that end"] == 1
    assert parts["Resources left without a gateway"] == 1
    assert asking.carry_out(console, page, reason=WHY).status_code == 302
    evidence(actor_id, "applications", application)


def test_a_leaked_secret_is_replaced_and_what_it_did_is_ended(
    console: Client, world: World, actor_id: str
) -> None:
    application = world.application.application
    agent = world.spawn()
    page = asking.gesture(application, "rotate-secret")
    assert "1 agent and 1 session would end" in asking.text(console.get(page))
    done = asking.carry_out(
        console, page, reason=WHY, overlap_seconds="0", ends_live="on"
    )
    assert "The previous secret works no more." in asking.text(done)
    assert world.agent(agent).status == "terminated"
    told = evidence(actor_id, "applications", application).payload_json
    assert (told["overlap_seconds"], told["terminated_agents"]) == (0, 1)


def test_a_resource_is_archived_with_the_delegations_about_it(
    console: Client, rows: dict[str, Any], actor_id: str
) -> None:
    resource, edge = rows["zones.resource"], rows["delegations.delegationedge"]
    page = asking.gesture(resource, "archive")
    foreseen = impact(console, page)
    assert foreseen["Delegations revoked"] == 3
    assert asking.carry_out(console, page, reason=WHY).status_code == 302
    edge.refresh_from_db()
    assert edge.status == "revoked"
    told = evidence(actor_id, "resources", resource).payload_json
    assert told["revoked_delegations"] == foreseen["Delegations revoked"]
    assert told["terminated_agents"] == foreseen.get("Agents that end", 0)


def test_resources_and_then_their_provider_are_archived(
    console: Client, actor_id: str
) -> None:
    zone = make_zone()
    provider = make_provider(zone)
    resource = make_resource(zone, credential_provider_id=provider.pk)
    archive = asking.gesture(provider, "archive")
    response = asking.carry_out(console, archive, reason=WHY)
    assert response.status_code == 200
    assert "give them another provider first" in asking.text(response)
    page = asking.gesture(resource, "archive")
    assert asking.carry_out(console, page, reason=WHY).status_code == 302
    evidence(actor_id, "resources", resource)
    assert asking.carry_out(console, archive, reason=WHY).status_code == 302
    evidence(actor_id, "providers", provider)


def test_an_admin_token_is_revoked(
    console: Client, rows: dict[str, Any], actor_id: str
) -> None:
    token = rows["zones.admintoken"]
    page = asking.gesture(token, "revoke")
    assert asking.carry_out(console, page, reason=WHY).status_code == 302
    assert AdminToken.objects.get(pk=token.pk).revoked_at is not None
    evidence(actor_id, "admin-tokens", token)


def test_a_signing_key_is_replaced_and_withdrawn(
    console: Client, zone: Zone, actor_id: str
) -> None:
    key = SigningKey.objects.get(zone=zone)
    rotate = asking.gesture(zone, "rotate-signing-key")
    assert asking.carry_out(console, rotate, reason=WHY).status_code == 302
    evidence(actor_id, "signing-keys", SigningKey.objects.get(zone=zone, version=2))
    withdraw = asking.gesture(key, "withdraw")
    done = asking.carry_out(console, withdraw, reason=WHY, typed="withdraw v1")
    assert done.status_code == 302
    key.refresh_from_db()
    assert key.state == "withdrawn"
    evidence(actor_id, "signing-keys", key)


def test_parked_events_are_queued_again(
    console: Client, zone: Zone, actor_id: str
) -> None:
    events = [parked(zone), parked(zone)]
    page = choose(console, "requeue", *events)
    assert confirm_all(console, page, reason=WHY).status_code == 302
    for event in events:
        event.refresh_from_db()
        assert event.parked_at is None
    assert asking.last_audit(actor_id).payload_json["reason"] == WHY


def test_what_is_not_parked_is_not_queued_again(
    console: Client, rows: dict[str, Any]
) -> None:
    event = rows["audit.outboxevent"]
    page = console.get(asking.gesture(event, "requeue"), follow=True)
    assert "not possible here any more" in asking.text(page)


def test_a_gesture_for_one_row_is_not_done_to_many(console: Client) -> None:
    page = asking.url(AgentSession, "gestures", "resume")
    assert console.post(page, {"id": ["x"]}).status_code == 404
