"""The approval inbox in the console."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from caracal_site.console.actors import console_actor
from caracal_site.console.tests import asking
from caracal_site.ids import new_id
from caracal_site.testing.world import WRITE, World
from tokens.models import StepUpChallenge
from tokens.tests.approvals import Guarded, age
from zones import services as zones


@pytest.fixture
def guarded(world: World) -> Guarded:
    return Guarded(world)


@pytest.fixture
def person() -> User:
    return User.objects.create_superuser(new_id(), password=new_id())


@pytest.fixture
def console(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def listed(console: Client, guarded: Guarded, state: str = "") -> list[str]:
    query = {"zone": guarded.world.zone.pk, **({"state": state} if state else {})}
    page = console.get(asking.changelist(StepUpChallenge), query)
    return [row.pk for row in page.context["cl"].result_list]


def test_the_inbox_says_who_asks_for_what_and_until_when(
    console: Client, guarded: Guarded
) -> None:
    challenge = guarded.challenge()
    page = asking.text(console.get(asking.change(challenge)))
    for told in (
        guarded.world.application.application.name,
        guarded.clerk["agent_session_id"],
        WRITE,
        guarded.resource,
        "15 min",
        "Chain of authority",
        guarded.edge["delegation_edge_id"][-6:],
        guarded.lead["agent_session_id"][-12:],
        f"{challenge.expires_at:%Y-%m-%d %H:%M:%S}",
    ):
        assert told in page
    front = asking.text(console.get(reverse("admin:index")))
    assert "Waiting for approval" in front


def test_none_of_what_is_asked_for_is_left_out(
    console: Client, guarded: Guarded
) -> None:
    challenge = guarded.challenge()
    asked = [f"resource://number-{number}" for number in range(32)]
    StepUpChallenge.objects.filter(id=challenge.id).update(
        metadata_json={"requested_scopes": [WRITE], "resources": asked}
    )
    for page in (asking.change(challenge), asking.gesture(challenge, "approve")):
        text = asking.text(console.get(page))
        assert all(resource in text for resource in asked)


def test_a_request_is_approved_for_a_reason(
    console: Client, person: User, guarded: Guarded
) -> None:
    challenge = guarded.challenge()
    page = asking.gesture(challenge, "approve")
    assert WRITE in asking.text(console.get(page))
    assert asking.carry_out(console, page, reason="quarter end").status_code == 302
    challenge.refresh_from_db()
    assert (challenge.state, challenge.reason) == ("satisfied", "quarter end")
    assert challenge.approver_subject_id == f"console:{person.pk}"
    left = asking.last_audit(f"console:{person.pk}")
    assert left.payload_json["event"] == "step_up.satisfied"
    assert left.payload_json["reason"] == "quarter end"
    assert guarded.ask(challenge_id=challenge.id)
    assert "not possible here any more" in asking.text(console.get(page, follow=True))


def test_a_request_is_rejected_for_a_reason(console: Client, guarded: Guarded) -> None:
    challenge = guarded.challenge()
    page = asking.gesture(challenge, "reject")
    assert asking.carry_out(console, page, reason="").status_code == 200
    assert asking.carry_out(console, page, reason="who?").status_code == 302
    challenge.refresh_from_db()
    assert (challenge.state, challenge.reason) == ("rejected", "who?")


def test_who_holds_the_secret_cannot_approve(
    console: Client, person: User, guarded: Guarded
) -> None:
    challenge = guarded.challenge()
    yours = "Not yours to approve"
    assert yours not in asking.text(console.get(asking.change(challenge)))
    zones.rotate_client_secret(
        guarded.world.application.id,
        zone_id=guarded.world.zone.id,
        actor=console_actor(person),
        reason="new laptop",
    )
    assert yours in asking.text(console.get(asking.change(challenge)))
    page = asking.gesture(challenge, "approve")
    refused = asking.carry_out(console, page, reason="mine")
    assert refused.status_code == 200
    assert "Who asks cannot approve" in asking.text(refused)
    challenge.refresh_from_db()
    assert challenge.state == "pending"
    rejected = asking.carry_out(
        console, asking.gesture(challenge, "reject"), reason="mine"
    )
    assert rejected.status_code == 302


def test_the_inbox_holds_what_waits_unless_asked_otherwise(
    console: Client, guarded: Guarded
) -> None:
    over, open_ = (guarded.challenge(ttl_seconds=seconds) for seconds in (61, 62))
    age(over, minutes=31)
    assert listed(console, guarded) == [open_.pk]
    assert listed(console, guarded, "expired") == [over.pk]
    assert set(listed(console, guarded, "all")) == {open_.pk, over.pk}
    page = asking.gesture(over, "approve")
    assert "not possible here any more" in asking.text(console.get(page, follow=True))


def test_who_may_only_look_answers_nothing(guarded: Guarded) -> None:
    challenge = guarded.challenge()
    reader = User.objects.create_user(new_id(), password=new_id(), is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_stepupchallenge"))
    client = Client()
    client.force_login(reader)
    assert client.get(asking.change(challenge)).status_code == 200
    for name in ("approve", "reject"):
        page = asking.gesture(challenge, name)
        assert client.post(page, {"confirmed": "1"}).status_code == 403
