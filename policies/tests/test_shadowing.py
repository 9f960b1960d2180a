"""W16: a shadow version was stored, and nothing asked it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from prometheus_client import REGISTRY

from audit.models import AuditEvent
from caracal_site.console.tests import asking
from caracal_site.ids import new_id
from caracal_site.testing.api import Api
from policies import services
from policies.decision import Decision
from policies.models import PolicySetVersion
from policies.shadowing import opinion
from policies.tests.factories import activate, document, make_set, make_version
from tokens.errors import ExchangeDenied
from tokens.services.issue import issue_session_token
from tokens.tests.factories import Client, make_client, make_resource, request_of
from zones.models import Zone
from zones.tests.factories import ACTOR


class Trial:
    """A zone with a version that lets its client begin, and one that does not."""

    def __init__(self, zone: Zone) -> None:
        self.zone, self.client = zone, make_client(zone)
        self.resource = make_resource(zone, self.client)
        self.policy_set = make_set(zone)
        self.letting = self.version(self.client)
        self.stopping = self.version(make_client(zone))

    def version(self, client: Client) -> PolicySetVersion:
        view = {"application": "main", "roles": {}}
        data = document(app_ids={"main": client.id}, grants={self.resource: view})
        return make_version(self.zone, data, of=self.policy_set)

    def ask(self) -> AuditEvent:
        """The decision about the resource, whatever it was."""
        with suppress(ExchangeDenied):
            issue_session_token(request_of(self.client, self.resource))
        rows = AuditEvent.objects.filter(zone_id=self.zone.id)
        return rows.filter(evaluation_status="complete").latest("id")


@pytest.fixture
def trial(zone: Zone) -> Trial:
    return Trial(zone)


def count(outcome: str) -> float:
    name = "caracal_policy_shadow_opinions_total"
    return REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0


def test_what_the_shadow_would_deny_is_allowed_and_told(trial: Trial) -> None:
    activate(trial.letting, shadow_version_id=trial.stopping.id)
    before = count("different")
    event = trial.ask()
    assert event.decision == "allow"
    assert event.metadata_json["jti"]
    assert event.metadata_json["shadow"] == {
        "policy_set_version_id": trial.stopping.id,
        "decision": "deny",
        "evaluation_status": "complete",
        "determining_policies": [],
        "agrees": False,
    }
    assert count("different") == before + 1


def test_what_the_shadow_would_allow_is_denied_and_told(trial: Trial) -> None:
    activate(trial.stopping, shadow_version_id=trial.letting.id)
    event = trial.ask()
    shadow = event.metadata_json["shadow"]
    assert (event.decision, shadow["decision"]) == ("deny", "allow")
    assert [one["policy"] for one in shadow["determining_policies"]]
    assert not shadow["agrees"]


def test_a_shadow_that_agrees_says_so(trial: Trial) -> None:
    activate(trial.letting, shadow_version_id=trial.version(trial.client).id)
    assert trial.ask().metadata_json["shadow"]["agrees"]


def test_without_a_shadow_nothing_is_asked_or_told(trial: Trial) -> None:
    activate(trial.letting)
    asked = [count(outcome) for outcome in ("same", "different", "failed")]
    assert "shadow" not in trial.ask().metadata_json
    assert asked == [count(outcome) for outcome in ("same", "different", "failed")]


def test_a_shadow_costs_no_statement_once_it_is_known(trial: Trial) -> None:
    activate(trial.letting, shadow_version_id=trial.stopping.id)
    trial.ask()
    with CaptureQueriesContext(connection) as queries:
        issue_session_token(request_of(trial.client, trial.resource))
    assert len(queries) == 2


def test_a_shadow_that_cannot_be_asked_is_counted_and_changes_nothing() -> None:
    gone = {"policy_set_id": new_id(), "version_id": new_id(), "manifest_sha256": ""}
    before = count("failed")
    assert opinion(gone, {}, Decision(decision="allow")) == {}
    assert count("failed") == before + 1


def test_the_explanation_says_what_the_shadow_would_have_done(
    trial: Trial, api: Api
) -> None:
    activate(trial.letting, shadow_version_id=trial.stopping.id)
    event = trial.ask()
    path = f"/v1/zones/{trial.zone.id}/audit/by-request/{event.request_id}/explain"
    told: Any = api.get(path).json()
    assert told["explanation"][-1].endswith("The shadow version would have denied it.")
    assert not told["events"][-1]["metadata_json"]["shadow"]["agrees"]


def test_the_trial_of_a_version_names_the_decisions_it_would_have_changed(
    trial: Trial,
) -> None:
    activate(trial.letting, shadow_version_id=trial.stopping.id)
    event = trial.ask()
    found = services.trial_of(trial.stopping)
    assert found.asked == 1
    assert [one.event_id for one in found.dissents] == [event.id]
    assert (found.dissents[0].decided, found.dissents[0].shadow) == ("allow", "deny")
    assert services.trial_of(trial.letting).asked == 0


def test_a_shadow_ends_with_what_it_stood_beside(trial: Trial) -> None:
    activate(trial.letting, shadow_version_id=trial.stopping.id)
    services.deactivate_policy_set(
        trial.policy_set.id, zone_id=trial.zone.id, actor=ACTOR, reason="over"
    )
    assert "shadow" not in trial.ask().metadata_json


def test_the_page_of_a_version_on_trial_tells_where_it_differed(trial: Trial) -> None:
    activate(trial.letting, shadow_version_id=trial.stopping.id)
    event = trial.ask()
    browser = Browser()
    browser.force_login(User.objects.create_superuser(new_id(), password=new_id()))
    shown = asking.text(browser.get(asking.change(trial.stopping)))
    assert "As the shadow" in shown
    assert event.id in shown
    assert "1 of the zone" in shown
    other = asking.text(browser.get(asking.change(trial.letting)))
    assert "As the shadow" not in other
