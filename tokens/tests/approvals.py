"""A fleet whose writing tokens a person has to approve."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from audit.models import AuditEvent
from caracal_site.actors import Actor, ActorKind
from caracal_site.testing.world import READ, WRITE, World
from policies.tests.factories import activate, document, make_version
from tokens.errors import InteractionRequired
from tokens.models import StepUpChallenge
from tokens.services.issue import TokenAnswer, issue_session_token
from tokens.tests.factories import Client, request_of

Made = dict[str, Any]
APPROVER = Actor(
    kind=ActorKind.ADMIN_TOKEN, id="approver", name="approver", scope="global"
)


class Guarded:
    """A lead that has passed authority on to a clerk. Whoever mints ``WRITE`` needs a
    person's approval, whoever mints ``READ`` does not."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.resource = world.resource.identifier
        self.allow()
        self.lead = world.spawn(labels=["lead"])
        self.clerk = world.spawn(labels=["clerk"])
        self.edge = self.pass_on(self.clerk)

    def allow(self, *scopes: str, **changes: Any) -> None:
        """Puts policies in force that let clerks mint these scopes."""
        roles = {"clerk": list(scopes or (READ, WRITE))}
        grant = {"application": "main", "roles": roles}
        data = {
            "app_ids": {"main": self.world.application.id},
            "grants": {self.resource: grant},
            "risk": [{"scope": WRITE, "tier": "grave"}],
            "approval_tiers": ["grave"],
        }
        activate(make_version(self.world.zone, document(**data | changes)))

    def pass_on(self, target: Made) -> Made:
        return self.world.delegate(
            self.lead, target, scopes=[READ, WRITE], constraints={"max_hops": 5}
        )

    def asked(self, **changes: Any) -> dict[str, Any]:
        return {
            "scope": WRITE,
            "agent_session_id": self.clerk["agent_session_id"],
            "delegation_edge_id": self.edge["delegation_edge_id"],
            **changes,
        }

    def ask(self, by: Client | None = None, **changes: Any) -> TokenAnswer:
        client = by or self.world.application
        resource = changes.pop("resource", self.resource)
        return issue_session_token(
            request_of(client, resource, **self.asked(**changes))
        )

    def challenged(self, **changes: Any) -> dict[str, Any]:
        """What the refusal says about the challenge."""
        with pytest.raises(InteractionRequired) as refused:
            self.ask(**changes)
        return refused.value.extra

    def challenge(self, **changes: Any) -> StepUpChallenge:
        told = self.challenged(**changes)
        return StepUpChallenge.objects.get(id=told["challenge_id"])

    def ledger(self) -> list[AuditEvent]:
        rows = AuditEvent.objects.filter(zone_id=self.world.zone.id)
        return list(rows.order_by("id"))


def age(challenge: StepUpChallenge, **by: int) -> None:
    """Moves the challenge into the past."""
    StepUpChallenge.objects.filter(id=challenge.id).update(
        created_at=F("created_at") - timedelta(**by),
        expires_at=F("expires_at") - timedelta(**by),
    )
