"""Policies and policy sets in the console."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from caracal_site.console.tests import asking
from caracal_site.ids import new_id
from policies import services
from policies.models import (
    Policy,
    PolicyActivation,
    PolicyScenario,
    PolicySet,
    PolicySetVersion,
)
from policies.tests.factories import (
    HEAD,
    ISSUE,
    READ,
    activate,
    base_document,
    document,
    make_policy,
    make_set,
    make_version,
    mint,
)
from policies.watching import Watcher
from tokens.services.issue import issue_session_token
from tokens.tests.factories import make_client, make_resource, request_of
from zones.models import Resource, Zone
from zones.tests.factories import ACTOR


@pytest.fixture
def person() -> User:
    return User.objects.create_superuser(new_id(), password=new_id())


@pytest.fixture
def console(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_a_policy_is_added_from_a_template(
    console: Client, zone: Zone, person: User
) -> None:
    page = f"{asking.url(Policy, 'add')}?zone={zone.pk}"
    assert "template=resource-grants" in asking.text(console.get(page))
    page += "&template=resource-grants"
    opened = console.get(page).context["adminform"].form
    assert opened.initial["name"] == "Resource Grants"
    content = opened.initial["content"].replace("\n", "\r\n")
    response = asking.carry_out(console, page, name="Grants", content=content)
    assert response.status_code == 302
    policy = Policy.objects.get(zone=zone)
    assert (policy.name, policy.created_by) == ("Grants", person.username)
    assert policy.versions.get().content == opened.initial["content"]
    row = asking.last_audit(f"console:{person.pk}")
    assert row.payload_json["event"] == "policy.created"


def test_what_is_wrong_with_a_source_stands_at_its_line(
    console: Client, zone: Zone
) -> None:
    wrong = HEAD + 'grants := {}\nrestrictions := ["x"]\n'
    page = f"{asking.url(Policy, 'add')}?zone={zone.pk}"
    refused = asking.carry_out(console, page, name="Grants", content=wrong)
    assert refused.status_code == 200
    assert "Line 7" in asking.text(refused)
    [panel] = refused.context["panels"]
    remarked = {number: remarks for number, _, remarks in panel.lines if remarks}
    assert list(remarked) == [7]
    assert not Policy.objects.filter(zone=zone).exists()
    policy = make_policy(zone).policy
    again = console.post(asking.change(policy), {"content": wrong})
    assert "What is wrong with the source" in asking.text(again)
    assert policy.versions.count() == 1


def test_a_policy_gets_a_new_version(console: Client, zone: Zone) -> None:
    policy = make_policy(zone).policy
    content = base_document(restrict=["x"])
    response = console.post(asking.change(policy), {"content": content})
    assert response.status_code == 302
    assert [one.version for one in policy.versions.all()] == [2, 1]
    assert policy.versions.latest("version").content == content
    # Sent unchanged, it is no version.
    console.post(asking.change(policy), {"content": content})
    assert policy.versions.count() == 2
    shown = asking.text(console.get(asking.change(policy), {"version": "1"}))
    assert "Source of version 1" in shown


def test_a_policy_in_use_stays(console: Client, zone: Zone) -> None:
    version = make_version(zone)
    policy = version.members.get().policy_version.policy
    page = asking.gesture(policy, "archive")
    shown = asking.text(console.get(page))
    assert f"{version.policy_set}, version 1" in shown
    refused = asking.carry_out(console, page, reason="trial")
    assert "Policy sets of the zone use this policy" in asking.text(refused)
    free = make_policy(zone).policy
    asking.carry_out(console, asking.gesture(free, "archive"), reason="trial")
    free.refresh_from_db()
    assert free.archived_at is not None


def test_a_set_is_made_and_given_a_version(console: Client, zone: Zone) -> None:
    page = f"{asking.url(PolicySet, 'add')}?zone={zone.pk}"
    assert asking.carry_out(console, page, name="Production").status_code == 302
    policy_set = PolicySet.objects.get(zone=zone)
    first = make_policy(zone, document(restrict=[]), name="b").version
    second = make_policy(zone, base_document(), name="a").version
    make_policy(zone, document(risk=[]), name="c")
    chosen = {"members": [first.id, second.id]}
    assert console.post(asking.change(policy_set), chosen).status_code == 302
    version = policy_set.versions.get()
    assert services.members_of(version.id) == [second.id, first.id]
    # The set keeps the version it has until another is chosen.
    services.add_policy_version(
        second.policy_id, zone_id=zone.id, actor=ACTOR, content=document(grants={})
    )
    form = console.get(asking.change(policy_set)).context["adminform"].form
    offered = [label for _, label in form.fields["members"].choices]
    assert offered == ["a, version 1", "b, version 1", "a, version 2", "c, version 1"]
    unknown = console.post(asking.change(policy_set), {"members": ["nope"]})
    assert unknown.status_code == 200
    assert policy_set.versions.count() == 1


class Scene:
    """An application that was let by what is in force, and a version that stops it."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.client = make_client(zone)
        self.resource = make_resource(zone, self.client, "agent:lifecycle", READ, ISSUE)
        policy_set = make_set(zone)
        self.letting = make_version(zone, self.data(), of=policy_set)
        self.stopping = make_version(zone, self.data(restrict=["noon"]), of=policy_set)
        activate(self.letting)
        issue_session_token(request_of(self.client, self.resource))

    def data(self, **changes: Any) -> str:
        view = {"application": "main", "roles": {"clerk": [READ]}}
        return document(
            app_ids={"main": self.client.id}, grants={self.resource: view}, **changes
        )


