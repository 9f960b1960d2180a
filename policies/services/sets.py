"""The verbs of policy sets; what puts them in force is in ``activating``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from audit.record import record
from caracal_site.actors import Actor
from caracal_site.api.permissions import authorise
from caracal_site.database import refused
from caracal_site.preconditions import UNCONDITIONAL, Precondition
from policies import errors, events, rules
from policies.acceptance import SCHEMA_VERSIONS
from policies.models import (
    PolicyActivation,
    PolicySet,
    PolicySetMember,
    PolicySetVersion,
)
from policies.services.documents import agreed
from zones.querysets import RESERVED_NAME_PREFIX
from zones.rules import refuse_reserved
from zones.services import hold_zone

NAME_KEY = "policy_sets_name_live_key"


@transaction.atomic
def create_policy_set(
    name: str,
    *,
    zone_id: str,
    actor: Actor,
    description: str | None = None,
) -> PolicySet:
    """An empty policy set. Raises ZoneNotFound, ReservedNamespace or
    PolicySetNameTaken."""
    zone = hold_zone(zone_id, actor=actor)
    if not actor.is_bootstrap:
        refuse_reserved([name], RESERVED_NAME_PREFIX)
    with refused(NAME_KEY, errors.PolicySetNameTaken):
        made = PolicySet.objects.create(
            zone_id=zone_id,
            name=name,
            description=description,
            created_by=actor.authored_by,
            co_authored_by_operator=actor.by_operator and zone.operator_coauthor_badge,
        )
    fields = ("name", *(["description"] if description else []))
    record(
        actor,
        events.PolicySetCreated(
            zone_id=zone_id, entity_id=made.id, changed_fields=fields
        ),
    )
    return made


def add_policy_set_version(
    policy_set_id: str,
    *,
    zone_id: str,
    actor: Actor,
    policy_version_ids: Sequence[str],
    schema_version: str = rules.INPUT_SCHEMA_VERSION,
) -> PolicySetVersion:
    """The next version of a set: these policy versions, which must be able to decide
    together.

    Raises InvalidSchemaVersion, ZoneNotFound, PolicySetNotFound or
    InvalidPolicyContract.
    """
    authorise(actor, zone_id=zone_id, writes=True)
    if schema_version not in SCHEMA_VERSIONS:
        raise errors.InvalidSchemaVersion(schema_version)
    live = PolicySet.objects.in_zone(zone_id).live()
    if not live.filter(id=policy_set_id).exists():
        raise errors.PolicySetNotFound
    # Versions never change, so what holds before the transaction holds in it.
    data = agreed(policy_version_ids, zone_id=zone_id, schema_version=schema_version)
    with transaction.atomic():
        hold_zone(zone_id, actor=actor)
        policy_set = lock_policy_set(policy_set_id, zone_id)
        return _add(policy_set, policy_version_ids, data, schema_version, actor)


def _add(
    policy_set: PolicySet,
    ids: Sequence[str],
    data: dict[str, Any],
    schema_version: str,
    actor: Actor,
) -> PolicySetVersion:
    last = policy_set.versions.aggregate(last=Max("version"))["last"] or 0
    version = PolicySetVersion.objects.create(
        policy_set=policy_set,
        version=last + 1,
        manifest_sha256=rules.manifest_digest(ids),
        data=data,
        schema_version=schema_version,
        created_by=actor.name,
    )
    PolicySetMember.objects.bulk_create(
        PolicySetMember(
            policy_set_version=version, place=place, policy_version_id=version_id
        )
        for place, version_id in enumerate(ids, 1)
    )
    event = events.PolicySetVersionAdded(
        zone_id=policy_set.zone_id,
        entity_id=policy_set.id,
        changed_fields=("manifest", "schema_version"),
        facts={
            "policy_set_version_id": version.id,
            "version": version.version,
            "manifest_sha256": version.manifest_sha256,
        },
    )
    record(actor, event)
    return version


@transaction.atomic
def archive_policy_set(
    policy_set_id: str,
    *,
    zone_id: str,
    actor: Actor,
    reason: str,
    if_match: Precondition = UNCONDITIONAL,
) -> None:
    """Ends a set that is not in force.

    Raises ZoneNotFound, PolicySetNotFound, PreconditionFailed or PolicySetActive.
    """
    hold_zone(zone_id, actor=actor)
    _to_be_archived(lock_policy_set(policy_set_id, zone_id), if_match)
    PolicySet.objects.filter(id=policy_set_id).update(
        archived_at=Now(), updated_at=Now()
    )
    record(
        actor,
        events.PolicySetArchived(zone_id=zone_id, entity_id=policy_set_id),
        reason=reason,
    )


def preview_policy_set_archive(
    policy_set_id: str,
    *,
    zone_id: str,
    actor: Actor,
    if_match: Precondition = UNCONDITIONAL,
) -> None:
    """Refuses what ``archive_policy_set`` would refuse; nothing else ends with it."""
    authorise(actor, zone_id=zone_id, writes=True)
    live = PolicySet.objects.in_zone(zone_id).live()
    policy_set = live.filter(id=policy_set_id).first()
    if policy_set is None:
        raise errors.PolicySetNotFound
    _to_be_archived(policy_set, if_match)


def _to_be_archived(policy_set: PolicySet, if_match: Precondition) -> None:
    if_match.check(policy_set.version)
    if PolicyActivation.objects.filter(policy_set_id=policy_set.id).exists():
        raise errors.PolicySetActive


def lock_policy_set(policy_set_id: str, zone_id: str) -> PolicySet:
    """The live set, which nobody else changes. Raises PolicySetNotFound."""
    live = PolicySet.objects.in_zone(zone_id).live().filter(id=policy_set_id)
    found: PolicySet | None = live.select_for_update(no_key=True).first()
    if found is None:
        raise errors.PolicySetNotFound
    return found
