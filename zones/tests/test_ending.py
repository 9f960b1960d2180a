"""What ends with a zone, an application, a resource or a secret, and what is told."""

from __future__ import annotations

from typing import Any

from audit.models import AdminAuditEvent
from caracal_site.testing.api import Api, refusal
from caracal_site.testing.evidence import Events
from caracal_site.testing.races import Threads, held
from caracal_site.testing.world import READ, World
from zones import services, tasks
from zones.models import (
    AdminToken,
    Application,
    GatewayBinding,
    GatewayBindingRevision,
    Resource,
    Zone,
    ZoneUsage,
)
from zones.tests.factories import (
    ACTOR,
    expire,
    make_application,
    make_dynamic,
    make_resource,
    make_zone,
    told,
)


def trail(entity_id: str) -> dict[str, Any]:
    """What the newest audit row about something says."""
    return told(AdminAuditEvent.objects.filter(entity_id=entity_id).latest("position"))


class TestAZone:
    def test_takes_along_all_that_stands_in_it(self, api: Api, zone: Zone) -> None:
        resource = make_resource(zone)
        minted = services.mint_admin_token(
            "t", actor=ACTOR, scope="zone", zone_id=zone.id
        )
        mine = api.as_(minted.plain)
        assert mine.get(f"/v1/zones/{zone.id}").status_code == 200
        assert api.delete(f"/v1/zones/{zone.id}").status_code == 204
        answer = mine.get(f"/v1/zones/{zone.id}")
        assert refusal(answer) == (401, "invalid_admin_token")
        assert AdminToken.objects.get(id=minted.row.id).revoked_at is not None
        resource.refresh_from_db()
        assert resource.archived_at is not None
        assert resource.credential_provider.archived_at is not None
        assert not Application.objects.in_zone(zone.id).live().exists()
        assert not GatewayBinding.objects.filter(zone=zone).exists()
        assert ZoneUsage.objects.get(zone=zone).resources == 0
        said = trail(zone.id)
        assert said["archived_applications"] == 1
        assert said["archived_resources"] == said["archived_providers"] == 1
        assert said["revoked_admin_tokens"] == said["removed_bindings"] == 1

    def test_leaves_the_others_alone(self, api: Api, zone: Zone) -> None:
        resource = make_resource(zone)
        api.delete(f"/v1/zones/{make_zone().id}")
        resource.refresh_from_db()
        assert resource.archived_at is None


class TestAnApplication:
    def test_says_how_many_resources_it_fronted(self, api: Api, zone: Zone) -> None:
        application = make_application(zone).application
        make_resource(zone, gateway_application_id=application.id)
        api.delete(f"/v1/zones/{zone.id}/applications/{application.id}")
        assert trail(application.id)["removed_bindings"] == 1

    def test_announces_each_thing_that_ends(
        self, api: Api, world: World, events: Events
    ) -> None:
        agent, foreign = world.spawn(), world.spawn(by=world.make_application())
        edge = world.delegate(agent, foreign)
        events.take()
        api.delete(f"/v1/zones/{world.zone.id}/applications/{world.application.id}")
        news = events.take().payloads("caracal.sessions.revoke")
        assert {one.get("session_id") for one in news} >= {world.session().id}
        edges = {one.get("delegation_edge_id") for one in news}
        assert edge["delegation_edge_id"] in edges
        world.assert_sound()


class TestAResource:
    def test_ends_the_delegations_about_it(
        self, api: Api, world: World, events: Events
    ) -> None:
        root, agent = world.spawn(), world.spawn()
        edge = world.delegate(root, agent)
        events.take()
        foreseen = services.foresee_resource(world.resource)
        mine = f"/v1/zones/{world.zone.id}/resources/{world.resource.id}"
        assert api.delete(mine).status_code == 204
        assert world.edge(edge).status == "revoked"
        assert world.agent(root).status == "active"
        said = trail(world.resource.id)
        assert said["revoked_delegations"] == len(foreseen.delegations) == 1
        assert said["terminated_agents"] == len(foreseen.agents)
        assert said["removed_bindings"] == 1
        news = events.take().payloads("caracal.sessions.revoke")
        assert [one["delegation_edge_id"] for one in news] == [
            edge["delegation_edge_id"]
        ]
        world.assert_sound()

    def test_leaves_a_delegation_that_has_another_object(
        self, api: Api, world: World
    ) -> None:
        other = world.make_resource(world.application, READ)
        names = [world.resource.identifier, other.identifier]
        edge = world.delegate(
            world.spawn(),
            world.spawn(),
            resource_id=None,
            constraints={"resources": names},
        )
        path = f"/v1/zones/{world.zone.id}/resources"
        assert api.delete(f"{path}/{world.resource.id}").status_code == 204
        assert world.edge(edge).status == "active"
        assert api.delete(f"{path}/{other.id}").status_code == 204
        assert world.edge(edge).status == "revoked"