@pytest.fixture
def scene(zone: Zone) -> Scene:
    return Scene(zone)


def test_activating_shows_what_would_change_and_asks_why(
    console: Client, scene: Scene, person: User
) -> None:
    issue_session_token(request_of(scene.client, scene.resource))
    page = asking.gesture(scene.stopping, "activate")
    shown = asking.text(console.get(page))
    assert "Allowed until now, denied then" in shown
    assert f"agent:lifecycle on {scene.resource} (2 times)" in shown
    assert "more</span>" not in shown
    assert f"agent:lifecycle on {scene.resource}" in shown
    assert "Compared with 2 decisions of the last day." in shown
    assert "In force now: " in shown
    assert asking.carry_out(console, page).status_code == 200
    done = asking.carry_out(console, page, reason="Maintenance")
    assert done.status_code == 302
    row = PolicyActivation.objects.get(zone=scene.zone)
    assert (row.active_version_id, row.activated_by) == (
        scene.stopping.id,
        person.username,
    )
    audit = asking.last_audit(f"console:{person.pk}")
    assert audit.payload_json["reason"] == "Maintenance"


def test_what_came_in_force_meanwhile_is_not_overwritten(
    console: Client, scene: Scene
) -> None:
    page = asking.gesture(scene.stopping, "activate")
    sent = {**asking.hidden(console.get(page)), "reason": "Maintenance"}
    assert sent["expected"] == scene.letting.id
    other = make_version(scene.zone, scene.data(), of=scene.letting.policy_set)
    activate(other)
    refused = console.post(page, sent)
    assert "Another version is in force" in asking.text(refused)
    assert PolicyActivation.objects.get(zone=scene.zone).active_version_id == other.id
    sent = {**asking.hidden(refused), "reason": "Maintenance"}
    assert sent["expected"] == other.id
    assert console.post(page, sent).status_code == 302


def test_failing_scenarios_are_named_before_it_is_tried(
    console: Client, scene: Scene
) -> None:
    services.add_scenario(
        "the clerk reads",
        policy_set_id=scene.letting.policy_set_id,
        zone_id=scene.zone.id,
        actor=ACTOR,
        document=mint(READ),
        expected_decision="allow",
    )
    page = asking.gesture(scene.stopping, "activate")
    assert "the clerk reads: expected allow, got deny" in without_tags(
        console.get(page)
    )
    refused = asking.carry_out(console, page, reason="Maintenance")
    assert "do not come out as expected: the clerk reads" in asking.text(refused)


