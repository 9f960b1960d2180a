"""Putting a set in force, and out of it: atomic, one a zone, announced."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from django.db import transaction
from django.db.models.functions import Now

from audit import record as audit
from caracal_site import database, statements
from caracal_site.actors import Actor
from caracal_site.api.permissions import authorise
from policies import errors, events
from policies.manifests import members_of
from policies.models import PolicyActivation, PolicySet, PolicySetVersion
from policies.services.documents import agreed
from policies.services.scenarios import failing, scenarios_of
from policies.services.sets import lock_policy_set
from zones.services import lock_zone


@dataclass(frozen=True, slots=True)
class Whichever:
    """No expectation about the version in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """What is in force since, and what was before."""

    policy_set_id: str
    version_id: str | None
    shadow_version_id: str | None
    replaced_version_id: str | None
    revision: int
    outbox_id: str


def activate_policy_set(
    policy_set_id: str,
    *,
    zone_id: str,
    actor: Actor,
    version_id: str,
    shadow_version_id: str | None = None,
    expected_version_id: str | Whichever | None = Whichever(),
    reason: str | None = None,
) -> Activation:
    """Makes a version of the set what the zone decides by, instead of any other.

    Token requests of the zone wait for the change and are decided by it.
    ``expected_version_id`` is what has to be in force until now, None for nothing.
    Raises ZoneNotFound, VersionNotFound, InvalidPolicyContract, ScenariosFailed,
    ShadowVersionNotFound, InvalidShadowPolicyContract or ActiveVersionChanged.
    """
    authorise(actor, zone_id=zone_id, writes=True)
    return database.retried(
        partial(
            _activate,
            policy_set_id,
            zone_id,
            actor,
            version_id,
            shadow_version_id,
            expected_version_id,
            reason,
        )
    )


def _activate(
    policy_set_id: str,
    zone_id: str,
    actor: Actor,
    version_id: str,
    shadow_version_id: str | None,
    expected_version_id: str | Whichever | None,
    reason: str | None,
) -> Activation:
    # Judged before the zone is locked: nobody waits while documents are compiled.
    version = _judged(
        policy_set_id,
        version_id,
        zone_id,
        errors.VersionNotFound,
        errors.InvalidPolicyContract,
    )
    asked = scenarios_of(version)
    failed = failing(version, asked)
    if failed:
        raise errors.ScenariosFailed(failed)
    if shadow_version_id is not None:
        _judged(
            policy_set_id,
            shadow_version_id,
            zone_id,
            errors.ShadowVersionNotFound,
            errors.InvalidShadowPolicyContract,
        )
    with transaction.atomic():
        lock_zone(zone_id, actor=actor)
        _lock_set(policy_set_id, zone_id)
        if {one.id for one in scenarios_of(version)} != {one.id for one in asked}:
            raise database.Changed
        before = PolicyActivation.objects.filter(zone_id=zone_id).first()
        replaced = before.active_version_id if before else None
        if expected_version_id not in (replaced, Whichever()):
            raise errors.ActiveVersionChanged(replaced)
        event = events.PolicySetActivated(
            zone_id=zone_id,
            entity_id=policy_set_id,
            changed_fields=("version_id",),
            facts={"replaced_version_id": replaced},
            policy_set_id=policy_set_id,
            policy_set_version_id=version_id,
            shadow_version_id=shadow_version_id,
        )
        return _write(before, event, actor, reason)


@transaction.atomic
def deactivate_policy_set(
    policy_set_id: str, *, zone_id: str, actor: Actor, reason: str
) -> Activation:
    """Leaves the zone without a set in force.

    Raises ZoneNotFound, PolicySetNotFound or PolicySetNotActive.
    """
    lock_zone(zone_id, actor=actor)
    lock_policy_set(policy_set_id, zone_id)
    before = PolicyActivation.objects.filter(
        zone_id=zone_id, policy_set_id=policy_set_id
    ).first()
    if before is None:
        raise errors.PolicySetNotActive
    event = events.PolicySetDeactivated(
        zone_id=zone_id,
        entity_id=policy_set_id,
        facts={"replaced_version_id": before.active_version_id},
        policy_set_id=policy_set_id,
        policy_set_version_id=None,
    )
    return _write(before, event, actor, reason)


def _judged(
    policy_set_id: str,
    version_id: str,
    zone_id: str,
    not_found: type[errors.CaracalError],
    invalid: type[errors.InvalidPolicyContract],
) -> PolicySetVersion:
    live = PolicySetVersion.objects.of_live_set(policy_set_id, zone_id)
    version: PolicySetVersion | None = live.filter(id=version_id).first()
    if version is None:
        raise not_found
    agreed(
        members_of(version_id),
        zone_id=zone_id,
        schema_version=version.schema_version,
        invalid=invalid,
    )
    return version


def _lock_set(policy_set_id: str, zone_id: str) -> None:
    try:
        lock_policy_set(policy_set_id, zone_id)
    except errors.PolicySetNotFound:
        raise errors.VersionNotFound from None


def _write(
    before: PolicyActivation | None,
    event: events.PolicySetActivated | events.PolicySetDeactivated,
    actor: Actor,
    reason: str | None,
) -> Activation:
    """Writes the row, its evidence and the news, under the zone's lock."""
    evidence = audit.prepare(actor, event, reason=reason)
    outbox_id = str(orjson.loads(evidence.outbox)[0]["id"])
    revision = before.revision + 1 if before else 1
    active: dict[str, Any] = {
        "policy_set_id": event.policy_set_id if event.policy_set_version_id else None,
        "active_version_id": event.policy_set_version_id,
        "shadow_version_id": event.shadow_version_id,
    }
    PolicyActivation.objects.update_or_create(
        zone_id=event.zone_id,
        defaults={
            **active,
            "revision": revision,
            "activated_by": actor.name,
            "activated_at": Now(),
            "outbox_id": outbox_id,
        },
    )
    # Their entity tags change, because what the API tells of them does.
    changed = [event.policy_set_id, before.policy_set_id if before else None]
    PolicySet.objects.filter(id__in=changed).update(updated_at=Now())
    statements.execute("audit/record", evidence.parameters())
    audit.written(evidence)
    return Activation(
        policy_set_id=event.policy_set_id,
        version_id=event.policy_set_version_id,
        shadow_version_id=event.shadow_version_id,
        replaced_version_id=before.active_version_id if before else None,
        revision=revision,
        outbox_id=outbox_id,
    )