class TestASecretThatLeaked:
    def test_ends_what_was_done_with_it(self, api: Api, world: World) -> None:
        agent, foreign = world.spawn(), world.spawn(by=world.make_application())
        edge = world.delegate(agent, foreign)
        session = world.session()
        path = f"/v1/zones/{world.zone.id}/applications/{world.application.id}"
        answer = api.post(f"{path}/rotate-secret", {"revoke_live": True})
        assert answer.status_code == 200
        session.refresh_from_db()
        assert (session.status, session.revoked_reason) == (
            "revoked",
            "client_secret_rotated",
        )
        assert world.agent(agent).status == "terminated"
        assert world.edge(edge).status == "revoked"
        said = trail(world.application.id)
        assert said["event"] == "application.secret_rotated"
        assert said["revoked_sessions"] == said["terminated_agents"] == 1
        assert (said["revoked_delegations"], said["overlap_seconds"]) == (1, 0)

    def test_leaves_the_application_able_to_start_again(
        self, api: Api, world: World
    ) -> None:
        world.spawn()
        path = f"/v1/zones/{world.zone.id}/applications/{world.application.id}"
        api.post(f"{path}/rotate-secret", {"revoke_live": True, "overlap_seconds": 60})
        assert trail(world.application.id)["overlap_seconds"] == 60
        assert world.try_spawn().status_code == 401
        world._sessions.clear()
        assert world.agent(world.spawn()).status == "active"


class TestExpiry:
    def test_goes_on_until_nothing_is_due(self, zone: Zone) -> None:
        due = [make_dynamic(zone) for _ in range(5)]
        living = make_dynamic(zone)
        for application in due:
            expire(application)
        assert services.archive_expired_applications(limit=2) >= 5
        live = Application.objects.in_zone(zone.id).live()
        assert list(live.values_list("id", flat=True)) == [living.id]
        assert services.archive_expired_applications(limit=2) == 0

    def test_ends_an_application_once_however_many_workers_there_are(self) -> None:
        zones = [make_zone(), make_zone()]
        due = [make_dynamic(zone) for zone in zones for _ in range(6)]
        for application in due:
            expire(application)
        with Threads(3) as threads:
            started = [
                threads.start(services.archive_expired_applications, 2)
                for _ in range(3)
            ]
            ended = sum(future.result(60) for future in started)
        ended += services.archive_expired_applications()
        assert ended >= len(due)
        for application in due:
            rows = AdminAuditEvent.objects.filter(
                entity_id=application.id, payload_json__event="application.archived"
            )
            assert rows.count() == 1

    def test_leaves_what_another_worker_holds_to_that_one(self, zone: Zone) -> None:
        one, other = make_dynamic(zone), make_dynamic(zone)
        for application in (one, other):
            expire(application)
        with Threads(1) as threads, held(Application.objects.filter(id=one.id)):
            threads.start(services.archive_expired_applications).result(60)
        one.refresh_from_db()
        other.refresh_from_db()
        assert one.archived_at is None
        assert other.archived_at is not None
        services.archive_expired_applications()
        one.refresh_from_db()
        assert one.archived_at is not None

    def test_ends_what_the_application_does(self, world: World, events: Events) -> None:
        agent = world.spawn()
        expire(world.application.application)
        Application.objects.filter(id=world.application.id).update(
            registration_method="dcr"
        )
        events.take()
        tasks.archive_expired_applications()
        assert world.agent(agent).status == "terminated"
        assert world.agent(agent).termination_reason == "expired"
        session = world.session()
        session.refresh_from_db()
        assert (session.status, session.revoked_reason) == ("revoked", "expired")
        assert trail(world.application.id)["terminated_agents"] == 1
        assert events.take().payloads("caracal.sessions.revoke")


def test_the_count_of_resources_is_theirs(api: Api, zone: Zone) -> None:
    first, _second = make_resource(zone), make_resource(zone)
    assert ZoneUsage.objects.get(zone=zone).resources == 2
    path = f"/v1/zones/{zone.id}/resources"
    refused = api.delete(f"{path}/nope")
    assert refusal(refused) == (404, "resource_not_found")
    api.delete(f"{path}/{first.id}")
    live = Resource.objects.in_zone(zone.id).live().count()
    assert ZoneUsage.objects.get(zone=zone).resources == live == 1


def test_a_change_that_changes_nothing_is_no_news_to_gateways(
    api: Api, zone: Zone
) -> None:
    resource = make_resource(zone)
    mine = f"/v1/zones/{zone.id}/resources/{resource.id}"
    as_it_is = api.get(mine).json()
    before = GatewayBindingRevision.objects.get(zone=zone).version
    unchanged = {
        name: as_it_is[name]
        for name in as_it_is
        if name not in ("id", "zone_id", "created_at", "updated_at")
    }
    assert api.patch(mine, unchanged).status_code == 200
    assert GatewayBindingRevision.objects.get(zone=zone).version == before
    other = make_application(zone).application
    api.patch(mine, {"gateway_application_id": other.id})
    assert GatewayBindingRevision.objects.get(zone=zone).version == before + 1