def without_tags(response: Any) -> str:
    import re

    return re.sub(r"<[^>]+>", "", asking.text(response))


def test_where_it_has_arrived_is_shown_process_by_process(
    console: Client, scene: Scene
) -> None:
    page = asking.change(scene.letting.policy_set)
    assert "None has reported lately" in asking.text(console.get(page))
    watcher = Watcher(new_id())
    watcher.turn()
    shown = asking.text(console.get(page))
    assert watcher.id in shown
    assert "Every process that decides has it." in shown


def test_a_zone_tells_what_is_in_force_in_it(console: Client, zone: Zone) -> None:
    page = asking.change(zone)
    assert "none: nothing is allowed" in asking.text(console.get(page))
    version = make_version(zone)
    activate(version)
    shown = asking.text(console.get(page))
    assert version.policy_set.name in shown
    assert "nothing is allowed" not in shown


def test_what_is_in_force_is_not_offered_to_be_activated(
    console: Client, scene: Scene
) -> None:
    for version, offered in ((scene.letting, False), (scene.stopping, True)):
        shown = asking.text(console.get(asking.change(version)))
        assert (asking.gesture(version, "activate") in shown) == offered


def test_a_set_is_taken_out_of_force_and_archived(
    console: Client, scene: Scene
) -> None:
    policy_set = scene.letting.policy_set
    offered = asking.text(console.get(asking.change(policy_set)))
    assert "Deactivate" in offered
    assert ">Archive<" not in offered
    page = asking.gesture(policy_set, "deactivate")
    assert asking.carry_out(console, page, reason="trial").status_code == 302
    row = PolicyActivation.objects.get(zone=scene.zone)
    assert row.active_version_id is None
    page = asking.gesture(policy_set, "archive")
    assert asking.carry_out(console, page, reason="trial").status_code == 302
    policy_set.refresh_from_db()
    assert policy_set.archived_at is not None


def simulate(console: Client, version: PolicySetVersion, **answers: Any) -> Any:
    page = asking.url(PolicySetVersion, "simulate", version.pk)
    return console.post(page, {"ask": "1", **answers})


def test_a_simulation_is_explained_in_plain_words(
    console: Client, scene: Scene
) -> None:
    page = asking.url(PolicySetVersion, "simulate", scene.letting.pk)
    assert console.get(page).status_code == 200
    chosen = {
        "application": scene.client.id,
        "resource": Resource.objects.get(identifier=scene.resource).id,
    }
    begun = simulate(console, scene.letting, kind="begin", **chosen)
    assert begun.context["found"].answer["decision"] == "allow"
    assert f"agent:lifecycle on {scene.resource}" in asking.text(begun)
    minted = {"kind": "mint", "scopes": READ, **chosen}
    allowed = simulate(console, scene.letting, labels="clerk", **minted)
    assert allowed.context["found"].answer["decision"] == "allow"
    denied = simulate(console, scene.letting, labels="intern", **minted)
    assert denied.context["found"].answer["decision"] == "deny"
    assert "no single label of the agent is a role" in asking.text(denied)
    outside = simulate(
        console, scene.letting, labels="clerk", edge_scopes=ISSUE, **minted
    )
    assert f"Outside the edge: {READ}." in asking.text(outside)
    stopped = simulate(console, scene.stopping, kind="begin", **chosen)
    assert "Restricted by: noon." in asking.text(stopped)
    assert not PolicyScenario.objects.filter(
        policy_set=scene.letting.policy_set
    ).exists()


def test_a_simulation_needs_something_to_ask(console: Client, scene: Scene) -> None:
    for answers in (
        {},
        {"document": "{"},
        {"document": "[]"},
        {"application": "nope", "resource": "nope"},
    ):
        refused = simulate(console, scene.letting, **answers)
        assert refused.status_code == 200
        assert refused.context["form"].errors
    odd = simulate(console, scene.letting, document='{"principal": 1}')
    assert "not evaluated" in asking.text(odd)


