"""Putting a set in force, and out of it: atomic, one a zone, announced."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import orjson
from django.db import transaction

from audit import record as audit
from caracal_site import database, statements
from caracal_site.actors import Actor
from caracal_site.api.permissions import authorise
from policies import errors, events
from policies.models import PolicySetVersion
from policies.services.documents import check_version
from policies.services.scenarios import failing, scenarios_of
from zones.models import Zone
from zones.services import hold_zone, permitted


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


@dataclass(frozen=True, slots=True)
class _Before:
    """What is in force in a locked zone, and the scenarios that a version is asked."""

    policy_set_id: str | None
    version_id: str | None
    scenarios: list[str]


_ACTIVE = (errors.VersionNotFound, errors.InvalidPolicyContract)
_SHADOW = (errors.ShadowVersionNotFound, errors.InvalidShadowPolicyContract)


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
    asked = _judged(policy_set_id, version_id, zone_id, _ACTIVE)
    if asked:
        version = PolicySetVersion.objects.get(id=version_id)
        failed = failing(version, scenarios_of(version))
        if failed:
            raise errors.ScenariosFailed(failed)
    if shadow_version_id is not None:
        _judged(policy_set_id, shadow_version_id, zone_id, _SHADOW)
    with transaction.atomic():
        _hold(policy_set_id, zone_id, actor, errors.VersionNotFound)
        before = _before(zone_id, version_id)
        if before.scenarios != asked:
            raise database.Changed
        if expected_version_id not in (before.version_id, Whichever()):
            raise errors.ActiveVersionChanged(before.version_id)
        event = events.PolicySetActivated(
            zone_id=zone_id,
            entity_id=policy_set_id,
            changed_fields=("version_id",),
            facts={"replaced_version_id": before.version_id},
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
    _hold(policy_set_id, zone_id, actor, errors.PolicySetNotFound)
    before = _before(zone_id)
    if before.policy_set_id != policy_set_id:
        raise errors.PolicySetNotActive
    event = events.PolicySetDeactivated(
        zone_id=zone_id,
        entity_id=policy_set_id,
        facts={"replaced_version_id": before.version_id},
        policy_set_id=policy_set_id,
        policy_set_version_id=None,
    )
    return _write(before, event, actor, reason)


def _judged(
    policy_set_id: str,
    version_id: str,
    zone_id: str,
    refusals: tuple[type[errors.CaracalError], type[errors.InvalidPolicyContract]],
) -> list[str]:
    """The scenarios that a version is asked, which is of a live set and agrees."""
    not_found, invalid = refusals
    found = statements.fetch_all(
        "policies/candidate",
        {"policy_set_id": policy_set_id, "version_id": version_id, "zone_id": zone_id},
    )
    if not found:
        raise not_found
    ((schema_version, scenarios),) = found
    check_version(
        version_id,
        zone_id=zone_id,
        schema_version=schema_version,
        invalid=invalid,  # type: ignore[arg-type]  # a class is hashable
    )
    return list(scenarios)


def _hold(
    policy_set_id: str,
    zone_id: str,
    actor: Actor,
    not_found: type[errors.CaracalError],
) -> None:
    """Keeps everybody else from changing the live zone and its live set."""
    found = statements.fetch_all(
        "policies/hold_set", {"policy_set_id": policy_set_id, "zone_id": zone_id}
    )
    if not found:
        hold_zone(zone_id, actor=actor)
        raise not_found
    name, slug, owner_account_id = found[0]
    permitted(Zone(name=name, slug=slug, owner_account_id=owner_account_id), actor)


def _before(zone_id: str, version_id: str = "") -> _Before:
    row = statements.fetch_one(
        "policies/replaced", {"zone_id": zone_id, "version_id": version_id}
    )
    return _Before(*row)


def _write(
    before: _Before,
    event: events.PolicySetActivated | events.PolicySetDeactivated,
    actor: Actor,
    reason: str | None,
) -> Activation:
    """Writes the row, its evidence and the news, under the zone's lock."""
    evidence = audit.prepare(actor, event, reason=reason)
    outbox_id = str(orjson.loads(evidence.outbox)[0]["id"])
    is_active = event.policy_set_version_id is not None
    (revision,) = statements.fetch_one(
        "policies/activate",
        {
            "zone_id": event.zone_id,
            "policy_set_id": event.policy_set_id if is_active else None,
            "active_version_id": event.policy_set_version_id,
            "shadow_version_id": event.shadow_version_id,
            "activated_by": actor.name,
            "outbox_id": outbox_id,
            "changed": list({event.policy_set_id, before.policy_set_id} - {None}),
            **evidence.parameters(),
        },
    )
    audit.written(evidence)
    return Activation(
        policy_set_id=event.policy_set_id,
        version_id=event.policy_set_version_id,
        shadow_version_id=event.shadow_version_id,
        replaced_version_id=before.version_id,
        revision=revision,
        outbox_id=outbox_id,
    )
