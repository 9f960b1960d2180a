"""What is in force decides, from the moment its activation has committed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.models import AuditEvent
from caracal_site import facts, operations
from caracal_site.errors import CaracalError
from caracal_site.ids import new_id
from caracal_site.testing.api import Api
from caracal_site.testing.races import Threads, wait_for
from policies import active, errors, explaining, services, tasks
from policies.models import (
    PolicyActivation,
    PolicyEvaluator,
    PolicySet,
    PolicySetVersion,
)
from policies.services import Load, report
from policies.tests.factories import activate, document, make_set, make_version
from policies.watching import Watcher
from tokens.errors import ExchangeDenied, PolicyEvaluationFailed
from tokens.services.issue import issue_session_token
from tokens.tests.factories import Client, make_client, make_resource, request_of
from zones.models import Zone
from zones.tests.factories import ACTOR


class Scene:
    """An application that asks for tokens, and sets that let it or do not."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.client = make_client(zone)
        self.resource = make_resource(zone, self.client)
        self.policy_set = make_set(zone)
        self.letting = self.version(self.client)
        self.stopping = self.version(make_client(zone))

    def version(self, client: Client) -> PolicySetVersion:
        view = {"application": "main", "roles": {}}
        data = document(app_ids={"main": client.id}, grants={self.resource: view})
        return make_version(self.zone, data, of=self.policy_set)

    def is_let(self) -> bool:
        try:
            issue_session_token(request_of(self.client, self.resource))
        except ExchangeDenied:
            return False
        return True


@pytest.fixture
def scene(zone: Zone) -> Scene:
    return Scene(zone)


def test_the_set_in_force_decides_at_once(scene: Scene) -> None:
    assert not scene.is_let()
    for version, let in ((scene.letting, True), (scene.stopping, False)) * 2:
        activate(version)
        assert scene.is_let() is let
    services.deactivate_policy_set(
        scene.policy_set.id, zone_id=scene.zone.id, actor=ACTOR, reason="trial"
    )
    assert not scene.is_let()


def test_without_a_set_nothing_is_allowed(scene: Scene) -> None:
    """Example 12 of the contract, at the token endpoint."""
    assert not scene.is_let()
    events = AuditEvent.objects.filter(zone_id=scene.zone.id)
    event = events.filter(evaluation_status="complete").latest("occurred_at")
    assert event.decision == "deny"
    assert event.diagnostics_json == [{"reason": "no_active_policy_set"}]
    assert event.policy_set_version_id is None


def test_the_ledger_names_what_decided(scene: Scene) -> None:
    activate(scene.letting)
    assert scene.is_let()
    event = AuditEvent.objects.filter(zone_id=scene.zone.id).latest("occurred_at")
    assert event.policy_set_id == scene.policy_set.id
    assert event.policy_set_version_id == scene.letting.id
    assert event.manifest_sha == scene.letting.manifest_sha256


def test_the_ledger_tells_what_a_denied_request_lacked(scene: Scene, api: Api) -> None:
    """The decision's own reason stays the contract's; compare asks the same again."""
    assert not scene.is_let()
    activate(scene.stopping)
    assert not scene.is_let()
    rows = AuditEvent.objects.filter(
        zone_id=scene.zone.id, evaluation_status="complete"
    ).order_by("occurred_at", "id")
    without, under = rows
    assert under.diagnostics_json == [{"reason": "no_rule_matched"}]
    assert without.metadata_json["why"] == explaining.NO_SET
    assert "no key of app_ids names this application" in under.metadata_json["why"]
    told = api.get(
        f"/v1/zones/{scene.zone.id}/audit/by-request/{under.request_id}/explain"
    )
    assert any(
        sentence.endswith(under.metadata_json["why"])
        for sentence in told.json()["explanation"]
    )


def test_a_decision_costs_no_statement_more_than_without_policies(
    scene: Scene,
) -> None:
    activate(scene.letting)
    assert scene.is_let()
    with CaptureQueriesContext(connection) as queries:
        assert scene.is_let()
    statements = [query["sql"] for query in queries]
    assert len(statements) == 2, statements


def test_a_decision_that_waited_for_an_activation_is_made_by_it(scene: Scene) -> None:
    """It read what was in force before the activation committed, and asks again."""
    activate(scene.letting)
    assert scene.is_let()
    with Threads(1) as threads:
        with transaction.atomic():
            activate(scene.stopping)
            waiting = threads.start(scene.is_let)
            wait_for(1)
        assert waiting.result() is False
        with transaction.atomic():
            activate(scene.letting)
            waiting = threads.start(scene.is_let)
            wait_for(1)
        assert waiting.result() is True


def test_an_activation_waits_for_decisions_being_made(scene: Scene) -> None:
    activate(scene.letting)
    with Threads(1) as threads:
        with transaction.atomic():
            assert scene.is_let()
            waiting = threads.start(activate, scene.stopping)
            wait_for(1)
            assert not waiting.done()
        assert waiting.result().replaced_version_id == scene.letting.id
    assert not scene.is_let()


def test_of_two_activations_at_once_both_happen_one_after_the_other(
    scene: Scene,
) -> None:
    with Threads(2) as threads:
        both = [
            threads.start(activate, version)
            for version in (scene.letting, scene.stopping)
        ]
        done = sorted((one.result() for one in both), key=lambda one: one.revision)
    assert [one.revision for one in done] == [1, 2]
    assert done[0].replaced_version_id is None
    assert done[1].replaced_version_id == done[0].version_id
    row = PolicyActivation.objects.get(zone=scene.zone)
    assert row.active_version_id == done[1].version_id