def test_a_simulation_is_kept_as_a_scenario(
    console: Client, scene: Scene, person: User
) -> None:
    page = asking.url(PolicySetVersion, "simulate", scene.letting.pk)
    sent = {"keep": "1", "document": "{}"}
    nameless = console.post(page, sent)
    assert "A scenario needs a name." in asking.text(nameless)
    kept = console.post(page, {**sent, "name": "nobody gets anything"})
    assert kept.status_code == 302
    scenario = PolicyScenario.objects.get(policy_set=scene.letting.policy_set)
    assert (scenario.expected_decision, scenario.since_version) == ("deny", 1)
    twice = console.post(page, {**sent, "name": "nobody gets anything"})
    assert "Another scenario of the policy set has this name" in asking.text(twice)
    shown = asking.text(console.get(asking.change(scene.letting)))
    assert "nobody gets anything" in shown
    remove = asking.gesture(scenario, "remove")
    removed = asking.carry_out(console, remove, reason="trial")
    assert removed["Location"] == asking.change(scene.letting.policy_set)
    assert not PolicyScenario.objects.filter(id=scenario.id).exists()
    row = asking.last_audit(f"console:{person.pk}")
    assert row.payload_json["event"] == "policy_scenario.removed"


def test_who_may_only_look_keeps_no_scenario(scene: Scene) -> None:
    from django.contrib.auth.models import Permission

    reader = User.objects.create_user(new_id(), password=new_id(), is_staff=True)
    seen = Permission.objects.filter(codename="view_policysetversion")
    reader.user_permissions.set(seen)
    client = Client()
    client.force_login(reader)
    page = asking.url(PolicySetVersion, "simulate", scene.letting.pk)
    assert "Keep as a scenario" not in asking.text(client.get(page))
    assert client.post(page, {"ask": "1", "document": "{}"}).status_code == 200
    sent = {"keep": "1", "document": "{}", "name": "x"}
    assert client.post(page, sent).status_code == 403
    assert client.get(asking.gesture(scene.letting, "activate")).status_code == 403


def test_a_version_shows_what_it_changed_and_its_source_in_colours(
    console: Client, zone: Zone
) -> None:
    policy = make_policy(zone, HEAD + 'restrict := ["<b>", 1]\n').policy
    page = asking.url(Policy, "change", policy.pk)
    text = console.get(page).content.decode()
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert '<span class="is-name">restrict</span>' in text
    assert '<span class="is-comment"># caracal:data-document</span>' in text
    assert "What version 1 changed" not in text
    services.add_policy_version(
        policy.pk, zone_id=zone.pk, actor=ACTOR, content=HEAD + "restrict := []\n"
    )
    text = console.get(page).content.decode()
    assert "What version 2 changed" in text
    assert "<code>- restrict := [&quot;&lt;b&gt;&quot;, 1]</code>" in text
    assert "<code>+ restrict := []</code>" in text
    assert "What version 2 changed" not in asking.text(console.get(f"{page}?version=1"))


def test_a_version_of_a_set_shows_who_may_do_what_and_what_is_not_there(
    console: Client, zone: Zone
) -> None:
    client = make_client(zone)
    resource = make_resource(zone, client, READ)
    grants = {
        resource: {"application": "main", "roles": {"clerk": [READ, "made:up"]}},
        "resource://none": {"application": "nobody"},
    }
    version = make_version(zone, document(app_ids={"main": client.id}, grants=grants))
    text = asking.text(console.get(asking.url(PolicySetVersion, "change", version.pk)))
    assert f"{client.id}/change/" in text
    assert f"{Resource.objects.get(identifier=resource).pk}/change/" in text
    assert text.count("not in the zone</span>") == 2
    assert text.count("unknown scope</span>") == 1
    assert "has no scope made:up, which grants gives." in text
