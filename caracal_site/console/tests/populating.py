"""One row of every model the console shows."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User
from django.db.models import Model
from django.utils import timezone

from agents.models import AgentService, AgentSession, Invocation
from audit.models import (
    AdminAuditEvent,
    AuditChain,
    AuditEvent,
    AuditQuarantine,
    AuditRetention,
    OutboxEvent,
)
from caracal_site.ids import new_id
from caracal_site.models import JobRun, Receipt
from caracal_site.testing.world import READ, World
from delegations.models import DelegationEdge
from policies import services as policies
from policies.grants import services as grants
from policies.tests.factories import activate, make_version, mint
from policies.tests.granting import account, make_connectable
from tokens.models import Session, SigningKey, StepUpChallenge
from zones import services
from zones.models import Zone
from zones.tests.factories import ACTOR


def everything(world: World, person: User) -> dict[str, Model]:
    """The rows by ``app.model``. The agent has a parent, a child and edges."""
    zone = world.zone
    agent, edge = inhabit(world)
    made: list[Model] = [
        person,
        zone,
        world.application.application,
        world.resource,
        world.resource.credential_provider,
        services.mint_admin_token(new_id(), actor=ACTOR, scope="global").row,
        agent,
        edge,
        Session.objects.filter(zone=zone).first(),
        SigningKey.objects.get(zone=zone),
        asked(world, agent, edge),
        AdminAuditEvent.objects.in_zone(zone.id).order_by("position").first(),
        OutboxEvent.objects.filter(zone_id=zone.id).order_by("position").first(),
        *called(world, agent),
        *governed(zone),
        *granted(world),
        decided(zone),
        AuditChain.objects.create(zone_id=zone.id, seq=0, content=b"", peaks=b""),
        AuditQuarantine.objects.create(source_id=new_id(), reason="unknown_zone"),
        AuditRetention.objects.create(scope=zone.id, retention_days=90),
        Receipt.objects.create(
            caller="tests",
            route="POST /x",
            key=new_id(),
            fingerprint="f",
            status=201,
            body='{"secret":"receipt-body"}',
        ),
        JobRun.objects.create(name=new_id(), last_error="RedisError: away"),
    ]
    return {row._meta.label_lower: row for row in made}


def inhabit(world: World) -> tuple[AgentSession, DelegationEdge]:
    """An agent in the middle of things, and an edge with one above and one below."""
    root = world.spawn(labels=["nightly"])
    agent = world.spawn(root, labels=["ocr"])
    world.spawn(agent)
    second, third = world.spawn(), world.spawn()
    hops = {"max_hops": 5}
    first = world.delegate(root, agent, constraints=hops)
    edge = world.delegate(
        agent,
        second,
        parent_edge_id=first["delegation_edge_id"],
        constraints={"max_hops": 4},
    )
    world.delegate(second, third, parent_edge_id=edge["delegation_edge_id"])
    return world.agent(agent), world.edge(edge)


def governed(zone: Zone) -> list[Model]:
    """A set in force, with its policy, its version and a scenario."""
    version = make_version(zone)
    activate(version)
    scenario = policies.add_scenario(
        new_id(),
        policy_set_id=version.policy_set_id,
        zone_id=zone.id,
        actor=ACTOR,
        document=mint(),
        expected_decision="allow",
    )
    policy = version.members.get().policy_version.policy
    return [policy, version.policy_set, version, scenario]


def asked(world: World, agent: AgentSession, edge: DelegationEdge) -> StepUpChallenge:
    """A token request that waits for a person."""
    return StepUpChallenge.objects.create(
        zone=world.zone,
        application_id=agent.application_id,
        agent_session_id=agent.pk,
        delegation_edge_id=edge.pk,
        metadata_json={
            "requested_scopes": [READ],
            "resources": [world.resource.identifier],
        },
        ttl_seconds=900,
        binding_hash=bytes(32),
        expires_at=timezone.now() + timedelta(minutes=30),
    )


def granted(world: World) -> list[Model]:
    """A grant of a user, and an account that a user connected."""
    grant = grants.create_grant(
        zone_id=world.zone.id,
        actor=ACTOR,
        application_id=world.application.id,
        user_id="ada",
        resource_id=world.resource.id,
        scopes=[READ],
    )
    provider, resource = make_connectable(world.zone)
    given = account(provider, resource, scopes=["read"], access_token="upstream-token")
    stored = grants.store_provider_grant(zone_id=world.zone.id, actor=ACTOR, **given)
    return [grant, stored]


def called(world: World, agent: AgentSession) -> tuple[AgentService, Invocation]:
    service = AgentService.objects.create(
        zone=world.zone,
        application=world.application.application,
        endpoint_url=f"https://{new_id()}.example.com/",
        lease_expires_at=timezone.now() + timedelta(minutes=2),
    )
    invocation = Invocation.objects.create(
        zone=world.zone,
        application=world.application.application,
        service=service,
        target_session=agent,
        due_at=timezone.now() + timedelta(hours=1),
        idempotency_key=new_id(),
        method="summarise",
        params_json={"text": "invocation-parameters"},
    )
    return service, invocation


def decided(zone: Zone) -> AuditEvent:
    return AuditEvent.objects.create(
        zone_id=zone.id,
        event_type="token.exchange",
        decision="deny",
        metadata_json={"why": "no grant"},
    )


def parked(zone: Zone) -> OutboxEvent:
    return OutboxEvent.objects.create(
        producer="api",
        zone_id=zone.id,
        topic="caracal.sessions.revoke",
        payload_json={"zone_id": zone.id},
        parked_at=timezone.now(),
        last_error="Unencodable: a float",
    )