def test_of_two_that_expect_the_same_one_is_refused(scene: Scene) -> None:
    with Threads(2) as threads:
        both = [
            threads.start(
                outcome, lambda v=version: activate(v, expected_version_id=None)
            )
            for version in (scene.letting, scene.stopping)
        ]
        assert sorted(one.result() for one in both) == ["", "active_version_changed"]


def outcome(attempt: Callable[[], object]) -> str:
    """The code of the refusal, or nothing."""
    try:
        attempt()
    except CaracalError as refusal:
        return refusal.code
    return ""


def test_a_set_is_activated_or_archived_but_not_both(scene: Scene) -> None:
    def archive() -> None:
        services.archive_policy_set(
            scene.policy_set.id, zone_id=scene.zone.id, actor=ACTOR, reason="trial"
        )

    with Threads(2) as threads:
        both = [
            threads.start(outcome, work)
            for work in (lambda: activate(scene.letting), archive)
        ]
        activated, archived = (one.result() for one in both)
    assert (activated, archived) in (
        ("", "policy_set_active"),
        ("version_not_found", ""),
    )
    is_active = PolicyActivation.objects.filter(zone=scene.zone).exists()
    is_live = PolicySet.objects.get(id=scene.policy_set.id).archived_at is None
    assert is_active is is_live is (activated == "")


def test_a_scenario_added_meanwhile_is_asked_too(scene: Scene) -> None:
    """The activation judged without it, and judges again before it commits."""

    def add() -> None:
        services.add_scenario(
            "never",
            policy_set_id=scene.policy_set.id,
            zone_id=scene.zone.id,
            actor=ACTOR,
            document={},
            expected_decision="allow",
            since_version=1,
        )

    with Threads(1) as threads:
        with transaction.atomic():
            add()
            waiting = threads.start(outcome, lambda: activate(scene.letting))
            wait_for(1)
        assert waiting.result() == "policy_scenarios_failed"


def test_versions_added_at_once_are_numbered_in_turn(scene: Scene) -> None:
    ids = services.members_of(scene.letting.id)

    def add() -> int:
        return services.add_policy_set_version(
            scene.policy_set.id,
            zone_id=scene.zone.id,
            actor=ACTOR,
            policy_version_ids=ids,
        ).version

    with Threads(4) as threads:
        numbers = [one.result() for one in [threads.start(add) for _ in range(4)]]
    assert sorted(numbers) == [3, 4, 5, 6]


def test_a_version_that_does_not_load_decides_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate(scene.letting)

    def broken(version_id: str) -> None:
        raise active.CannotLoad("out of memory")

    monkeypatch.setattr(active, "_data_of", broken)
    with pytest.raises(PolicyEvaluationFailed):
        scene.is_let()
    event = AuditEvent.objects.filter(zone_id=scene.zone.id).latest("occurred_at")
    assert event.evaluation_status == "exchange_denied"
    assert event.metadata_json["reason"] == "policy_eval_failed"
    watcher = Watcher(new_id())
    watcher.turn()
    row = PolicyActivation.objects.get(zone=scene.zone)
    [arrival] = [
        one
        for one in services.arrivals_of(scene.zone.id, row)
        if one.evaluator_id == watcher.id
    ]
    assert (arrival.state, arrival.error) == ("failed", "out of memory")


# Who has loaded what.


def test_a_watcher_reports_only_what_is_new(scene: Scene) -> None:
    activate(scene.letting)
    watcher = Watcher(new_id())
    watcher.turn()
    with CaptureQueriesContext(connection) as queries:
        watcher.turn()
    assert len(queries) == 1
    activate(scene.stopping)
    watcher.turn()
    load = PolicyEvaluator.objects.get(id=watcher.id).loads.get(zone_id=scene.zone.id)
    assert (load.revision, load.policy_set_version_id) == (2, scene.stopping.id)
    services.deactivate_policy_set(
        scene.policy_set.id, zone_id=scene.zone.id, actor=ACTOR, reason="trial"
    )
    watcher.turn()
    load.refresh_from_db()
    assert (load.revision, load.policy_set_version_id) == (3, None)


def test_stragglers_are_counted_and_shown(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = activate(scene.letting)
    before = services.stragglers()
    straggler = new_id()
    behind = Load(zone_id=scene.zone.id, revision=done.revision - 1, version_id=None)
    report(straggler, [behind])
    # It has a moment to catch up.
    assert services.stragglers() == before
    PolicyActivation.objects.filter(zone=scene.zone).update(
        activated_at="2026-01-01T00:00:00Z"
    )
    assert services.stragglers() == before + 1
    outcome = tasks.chase_evaluators()
    assert outcome.backlog == before + 1
    monkeypatch.setattr(facts, "_last", None)
    PolicyEvaluator.objects.filter(id=straggler).update(seen_at="2026-01-01T00:00:00Z")
    tasks.chase_evaluators()
    assert not PolicyEvaluator.objects.filter(id=straggler).exists()
    assert services.stragglers() == before
    assert "caracal_policy_stragglers" in operations.metrics_text()


def test_a_zone_activates_only_its_own_sets(scene: Scene, actor: object) -> None:
    with pytest.raises(errors.VersionNotFound):
        services.activate_policy_set(
            scene.policy_set.id,
            zone_id=make_version(scene.zone).policy_set.zone_id,
            actor=ACTOR,
            version_id=make_version(scene.zone).id,
        )
