"""Step-up: a request that waits for a person, and the one token of its approval
(contract: tokens.md 10, 20 W-13; audit-and-events.md 14 W-10)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from audit import explaining
from caracal_site.errors import CaracalError
from caracal_site.testing.evidence import Events
from caracal_site.testing.races import Threads, held, wait_for
from caracal_site.testing.world import READ, WRITE, World
from tokens import services
from tokens.errors import (
    ChallengeInvalid,
    ExchangeDenied,
    InteractionRequired,
    TooManyChallenges,
)
from tokens.models import Session, StepUpChallenge
from tokens.services.issue import TokenAnswer
from tokens.tests.approvals import APPROVER, Guarded, age
from tokens.tests.factories import make_client, make_resource, make_session
from tokens.tests.test_issue import claims_in


@pytest.fixture
def guarded(world: World) -> Guarded:
    return Guarded(world)


def approve(challenge: StepUpChallenge, **given: Any) -> services.Answered:
    return services.satisfy_challenge(
        challenge.id, zone_id=challenge.zone_id, actor=APPROVER, **given
    )


def reject(challenge: StepUpChallenge) -> services.Answered:
    return services.reject_challenge(
        challenge.id, zone_id=challenge.zone_id, actor=APPROVER, reason="not today"
    )


def sessions(guarded: Guarded) -> int:
    return Session.objects.filter(
        zone=guarded.world.zone, delegation_edge_id__isnull=False
    ).count()


def state(challenge: StepUpChallenge) -> str:
    return StepUpChallenge.objects.get(id=challenge.id).state


def test_a_risky_request_waits_for_a_person(guarded: Guarded) -> None:
    told = guarded.challenged()
    challenge = StepUpChallenge.objects.get(id=told["challenge_id"])
    assert told == {
        "challenge_id": challenge.id,
        "challenge_type": "human_approval",
        "challenge_secret": "",
        "challenge_expires_at": f"{challenge.expires_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    life = challenge.expires_at - challenge.created_at
    assert life.total_seconds() == 1_800
    assert challenge.metadata_json == {
        "requested_scopes": [WRITE],
        "resources": [guarded.resource],
    }
    assert challenge.session_id is None
    assert challenge.application_id == guarded.world.application.id
    assert challenge.agent_session_id == guarded.clerk["agent_session_id"]
    assert challenge.delegation_edge_id == guarded.edge["delegation_edge_id"]
    assert not sessions(guarded)


def test_the_refusal_says_how_to_go_on(guarded: Guarded) -> None:
    with pytest.raises(InteractionRequired) as refused:
        guarded.ask()
    assert refused.value.status == 401
    assert refused.value.headers["WWW-Authenticate"] == (
        'Bearer error="interaction_required"'
    )


def test_what_is_not_risky_waits_for_nobody(guarded: Guarded) -> None:
    assert guarded.ask(scope=READ)
    assert not StepUpChallenge.objects.filter(zone=guarded.world.zone).exists()


def test_no_row_of_the_ledger_allows_what_was_withheld(guarded: Guarded) -> None:
    challenge = guarded.challenge()
    verdict, summary = guarded.ledger()
    for row in (verdict, summary):
        assert row.decision == "deny"
        assert row.evaluation_status == "interaction_required"
        assert row.metadata_json["challenge_id"] == challenge.id
    assert {"step_up_required": "human_approval"} in verdict.diagnostics_json
    words = explaining.in_words(vars(verdict))
    assert words.endswith("A person has to approve it.")


def test_an_identical_request_waits_for_the_same_person(guarded: Guarded) -> None:
    """W-13: each retry made another challenge."""
    first = guarded.challenge()
    assert guarded.challenge() == first
    assert guarded.challenge(challenge_id=first.id) == first
    approve(first)
    assert guarded.challenge() == first


def test_two_at_once_wait_for_the_same_person(guarded: Guarded) -> None:
    with Threads(2) as threads:
        found = [threads.start(guarded.challenged) for _ in range(2)]
        assert len({one.result()["challenge_id"] for one in found}) == 1


def test_an_approval_is_good_for_one_token(guarded: Guarded) -> None:
    challenge = guarded.challenge()
    approve(challenge)
    claims = claims_in(guarded.ask(challenge_id=challenge.id))
    assert claims["scope"] == WRITE
    row = guarded.ledger()[-1]
    assert (row.decision, row.metadata_json["challenge_id"]) == ("allow", challenge.id)
    assert row.metadata_json["policy_input"]["context"]["challenge_resolved"] is True
    used = StepUpChallenge.objects.get(id=challenge.id)
    assert (used.state, used.consumed_session_id) == ("consumed", claims["sid"])
    with pytest.raises(ChallengeInvalid) as refused:
        guarded.ask(challenge_id=challenge.id)
    assert (refused.value.status, refused.value.code) == (401, "access_denied")
    assert guarded.ledger()[-1].evaluation_status == "approval_already_consumed"
    assert sessions(guarded) == 1


def test_two_at_once_get_one_token_of_an_approval(guarded: Guarded) -> None:
    challenge = guarded.challenge()
    approve(challenge)
    found: list[Future[TokenAnswer]] = []
    with Threads(2) as threads:
        with held(StepUpChallenge.objects.filter(id=challenge.id)):
            found += [
                threads.start(guarded.ask, challenge_id=challenge.id) for _ in range(2)
            ]
            wait_for(2)
        faults = [one.exception() for one in found]
    assert sorted(type(fault).__name__ for fault in faults) == [
        "ChallengeInvalid",
        "NoneType",
    ]
    assert sessions(guarded) == 1


OTHERS: dict[str, Callable[[Guarded], dict[str, Any]]] = {
    "other scopes": lambda g: {"scope": f"{READ} {WRITE}"},
    "fewer scopes": lambda g: {"scope": READ},
    "another resource": lambda g: {
        "resource": make_resource(g.world.zone, g.world.application, WRITE)
    },
    "one more resource": lambda g: {"resource": [g.resource, "resource://more"]},
    "another edge": lambda g: {
        "delegation_edge_id": g.pass_on(g.clerk)["delegation_edge_id"]
    },
    "a session": lambda g: {"session_id": make_session(g.world.application).id},
    "a longer life": lambda g: {"ttl_seconds": 901},
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("is_approved", [True, False])
def test_an_approval_is_good_for_nothing_else(
    guarded: Guarded, name: str, is_approved: bool
) -> None:
    challenge = guarded.challenge()
    if is_approved:
        approve(challenge)
    with pytest.raises(ChallengeInvalid):
        guarded.ask(**OTHERS[name](guarded), challenge_id=challenge.id)
    assert guarded.ledger()[-1].evaluation_status == "approval_invalid"
    assert state(challenge) == ("satisfied" if is_approved else "pending")


def test_an_approval_is_not_for_another_agent(guarded: Guarded) -> None:
    """W-13: it was bound to no agent."""
    challenge = guarded.challenge()
    approve(challenge)
    other = guarded.world.spawn(labels=["clerk"])
    edge = guarded.pass_on(other)
    with pytest.raises(ChallengeInvalid):
        guarded.ask(
            agent_session_id=other["agent_session_id"],
            delegation_edge_id=edge["delegation_edge_id"],
            challenge_id=challenge.id,
        )


def test_an_approval_is_not_for_another_application(guarded: Guarded) -> None:
    challenge = guarded.challenge()
    approve(challenge)
    with pytest.raises(ChallengeInvalid):
        guarded.ask(by=make_client(guarded.world.zone), challenge_id=challenge.id)


def test_the_order_of_scopes_and_a_shorter_life_make_no_difference(
    guarded: Guarded,
) -> None:
    challenge = guarded.challenge(scope=f"{READ} {WRITE}")
    approve(challenge)
    asked = {"scope": f"{WRITE} {READ}", "ttl_seconds": 60}
    assert guarded.ask(challenge_id=challenge.id, **asked).expires_in == 60


@pytest.mark.parametrize("given", [{"challenge_id": "x"}, {"challenge_response": "x"}])
def test_what_nobody_issued_is_no_challenge(
    guarded: Guarded, given: dict[str, str]
) -> None:
    with pytest.raises(ChallengeInvalid):
        guarded.ask(**given)
    assert guarded.ledger()[-1].evaluation_status == "approval_invalid"


def test_a_rejected_request_gets_no_token(guarded: Guarded) -> None:
    challenge = guarded.challenge()
    reject(challenge)
    with pytest.raises(ChallengeInvalid):
        guarded.ask(challenge_id=challenge.id)
    assert guarded.ledger()[-1].evaluation_status == "approval_rejected"
    assert guarded.challenge() != challenge


@pytest.mark.parametrize("is_approved", [True, False])
def test_past_its_time_a_challenge_is_asked_anew(
    guarded: Guarded, is_approved: bool
) -> None:
    challenge = guarded.challenge()
    if is_approved:
        approve(challenge)
    age(challenge, minutes=31)
    assert guarded.challenge(challenge_id=challenge.id) != challenge


def test_an_approval_outlasts_a_refusal(guarded: Guarded) -> None:
    """W-13: it is used up by a token, and by nothing else."""
    challenge = guarded.challenge()
    approve(challenge)
    guarded.allow(READ)
    with pytest.raises(ExchangeDenied):
        guarded.ask(challenge_id=challenge.id)
    assert state(challenge) == "satisfied"
    guarded.allow()
    assert guarded.ask(challenge_id=challenge.id)
    assert state(challenge) == "consumed"


def test_an_approval_does_not_outlast_the_edge(guarded: Guarded) -> None:
    challenge = guarded.challenge()
    approve(challenge)
    guarded.world.revoke(guarded.edge)
    with pytest.raises(ExchangeDenied):
        guarded.ask(challenge_id=challenge.id)
    assert state(challenge) == "satisfied"
    assert not sessions(guarded)


def test_a_denied_resource_beside_a_risky_one_still_waits(guarded: Guarded) -> None:
    denied = make_resource(guarded.world.zone, guarded.world.application, WRITE)
    challenge = guarded.challenge(resource=[guarded.resource, denied])
    approve(challenge)
    answer = guarded.ask(resource=[guarded.resource, denied], challenge_id=challenge.id)
    assert answer.target_resources == (guarded.resource,)


def test_an_application_cannot_flood_the_approvers(
    guarded: Guarded, settings: LazySettings
) -> None:
    settings.MAX_OPEN_CHALLENGES_PER_APP = 2
    first = guarded.challenge(ttl_seconds=61)
    guarded.challenge(ttl_seconds=62)
    with pytest.raises(TooManyChallenges) as refused:
        guarded.challenge(ttl_seconds=63)
    assert refused.value.headers["Retry-After"] == "60"
    assert guarded.ledger()[-1].metadata_json["reason"] == "too_many_challenges"
    reject(first)
    guarded.challenge(ttl_seconds=63)


def test_every_step_is_recorded_and_announced(guarded: Guarded, events: Events) -> None:
    events.take()
    challenge = guarded.challenge()
    approve(challenge, reason="it is fine")
    guarded.ask(challenge_id=challenge.id)
    lost = guarded.challenge(ttl_seconds=61)
    age(lost, minutes=31)
    assert services.expire_challenges() >= 1
    turned_down = guarded.challenge(ttl_seconds=62)
    reject(turned_down)
    left = events.take()
    told = [row for row in left.audit if row.entity_type == "step-up-challenges"]
    assert [(row.payload_json["event"], row.entity_id) for row in told] == [
        ("step_up.requested", challenge.id),
        ("step_up.satisfied", challenge.id),
        ("step_up.consumed", challenge.id),
        ("step_up.requested", lost.id),
        ("step_up.expired", lost.id),
        ("step_up.requested", turned_down.id),
        ("step_up.rejected", turned_down.id),
    ]
    assert [row.actor_id for row in told[:3]] == [
        guarded.world.application.id,
        "approver",
        guarded.world.application.id,
    ]
    assert told[1].payload_json["reason"] == "it is fine"
    news = left.payloads("caracal.step_up.lifecycle")
    assert [one["event"] for one in news] == [row.payload_json["event"] for row in told]
    assert news[0] == {
        "event": "step_up.requested",
        "zone_id": guarded.world.zone.id,
        "challenge_id": challenge.id,
        "application_id": guarded.world.application.id,
        "state": "pending",
    }


def test_nothing_is_used_up_when_the_token_is_not_written(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signing fails after the approval was locked: all of it is undone."""
    challenge = guarded.challenge()
    approve(challenge)
    monkeypatch.setattr("tokens.services.issue.MAX_TOKEN_LENGTH", 10)
    with pytest.raises(CaracalError):
        guarded.ask(challenge_id=challenge.id)
    assert state(challenge) == "satisfied"
    assert not sessions(guarded)


def test_the_job_writes_down_only_what_is_over(guarded: Guarded) -> None:
    over, used, open_ = (
        guarded.challenge(ttl_seconds=seconds) for seconds in (61, 62, 63)
    )
    approve(used)
    guarded.ask(ttl_seconds=62, challenge_id=used.id)
    for challenge in (over, used):
        age(challenge, minutes=31)
    services.expire_challenges()
    assert [state(one) for one in (over, used, open_)] == [
        "expired",
        "consumed",
        "pending",
    ]
    assert open_.expires_at > timezone.now()
