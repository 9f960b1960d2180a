"""The jobs that keep leases: what lapses rests, what is unseen for a day ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from pytest_django import Settings

from agents import services
from agents.models import AgentService, AgentSession
from agents.registry import services as registry
from agents.services import leases
from agents.tasks import age_services, suspend_agent_services
from caracal_site.models import JobRun
from caracal_site.testing.evidence import Events
from caracal_site.testing.races import Threads, held
from caracal_site.testing.refusing import refusing
from caracal_site.testing.world import World, refusal
from zones.models import Zone

LIFECYCLE = "caracal.agents.lifecycle"
Made = dict[str, Any]


def rows(*agents: Made) -> Any:
    ids = [agent["agent_session_id"] for agent in agents]
    return AgentSession.objects.filter(id__in=ids)


def lapse(*agents: Made, seconds: int = 1) -> None:
    past = timezone.now() - timedelta(seconds=seconds)
    rows(*agents).update(heartbeat_deadline_at=past, last_heartbeat_at=past)


def service(world: World, parent: Made | None = None) -> Made:
    return world.spawn(parent, lifecycle="service")


def statuses(world: World, *agents: Made) -> list[str]:
    return [world.agent(agent).status for agent in agents]


def test_services_past_their_lease_rest_with_what_is_below(
    world: World, events: Events
) -> None:
    root, alive = service(world), service(world)
    child = world.spawn(root)
    lapse(root)
    events.take()
    assert suspend_agent_services().handled >= 2
    assert statuses(world, root, child, alive) == ["suspended", "suspended", "active"]
    assert world.agent(root).suspend_reason == "service_heartbeat_lost"
    left = events.take()
    told = left.payloads(LIFECYCLE)
    assert {news["agent_session_id"] for news in told} == {
        root["agent_session_id"],
        child["agent_session_id"],
    }
    (audit,) = left.audit
    assert (audit.method, audit.actor_name) == ("JOB", "suspend-agent-services")
    world.assert_sound()


def test_a_backlog_is_worked_off_in_batches_and_nothing_twice(world: World) -> None:
    agents = [service(world) for _ in range(7)]
    lapse(*agents)
    services.suspend_lapsed_services(limit=2)
    assert set(statuses(world, *agents)) == {"suspended"}
    assert {world.agent(agent).transition for agent in agents} == {1}
    services.suspend_lapsed_services(limit=2)
    assert {world.agent(agent).transition for agent in agents} == {1}


def test_two_workers_at_once_suspend_each_service_once(world: World) -> None:
    agents = [service(world) for _ in range(6)]
    lapse(*agents)
    with Threads(2) as threads:
        runs = [threads.start(services.suspend_lapsed_services, 2) for _ in range(2)]
        for run in runs:
            run.result()
    assert {world.agent(agent).transition for agent in agents} == {1}
    assert set(statuses(world, *agents)) == {"suspended"}


def test_a_heartbeat_that_comes_before_the_job_gets_there_counts(
    world: World,
) -> None:
    """The job has picked the service; its heartbeat commits while the job waits."""
    agent = service(world)
    lapse(agent)
    with Threads(1) as threads:
        with held(rows(agent)) as wait_for:
            run = threads.start(
                leases.suspend_lapsed, world.zone.id, agent["agent_session_id"]
            )
            wait_for(1)
            later = timezone.now() + timedelta(minutes=2)
            rows(agent).update(heartbeat_deadline_at=later)
        assert run.result() == 0
    assert world.agent(agent).status == "active"


def test_a_late_heartbeat_and_the_job_meet(world: World) -> None:
    """Whoever is first suspends it; the service is suspended once, or on its way."""
    for _ in range(10):
        agent = service(world)
        lapse(agent)
        with Threads(1) as threads:
            run = threads.start(
                leases.suspend_lapsed, world.zone.id, agent["agent_session_id"]
            )
            path = f"/agents/{agent['agent_session_id']}/heartbeat"
            found = world.at_once(*(world.start("POST", path, {}) for _ in range(3)))
            run.result()
        assert set(found) <= {200, 409}
        row = world.agent(agent)
        assert row.transition in (1, 2)
        assert row.status == ("suspended" if row.transition == 1 else "active")
        world.assert_sound()


def test_a_heartbeat_meets_the_suspension_of_the_parent(world: World) -> None:
    for _ in range(10):
        root = service(world)
        agent = service(world, root)
        lapse(agent)
        world.heartbeat(agent)
        path = f"/agents/{agent['agent_session_id']}/heartbeat"
        world.at_once(world.start_turn("suspend", root), world.start("POST", path, {}))
        assert world.agent(root).status == world.agent(agent).status == "suspended"
        world.assert_sound()


def test_a_heartbeat_meets_the_end_of_the_agent(world: World) -> None:
    for _ in range(10):
        root = service(world)
        agent = service(world, root)
        world.spawn(agent)
        lapse(agent)
        world.heartbeat(agent)
        path = f"/agents/{agent['agent_session_id']}/heartbeat"
        found = world.at_once(
            world.start_turn("terminate", root), world.start("POST", path, {})
        )
        assert found[0] == 204
        assert world.agent(agent).status == "terminated"
        world.assert_sound()


def test_services_unseen_for_a_day_end_with_what_hangs_on_them(
    world: World, events: Events
) -> None:
    """Services that nobody hears from are not immortal, nor keep their place (W35)."""
    unseen, away, resting = service(world), service(world), service(world)
    child = world.spawn(unseen)
    lapse(unseen, resting, seconds=86_401)
    lapse(away, seconds=86_000)
    world.suspend(resting)
    services.suspend_lapsed_services()
    events.take()
    before = world.room_taken()
    assert services.end_unseen_services(limit=1).handled >= 3
    assert statuses(world, unseen, child, resting, away) == [
        "terminated", "terminated", "terminated", "suspended",
    ]  # fmt: skip
    assert world.agent(unseen).termination_reason == "service_unseen"
    assert world.room_taken() == before - 3
    told = events.take().payloads(LIFECYCLE)
    assert {news["reason"] for news in told} == {"service_unseen"}
    world.assert_sound()


def test_a_service_that_rests_but_is_heard_from_does_not_end(world: World) -> None:
    agent = service(world)
    world.suspend(agent)
    lapse(agent, seconds=86_401)
    assert world.heartbeat(agent).status_code == 200
    services.end_unseen_services()
    assert world.agent(agent).status == "suspended"


def test_a_heartbeat_before_the_end_of_an_unseen_service_counts(world: World) -> None:
    agent = service(world)
    lapse(agent, seconds=86_401)
    with Threads(1) as threads:
        with held(rows(agent)) as wait_for:
            run = threads.start(leases._end_unseen, world.zone.id, 10)
            wait_for(1)
            rows(agent).update(
                heartbeat_deadline_at=timezone.now() + timedelta(minutes=2),
                last_heartbeat_at=timezone.now(),
            )
        assert run.result() == 0
    assert world.agent(agent).status == "active"


def test_a_service_record_that_is_silent_is_unhealthy(world: World) -> None:
    """A dead service does not stay healthy for ever (W36)."""
    agent, record = service(world), world.register()
    world.heartbeat(agent, {"service_id": record["id"], "active_invocations": 2})
    path = f"/agent-services/{record['id']}"
    assert world.get(path).json()["health"] == "healthy"
    found = AgentService.objects.filter(id=record["id"])
    found.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert world.get(path).json()["health"] == "unhealthy"
    assert world.service(record).health == "healthy", "as long as no job looked"
    assert registry.age_services().handled >= 1
    row = world.service(record)
    assert (row.health, row.active_invocations) == ("unhealthy", 0)
    listed = world.get("/agent-services?health=unhealthy").json()["items"]
    assert [item["id"] for item in listed] == [record["id"]]
    world.heartbeat(agent, {"service_id": record["id"]})
    assert world.get(path).json()["health"] == "healthy"


def test_a_service_that_is_busy_is_left_for_the_next_run(world: World) -> None:
    agent, free = service(world), service(world)
    lapse(agent, free)
    with Threads(1) as threads:
        with held(rows(agent)):
            outcome = threads.start(services.suspend_lapsed_services).result()
        assert outcome.backlog >= 1
    assert statuses(world, agent, free) == ["active", "suspended"]
    assert refusal(world.heartbeat(agent)) == (409, "agent_lease_expired")


def test_a_zone_that_fails_keeps_no_other_service_waiting(
    world: World, elsewhere: Zone
) -> None:
    """W47: the failure of one zone undid the run of all, again every time."""
    other = World(elsewhere, world.coordinator)
    agents = [(each, service(each)) for each in (world, other)]
    lapse(*(agent for _, agent in agents), seconds=86_401)

    def found() -> list[str]:
        return [each.agent(agent).status for each, agent in agents]

    with refusing(world.zone.id, "agent_sessions", change="UPDATE"):
        rested = services.suspend_lapsed_services()
        assert found() == ["active", "suspended"]
        ended = services.end_unseen_services()
        assert found() == ["active", "terminated"]
    for outcome in (rested, ended):
        assert world.zone.id in outcome.error
        assert outcome.backlog == 1
    services.end_unseen_services()
    assert found() == ["terminated", "terminated"]


def test_services_count_in_full_whether_they_rest_or_not(
    world: World, settings: Settings
) -> None:
    """W35: they counted for an hour, and not at all once they rested."""
    settings.MAX_AGENTS_PER_APP = 3
    agents = [service(world) for _ in range(3)]
    lapse(*agents, seconds=7_200)
    services.suspend_lapsed_services()
    full = (429, "agent_limit_exceeded")
    assert refusal(world.try_spawn(lifecycle="service")) == full
    assert [world.heartbeat(agent).status_code for agent in agents] == [200] * 3
    assert refusal(world.try_spawn(lifecycle="service")) == full
    world.terminate(agents[0])
    assert world.try_spawn(lifecycle="service").status_code == 201
    world.assert_sound()


def test_the_jobs_are_recorded_under_their_names(world: World) -> None:
    lapse(service(world))
    suspend_agent_services()
    age_services()
    run = JobRun.objects.get(name="suspend-agent-services")
    assert run.runs >= 1
    assert run.handled >= 1
