"""Step-up challenges on the Management API (contract: audit-and-events.md 2.7)."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from typing import Any

import pytest

from audit.models import AdminAuditEvent
from caracal_site.actors import Actor, ActorKind
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
from caracal_site.testing.races import Threads
from caracal_site.testing.world import WRITE, World
from tokens import services
from tokens.api.challenge_views import SHOWN
from tokens.errors import ChallengeNotSatisfiable
from tokens.models import Session, StepUpChallenge
from tokens.tests.approvals import Guarded, age
from tokens.tests.factories import make_session
from zones import services as zones
from zones.models import Zone

CONTRACT = {
    "id",
    "zone_id",
    "session_id",
    "challenge_type",
    "metadata_json",
    "created_at",
    "expires_at",
    "satisfied_at",
    "approver_subject_id",
}


@pytest.fixture
def guarded(world: World) -> Guarded:
    return Guarded(world)


def path(guarded: Guarded, *parts: str) -> str:
    base = f"/v1/zones/{guarded.world.zone.id}/step-up-challenges"
    return "/".join([base, *parts])


def ids(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()]


def test_a_challenge_is_read_and_approved(api: Api, guarded: Guarded) -> None:
    challenge = guarded.challenge()
    [listed] = api.get(path(guarded)).json()
    read = api.get(path(guarded, challenge.id))
    assert read.json() == listed
    assert listed.keys() >= CONTRACT
    assert listed["metadata_json"] == {
        "requested_scopes": [WRITE],
        "resources": [guarded.resource],
    }
    assert (listed["state"], listed["satisfied_at"]) == ("pending", None)
    assert listed["agent_session_id"] == guarded.clerk["agent_session_id"]
    assert not any("hash" in name for name in listed)
    approved = api.post(path(guarded, challenge.id, "satisfy"), {})
    assert approved.status_code == 200
    told = approved.json()
    assert told["approver_subject_id"].startswith("admin:")
    assert told.keys() == {"id", "satisfied_at", "approver_subject_id"}
    again = api.get(path(guarded, challenge.id)).json()
    assert again["state"] == "satisfied"
    assert again["satisfied_at"] == told["satisfied_at"]
    assert guarded.ask(challenge_id=challenge.id)
    used = api.get(path(guarded, challenge.id)).json()
    assert used["state"] == "consumed"
    assert used["consumed_at"]


def test_approving_needs_no_body(api: Api, guarded: Guarded) -> None:
    challenge = guarded.challenge()
    assert api.post(path(guarded, challenge.id, "satisfy")).status_code == 200
    row = AdminAuditEvent.objects.filter(entity_id=challenge.id).latest("position")
    assert row.payload_json["reason"] == "approved through the Management API"


def test_reasons_are_kept(api: Api, guarded: Guarded) -> None:
    for verb, event in (("satisfy", "satisfied"), ("reject", "rejected")):
        challenge = guarded.challenge()
        answer = api.post(path(guarded, challenge.id, verb), {"reason": "because"})
        assert answer.status_code == 200
        row = AdminAuditEvent.objects.filter(entity_id=challenge.id).latest("position")
        assert row.payload_json["event"] == f"step_up.{event}"
        assert row.payload_json["reason"] == "because"
        assert api.get(path(guarded, challenge.id)).json()["reason"] == "because"
        if verb == "satisfy":
            guarded.ask(challenge_id=challenge.id)


def test_a_rejection_says_who_and_when(api: Api, guarded: Guarded) -> None:
    challenge = guarded.challenge()
    told = api.post(path(guarded, challenge.id, "reject"), {"reason": "no"}).json()
    assert told.keys() == {"id", "rejected_at", "rejected_by"}
    row = api.get(path(guarded, challenge.id)).json()
    assert (row["state"], row["rejected_by"]) == ("rejected", told["rejected_by"])
    assert row["approver_subject_id"] is row["satisfied_at"] is None


@pytest.mark.parametrize("verb", ["satisfy", "reject"])
def test_what_is_over_is_answered_no_more(
    api: Api, guarded: Guarded, verb: str
) -> None:
    done = guarded.challenge()
    api.post(path(guarded, done.id, "satisfy"))
    lost = guarded.challenge(ttl_seconds=61)
    age(lost, minutes=31)
    turned_down = guarded.challenge(ttl_seconds=62)
    api.post(path(guarded, turned_down.id, "reject"), {"reason": "no"})
    for challenge in (done, lost, turned_down):
        answer = api.post(path(guarded, challenge.id, verb), {"reason": "yes"})
        assert refusal(answer) == (409, "challenge_not_satisfiable")


def test_two_at_once_answer_one_challenge_once(api: Api, guarded: Guarded) -> None:
    challenge = guarded.challenge()
    with Threads(2) as threads:
        sent = [
            threads.start(api.post, path(guarded, challenge.id, verb), {"reason": "x"})
            for verb in ("satisfy", "reject")
        ]
        statuses = sorted(one.result().status_code for one in sent)
    assert statuses == [200, 409]


@pytest.mark.parametrize("verb", ["", "satisfy", "reject"])
def test_a_challenge_of_another_zone_is_not_found(
    api: Api, guarded: Guarded, elsewhere: Zone, verb: str
) -> None:
    challenge = guarded.challenge()
    base = f"/v1/zones/{elsewhere.id}/step-up-challenges"
    for challenge_id in (challenge.id, new_id()):
        parts = [base, challenge_id, *([verb] if verb else [])]
        send = api.post if verb else api.get
        given = ({"reason": "x"},) if verb else ()
        assert refusal(send("/".join(parts), *given)) == (404, "challenge_not_found")


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("satisfy", {"approver": "me"}),
        ("satisfy", {"reason": 1}),
        ("satisfy", {"reason": ""}),
        ("satisfy", {"reason": "x" * 501}),
        ("satisfy", []),
        ("reject", {}),
        ("reject", {"reason": None}),
        ("reject", {"reason": "x", "by": "me"}),
    ],
    ids=str,
)
def test_a_bad_body_is_refused(
    api: Api, guarded: Guarded, verb: str, body: Any
) -> None:
    challenge = guarded.challenge()
    answer = api.post(path(guarded, challenge.id, verb), body)
    assert refusal(answer) == (400, "invalid_body")
    challenge.refresh_from_db()
    assert challenge.state == "pending"


def test_an_answer_on_an_older_state_of_things_is_refused(
    api: Api, guarded: Guarded
) -> None:
    challenge = guarded.challenge()
    read = api.get(path(guarded, challenge.id))
    tag = read["ETag"]
    known = api.get(path(guarded, challenge.id), if_none_match=tag)
    assert known.status_code == 304
    stale = api.post(path(guarded, challenge.id, "satisfy"), if_match='"7"')
    assert refusal(stale) == (412, "precondition_failed")
    done = api.post(path(guarded, challenge.id, "satisfy"), if_match=tag)
    assert done.status_code == 200
    assert api.get(path(guarded, challenge.id))["ETag"] != tag


def test_the_list_is_narrowed_and_paged(api: Api, guarded: Guarded) -> None:
    made_ = [guarded.challenge(ttl_seconds=60 + number) for number in range(4)]
    new, two, one, lost = reversed([challenge.id for challenge in made_])
    api.post(path(guarded, one, "satisfy"))
    api.post(path(guarded, two, "reject"), {"reason": "no"})
    age(made_[0], minutes=31)
    asked = {
        "": [new, two, one, lost],
        "state=pending": [new],
        "state=satisfied": [one],
        "state=rejected": [two],
        "state=expired": [lost],
        "state=consumed": [],
        f"application_id={guarded.world.application.id}": [new, two, one, lost],
        f"agent_session_id={guarded.lead['agent_session_id']}": [],
        f"delegation_edge_id={guarded.edge['delegation_edge_id']}&state=pending": [new],
        "session_id=nobody": [],
        "ordering=created_at": [lost, one, two, new],
    }
    for query, wanted in asked.items():
        assert ids(api.get(f"{path(guarded)}?{query}".rstrip("?"))) == wanted, query
    first = api.get(f"{path(guarded)}?limit=3")
    following = first["Link"].partition(">")[0].removeprefix("<")
    assert ids(first) + ids(api.get(following)) == [new, two, one, lost]


@pytest.mark.parametrize(
    "query", ["state=open", "limit=0", "limit=501", "cursor=x", "states=pending"]
)
def test_a_bad_question_is_refused(api: Api, guarded: Guarded, query: str) -> None:
    status, code = refusal(api.get(f"{path(guarded)}?{query}"))
    assert (status, code.startswith("invalid_")) == (400, True)


def test_the_list_is_a_file_when_asked(api: Api, guarded: Guarded) -> None:
    challenge = guarded.challenge()
    answer = api.get(f"{path(guarded)}?format=csv")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    [row] = csv.DictReader(io.StringIO(text))
    assert tuple(row) == SHOWN
    assert (row["id"], row["state"]) == (challenge.id, "pending")


def refused_for(challenge: StepUpChallenge, actor: Actor) -> bool:
    with suppress(ChallengeNotSatisfiable):
        services.satisfy_challenge(challenge.id, zone_id=challenge.zone_id, actor=actor)
        return False
    return True


def test_who_holds_the_secret_of_the_application_cannot_approve(
    api: Api, guarded: Guarded
) -> None:
    """W-13: who asks and who approves were never the same by definition."""
    zone_id = guarded.world.zone.id
    minted = made(
        api.post(
            "/v1/admin-tokens",
            {"name": "zone", "scope": "zone", "zone_id": zone_id},
        )
    )
    requester = api.as_(minted["token"])
    rotate = f"/v1/zones/{zone_id}/applications/{guarded.world.application.id}"
    assert requester.post(f"{rotate}/rotate-secret").status_code == 200
    challenge = guarded.challenge()
    answer = requester.post(path(guarded, challenge.id, "satisfy"))
    assert refusal(answer) == (409, "challenge_not_satisfiable")
    assert "cannot approve" in answer.json()["error_description"]
    assert requester.get(path(guarded)).status_code == 200
    assert api.post(path(guarded, challenge.id, "satisfy")).status_code == 200


def test_no_application_and_no_assistant_approves(guarded: Guarded) -> None:
    challenge = guarded.challenge()
    zone_id = guarded.world.zone.id
    for kind in (ActorKind.APPLICATION, ActorKind.OPERATOR, ActorKind.STRANGER):
        actor = Actor(kind=kind, id="x", name="x", zone_id=zone_id)
        assert refused_for(challenge, actor)
    token = {"kind": ActorKind.ADMIN_TOKEN, "id": "t", "name": "t"}
    assert refused_for(challenge, Actor(**token, by_operator=True))
    assert not refused_for(challenge, Actor(**token))


def test_a_person_does_not_approve_for_their_own_session(guarded: Guarded) -> None:
    session = make_session(guarded.world.application, session_type="user")
    Session.objects.filter(id=session.id).update(subject_id="ada")
    challenge = guarded.challenge()
    StepUpChallenge.objects.filter(id=challenge.id).update(session_id=session.id)
    ada = Actor(kind=ActorKind.CONSOLE, id="console:1", name="ada")
    bob = Actor(kind=ActorKind.CONSOLE, id="console:2", name="bob")
    assert refused_for(challenge, ada)
    assert not refused_for(challenge, bob)


@pytest.mark.parametrize("kind", ["application", "session", "agent", "edge"])
def test_what_has_ended_is_not_approved(
    api: Api, guarded: Guarded, actor: Actor, kind: str
) -> None:
    world = guarded.world
    session = make_session(world.application)
    challenge = guarded.challenge(session_id=session.id)
    if kind == "application":
        zones.archive_application(
            world.application.id, zone_id=world.zone.id, actor=actor, reason="gone"
        )
    elif kind == "session":
        Session.objects.filter(id=session.id).update(status="revoked")
    elif kind == "agent":
        world.terminate(guarded.clerk)
    else:
        world.revoke(guarded.edge)
    answer = api.post(path(guarded, challenge.id, "satisfy"))
    assert refusal(answer) == (409, "challenge_not_satisfiable")
    challenge.refresh_from_db()
    assert challenge.state == "pending"
    rejected = api.post(path(guarded, challenge.id, "reject"), {"reason": "gone"})
    assert rejected.status_code == 200
