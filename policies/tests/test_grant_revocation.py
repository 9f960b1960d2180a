"""What ends with a grant: what was done under it, and nothing else (policies W27)."""

from __future__ import annotations

from typing import Any

import pytest

from audit.models import AdminAuditEvent
from caracal_site.testing.api import Api, made
from caracal_site.testing.evidence import Events
from caracal_site.testing.races import Threads, held
from caracal_site.testing.world import READ, World
from policies.grants import services
from policies.grants.models import Grant
from tokens.models import Session
from tokens.tests.factories import Client, make_session
from zones.models import Resource
from zones.tests.factories import ACTOR, told

REVOKE = "caracal.sessions.revoke"


def record(
    world: World,
    by: Client | None = None,
    user: str = "ada",
    resource: Resource | None = None,
) -> Grant:
    return services.create_grant(
        zone_id=world.zone.id,
        actor=ACTOR,
        application_id=(by or world.application).id,
        user_id=user,
        resource_id=(resource or world.resource).id,
        scopes=[READ],
    )


def revoke(grant: Grant) -> services.Revocation:
    return services.revoke_grant(
        grant.id, zone_id=grant.zone_id, actor=ACTOR, reason="left"
    )


def signed_in(by: Client, user: str = "ada", **fields: Any) -> Session:
    """A session of a user with an application."""
    return make_session(by, session_type="user", subject_id=user, **fields)


def live(*sessions: Session) -> list[bool]:
    found = Session.objects.in_bulk([session.id for session in sessions])
    return [found[session.id].status == "active" for session in sessions]


def test_only_the_users_sessions_with_the_application_end(world: World) -> None:
    """tokens W-20: all sessions of the user ended."""
    other = world.make_application()
    mine = signed_in(world.application)
    below = signed_in(world.application, "below", parent_id=mine.id)
    strangers = signed_in(world.application, "bob")
    elsewhere = signed_in(other)
    own = world.session()
    revocation = revoke(record(world))
    assert live(mine, below, strangers, elsewhere, own) == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert set(revocation.ended.sessions) == {mine.id, below.id}
    mine.refresh_from_db()
    assert mine.revoked_reason == "grant_revoked"


def test_an_application_named_as_user_keeps_its_own_sessions(world: World) -> None:
    own = world.session()
    revoke(record(world, user=world.application.id))
    assert live(own) == [True]


def test_agents_on_the_sessions_end_with_their_delegations(
    world: World, events: Events
) -> None:
    session = signed_in(world.application)
    token = world.token(sid=session.id, sub=session.subject_id)
    agent = world.spawn(token=token)
    helper, stays = world.spawn(), world.spawn()
    edge = world.delegate(agent, helper, token=token)
    grant = record(world)
    foreseen = services.foresee_grant(grant).ended
    events.take()
    done = revoke(grant).ended
    assert (done.agents, done.delegations) == (foreseen.agents, foreseen.delegations)
    assert world.agent(agent).status == "terminated"
    assert world.agent(stays).status == "active"
    assert world.edge(edge).status == "revoked"
    left = events.take()
    about = [
        payload
        for payload in left.payloads(REVOKE)
        if payload.get("session_id") == session.id and "grant_id" in payload
    ]
    assert about == [
        {
            "zone_id": world.zone.id,
            "session_id": session.id,
            "reason": "grant_revoked",
            "grant_id": grant.id,
        }
    ]
    row = next(row for row in left.audit if row.entity_id == grant.id)
    said = told(row)
    assert (said["event"], said["reason"]) == ("grant.revoked", "left")
    assert (said["revoked_sessions"], said["terminated_agents"]) == (
        1,
        len(done.agents),
    )
    world.assert_sound()


