"""Every page of the console opens, for those who may see it, under a strict policy."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agents.admin.surroundings import surroundings, tree_picture
from agents.models import AgentSession
from caracal_site import rates
from caracal_site.actors import Actor
from caracal_site.console.pages import ConsoleAdmin
from caracal_site.console.site import SECTIONS, SIGN_INS_PER_MINUTE
from caracal_site.console.tests import asking
from caracal_site.errors import RateLimited
from caracal_site.ids import new_id
from caracal_site.models import JobRun
from caracal_site.tasks import worker_heartbeat
from caracal_site.testing.world import World
from zones import services
from zones.models import Application, Zone

MODELS = {model._meta.label_lower: model for model in admin.site._registry}


def gesture_pages(rows: dict[str, Model]) -> list[str]:
    """The page of every gesture of every model."""
    return [
        asking.gesture(rows[label], gesture.name)
        for label, model in MODELS.items()
        for gesture in admin.site._registry[model].gestures
    ]


def test_there_is_a_row_of_every_model_to_look_at(rows: dict[str, Model]) -> None:
    assert rows.keys() == MODELS.keys()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_list_asks_who_is_there(model: type[Model]) -> None:
    response = Client().get(asking.changelist(model))
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("admin:login"))


def test_every_page_of_a_row_asks_who_is_there(rows: dict[str, Model]) -> None:
    nobody = Client()
    pages = [asking.change(row) for row in rows.values()] + gesture_pages(rows)
    for page in pages:
        for response in (nobody.get(page), nobody.post(page, {"confirmed": "1"})):
            assert response.status_code == 302, page
            assert response["Location"].startswith(reverse("admin:login")), page


def test_every_page_opens_and_keeps_to_the_policy(
    console: Client, rows: dict[str, Model]
) -> None:
    pages = [reverse("admin:index"), reverse("admin:password_change")]
    for label, row in rows.items():
        model_admin = admin.site._registry[MODELS[label]]
        pages += [asking.changelist(row), asking.change(row)]
        pages.append(asking.url(row, "history", row.pk))
        if model_admin.has_add_permission(_asked_by(console)):
            pages.append(f"{asking.url(row, 'add')}?zone={rows['zones.zone'].pk}")
    for page in pages + [
        page for page in gesture_pages(rows) if "/resume/" not in page
    ]:
        response = console.get(page, follow=True)
        assert response.status_code == 200, page
        assert not asking.INLINE.search(response.content.decode()), page
        policy = response["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def _asked_by(console: Client) -> object:
    return console.get(reverse("admin:index")).wsgi_request


def test_lists_can_be_searched_and_filtered(
    console: Client, rows: dict[str, Model]
) -> None:
    for label, row in rows.items():
        page = asking.changelist(row)
        assert console.get(page, {"q": str(row.pk)}).status_code == 200, label
        for entry in admin.site._registry[MODELS[label]].list_filter:
            name = getattr(entry, "parameter_name", f"{entry}__exact")
            assert console.get(page, {name: "x"}, follow=True).status_code == 200, label


def test_strange_addresses_are_answered_without_failing(
    console: Client, rows: dict[str, Model]
) -> None:
    zone = rows["zones.zone"]
    for path in (
        asking.changelist(zone) + "?q=%00",
        asking.changelist(zone) + "?zone=%00&p=999999&o=99",
        asking.url(zone, "change", "no-such-zone"),
        asking.url(zone, "change", "_00"),
        asking.url(zone, "history", "no-such-zone"),
        asking.url(zone, "gesture", "no-such-zone", "archive"),
        asking.gesture(zone, "no-such-gesture"),
    ):
        assert console.get(path, follow=True).status_code in (200, 400, 404), path


def test_the_login_page_keeps_to_the_policy() -> None:
    response = Client().get(reverse("admin:login"))
    assert response.status_code == 200
    assert not asking.INLINE.search(response.content.decode())
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_forms_are_sent_with_their_origin() -> None:
    """Under ``no-referrer`` browsers send ``Origin: null``, which CSRF refuses."""
    assert Client().get(reverse("admin:login"))["Referrer-Policy"] == "same-origin"


def test_signing_in_is_limited_for_each_name() -> None:
    client, name = Client(REMOTE_ADDR=new_id()), new_id()
    password = new_id()
    User.objects.create_superuser(name, password=password)
    login, right = reverse("admin:login"), {"username": name, "password": password}
    subject = f"{client.defaults['REMOTE_ADDR']}:{name}"

    def attempt_too_often() -> str:
        for _ in range(SIGN_INS_PER_MINUTE):
            with suppress(RateLimited):
                rates.check("console_sign_in", subject, SIGN_INS_PER_MINUTE)
        return asking.text(client.post(login, right))

    # Twice, because a new minute may begin in between.
    answers = [attempt_too_often(), attempt_too_often()]
    assert any("Too many attempts" in answer for answer in answers)


def test_a_wrong_password_is_refused() -> None:
    sent = {"username": new_id(), "password": "wrong"}
    response = Client().post(reverse("admin:login"), sent)
    assert "Please enter the correct username" in asking.text(response)


def test_the_first_page_tells_how_things_are_and_what_happened(
    console: Client, rows: dict[str, Model]
) -> None:
    page = asking.text(console.get(reverse("admin:index")))
    for label in ("Live agents", "Active delegations", "Events pending", "Audit chain"):
        assert label in page
    assert "Latest changes" in page
    assert "Recent actions" not in page


def test_every_model_has_its_place_in_the_navigation() -> None:
    for model, model_admin in admin.site._registry.items():
        assert isinstance(model_admin, ConsoleAdmin), model
        assert model_admin.section in SECTIONS, model


def test_figures_are_shown_to_those_who_may_see_the_rows() -> None:
    person = User.objects.create_user(new_id(), is_staff=True)
    client = Client()
    client.force_login(person)
    assert "Live agents" not in asking.text(client.get(reverse("admin:index")))
    person.user_permissions.add(Permission.objects.get(codename="view_agentsession"))
    assert "Live agents" in asking.text(client.get(reverse("admin:index")))


def test_an_agent_is_drawn_between_those_around_it(
    console: Client, rows: dict[str, Model]
) -> None:
    agent = rows["agents.agentsession"]
    page = asking.text(console.get(asking.change(agent)))
    assert page.count('<svg class="graph"') == 2
    assert "Delegated authority" in page
    assert "docs:read" in page
    for heading in (
        "Effective authority",
        "Delegated to it",
        "Children",
        "Audit timeline",
    ):
        assert heading in page


def test_agents_are_found_by_label_name_and_id(
    console: Client, rows: dict[str, Model]
) -> None:
    agent = rows["agents.agentsession"]
    Application.objects.filter(pk=agent.application_id).update(
        name=f"Reader {new_id()}"
    )
    agent.refresh_from_db()
    listed = asking.changelist(agent) + f"?zone={agent.zone_id}&q="
    for sought in ("ocr", agent.application.name, agent.pk[:30]):
        found = console.get(listed + sought).context["cl"].result_list
        assert agent in found, sought
    assert not console.get(listed + "no-such-label").context["cl"].result_list


def test_the_history_of_a_zone_is_its_audit_timeline(
    console: Client, zone: Zone
) -> None:
    page = asking.text(console.get(asking.url(zone, "history", zone.pk)))
    assert "A zone was created." in page


def test_what_was_in_an_archived_zone_can_still_be_seen(
    console: Client, rows: dict[str, Model], actor: Actor
) -> None:
    zone = rows["zones.zone"]
    services.archive_zone(zone.pk, actor=actor, reason="over")
    for row in rows.values():
        assert console.get(asking.change(row)).status_code == 200
    page = asking.text(console.get(asking.change(rows["agents.agentsession"])))
    assert "There is no such zone." in page


def test_agents_that_ended_are_listed_only_when_asked_for(
    console: Client, world: World
) -> None:
    rows = [world.agent(world.spawn()) for _ in range(3)]
    running, resting, ended = rows
    world.suspend({"agent_session_id": resting.pk})
    world.terminate({"agent_session_id": ended.pk})
    listed = asking.changelist(AgentSession) + f"?zone={world.zone.pk}&state="
    for state, expected in (
        ("", {running.pk, resting.pk}),
        ("live", {running.pk, resting.pk}),
        ("active", {running.pk}),
        ("suspended", {resting.pk}),
        ("ended", {ended.pk}),
        ("all", {row.pk for row in rows}),
    ):
        found = console.get(listed + state).context["cl"].result_list
        assert {row.pk for row in found} == expected, state


def test_a_tree_shows_parents_siblings_and_children_and_what_was_delegated(
    world: World,
) -> None:
    root = world.spawn()
    here, first, second = (world.spawn(root) for _ in range(3))
    child = world.spawn(here)
    world.delegate(root, here, constraints={"max_hops": 3})
    world.delegate(here, child, constraints={"max_hops": 2})
    world.delegate(first, second)
    drawn = tree_picture(surroundings(world.agent(here)))
    ids = [each["agent_session_id"] for each in (root, here, first, second, child)]
    assert {box.node.key for box in drawn.boxes} == set(ids)
    arrows = {(line.arrow.source, line.arrow.target): line for line in drawn.lines}
    top, middle, *beside, bottom = ids
    assert arrows.keys() == {
        (top, middle),
        (middle, bottom),
        *((top, other) for other in beside),
    }
    labels = {pair: line.arrow.label for pair, line in arrows.items()}
    assert labels[top, middle] == labels[middle, bottom] == "docs:read"
    assert {labels[top, other] for other in beside} == {""}


def test_the_list_of_jobs_says_how_each_is(console: Client) -> None:
    worker_heartbeat()
    now, long_ago = timezone.now(), timezone.now() - timedelta(days=9)
    name = "prune-receipts"
    job = JobRun.objects.filter(name=name)

    def told() -> list[str]:
        page = console.get(asking.changelist(JobRun))
        row = asking.text(page).partition(f">{name}</code>")[2].partition("</tr>")[0]
        states = ("stuck", "failing", "waiting", "fine")
        return [state for state in states if f">{state}</span>" in row]

    job.update(completed_at=None, expected_from=now, last_error="")
    assert told() == ["waiting"]
    job.update(completed_at=now)
    assert told() == ["fine"]
    job.update(last_error="RedisError: away", failure="RedisError: away")
    assert told() == ["failing"]
    job.update(completed_at=long_ago, expected_from=long_ago)
    assert told() == ["stuck"]
    page = asking.text(console.get(asking.change(job.get())))
    assert "RedisError: away" in page
    assert "stuck" in asking.text(console.get(reverse("admin:index")))
    job.update(completed_at=now, last_error="")


def test_every_object_shows_its_timeline(
    console: Client, rows: dict[str, Model]
) -> None:
    shown = {
        label: "Audit timeline" in asking.text(console.get(asking.change(row)))
        for label, row in rows.items()
        if getattr(admin.site._registry[MODELS[label]], "entity_type", "")
    }
    assert len(shown) > 15
    assert all(shown.values()), shown