def test_what_another_grant_to_the_application_justifies_goes_on(
    world: World,
) -> None:
    """Only the delegations over the resource of the grant end."""
    second = world.make_resource(world.application)
    session = signed_in(world.application)
    token = world.token(sid=session.id, sub=session.subject_id)
    agent = world.spawn(token=token)
    over_first = world.delegate(
        agent, world.spawn(), resource_id=world.resource.id, token=token
    )
    over_second = world.delegate(
        agent, world.spawn(), resource_id=second.id, token=token
    )
    grant, other = record(world), record(world, resource=second)
    foreseen = services.foresee_grant(grant).ended
    done = revoke(grant).ended
    assert done.delegations == foreseen.delegations
    assert set(done.delegations) == {over_first["delegation_edge_id"]}
    assert live(session) == [True]
    assert world.edge(over_second).status == "active"
    assert world.agent(agent).status == "active"
    revoke(other)
    assert live(session) == [False]
    assert world.agent(agent).status == "terminated"
    world.assert_sound()


def test_revoking_again_changes_nothing(world: World, api: Api, events: Events) -> None:
    grant = record(world)
    mine = f"/v1/zones/{world.zone.id}/grants/{grant.id}"
    assert api.delete(mine).status_code == 204
    after = signed_in(world.application)
    events.take()
    assert api.delete(mine).status_code == 204
    assert live(after) == [True]
    left = events.take()
    assert (left.audit, left.outbox) == ([], [])
    assert api.get(mine).json()["status"] == "revoked"


def test_a_preview_tells_what_then_happens(world: World, api: Api) -> None:
    session = signed_in(world.application)
    grant = record(world)
    mine = f"/v1/zones/{world.zone.id}/grants/{grant.id}"
    foreseen = api.delete(f"{mine}?dry_run=true").json()
    assert foreseen["ends"]["sessions"]["first"][0]["id"] == session.id
    assert live(session) == [True]
    assert api.get(mine).json()["status"] == "active"


def test_a_locked_session_is_waited_for(world: World) -> None:
    session = signed_in(world.application)
    grant = record(world)
    with Threads(1) as threads:
        with held(Session.objects.filter(id=session.id)) as wait:
            revoking = threads.start(revoke, grant)
            wait(1)
        assert revoking.result(20).ended.sessions == (session.id,)
    assert live(session) == [False]


def test_of_the_last_two_at_once_one_ends_the_sessions(world: World) -> None:
    """Each would find the other in force, if they did not wait for one another."""
    session = signed_in(world.application)
    grants = [
        record(world),
        record(world, resource=world.make_resource(world.application)),
    ]
    with Threads(2) as threads:
        with held(Grant.objects.filter(id__in=[grant.id for grant in grants])) as wait:
            both = [threads.start(revoke, grant) for grant in grants]
            wait(2)
        assert sorted(len(one.result(20).ended.sessions) for one in both) == [0, 1]
    assert live(session) == [False]


def test_many_sessions_are_one_batch(world: World, events: Events) -> None:
    sessions = [signed_in(world.application) for _ in range(30)]
    grant = record(world)
    events.take()
    revoke(grant)
    assert not any(live(*sessions))
    left = events.take()
    assert len(left.payloads(REVOKE)) == len(sessions)
    assert len(left.audit) == 1


@pytest.mark.parametrize("ends_by_time", [False, True])
def test_the_end_is_evidence_of_one_audit_row(
    world: World, api: Api, ends_by_time: bool
) -> None:
    body = {
        "application_id": world.application.id,
        "user_id": "eve",
        "resource_id": world.resource.id,
        "scopes": [READ],
    }
    grant = made(api.post(f"/v1/zones/{world.zone.id}/grants", body))
    session = signed_in(world.application, "eve")
    if ends_by_time:
        Grant.objects.filter(id=grant["id"]).update(expires_at="2020-01-01T00:00:00Z")
        services.expire_due_grants()
    else:
        api.delete(f"/v1/zones/{world.zone.id}/grants/{grant['id']}")
    session.refresh_from_db()
    cause = "grant_expired" if ends_by_time else "grant_revoked"
    assert session.revoked_reason == cause
    rows = AdminAuditEvent.objects.filter(entity_id=grant["id"])
    assert rows.count() == 2
