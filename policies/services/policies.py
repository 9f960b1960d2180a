"""The verbs of policies."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from audit.record import record
from caracal_site.actors import Actor
from caracal_site.api.permissions import authorise
from caracal_site.database import refused
from caracal_site.preconditions import UNCONDITIONAL, Precondition
from policies import errors, events, rules
from policies.acceptance import accepted
from policies.models import Policy, PolicySetVersion, PolicyVersion
from zones.querysets import RESERVED_NAME_PREFIX
from zones.rules import refuse_reserved
from zones.services import hold_zone

NAME_KEY = "policies_name_live_key"


class CreatedPolicy(NamedTuple):
    """A new policy and its first version."""

    policy: Policy
    version: PolicyVersion


def create_policy(
    name: str,
    *,
    zone_id: str,
    actor: Actor,
    content: str,
    description: str | None = None,
    owner_type: str = "customer",
    schema_version: str = rules.INPUT_SCHEMA_VERSION,
) -> CreatedPolicy:
    """A policy with its first version.

    Raises ZoneNotFound, ReservedNamespace, InvalidSchemaVersion, InvalidRego or
    PolicyNameTaken.
    """
    authorise(actor, zone_id=zone_id, writes=True)
    if not actor.is_bootstrap:
        refuse_reserved([name], RESERVED_NAME_PREFIX)
    # Compiled before the transaction, which then is short.
    accepted(content, schema_version)
    with transaction.atomic():
        zone = hold_zone(zone_id, actor=actor)
        with refused(NAME_KEY, errors.PolicyNameTaken):
            policy = Policy.objects.create(
                zone_id=zone_id,
                name=name,
                description=description,
                owner_type=owner_type,
                created_by=actor.authored_by,
                co_authored_by_operator=actor.by_operator
                and zone.operator_coauthor_badge,
            )
        version = _add(policy, 1, content, schema_version, actor)
        fields = ("name", "content", *(["description"] if description else []))
        record(actor, _event(events.PolicyCreated, policy, version, fields))
    return CreatedPolicy(policy, version)


def add_policy_version(
    policy_id: str,
    *,
    zone_id: str,
    actor: Actor,
    content: str,
    schema_version: str = rules.INPUT_SCHEMA_VERSION,
    if_match: Precondition = UNCONDITIONAL,
) -> PolicyVersion:
    """The next version of a policy; the same content makes another version, too.

    Raises ZoneNotFound, InvalidSchemaVersion, InvalidRego, PolicyNotFound or
    PreconditionFailed.
    """
    authorise(actor, zone_id=zone_id, writes=True)
    accepted(content, schema_version)
    with transaction.atomic():
        hold_zone(zone_id, actor=actor)
        policy = lock_policy(policy_id, zone_id)
        if_match.check(policy.version)
        last = policy.versions.aggregate(last=Max("version"))["last"] or 0
        version = _add(policy, last + 1, content, schema_version, actor)
        Policy.objects.filter(id=policy_id).update(updated_at=Now())
        fields = ("content", "schema_version")
        record(actor, _event(events.PolicyVersionAdded, policy, version, fields))
    return version


@transaction.atomic
def archive_policy(
    policy_id: str,
    *,
    zone_id: str,
    actor: Actor,
    reason: str,
    if_match: Precondition = UNCONDITIONAL,
) -> None:
    """Ends a policy that no set stands on; its versions stay to be read.

    Raises ZoneNotFound, PolicyNotFound, PreconditionFailed or PolicyInUse.
    """
    hold_zone(zone_id, actor=actor)
    _to_be_archived(lock_policy(policy_id, zone_id), if_match)
    Policy.objects.filter(id=policy_id).update(archived_at=Now(), updated_at=Now())
    record(
        actor,
        events.PolicyArchived(zone_id=zone_id, entity_id=policy_id),
        reason=reason,
    )


def preview_policy_archive(
    policy_id: str,
    *,
    zone_id: str,
    actor: Actor,
    if_match: Precondition = UNCONDITIONAL,
) -> None:
    """Refuses what ``archive_policy`` would refuse; nothing else ends with a policy."""
    authorise(actor, zone_id=zone_id, writes=True)
    policy = Policy.objects.in_zone(zone_id).live().filter(id=policy_id).first()
    if policy is None:
        raise errors.PolicyNotFound
    _to_be_archived(policy, if_match)


def _to_be_archived(policy: Policy, if_match: Precondition) -> None:
    if_match.check(policy.version)
    used_by = uses_of(policy)
    if used_by:
        raise errors.PolicyInUse(used_by)


def uses_of(policy: Policy) -> list[dict[str, Any]]:
    """The set versions that stand on the policy: in force, in shadow, or the newest
    of a set. Older versions of a set do not keep a policy from being archived."""
    standing = (
        PolicySetVersion.objects.standing()
        .filter(members__policy_version__policy=policy)
        .select_related("policy_set")
        .prefetch_related("activations")
        .distinct()
        .order_by("policy_set_id", "-version")
    )
    return [
        {
            "policy_set_id": version.policy_set_id,
            "policy_set_name": version.policy_set.name,
            "policy_set_version_id": version.id,
            "version": version.version,
            "active": bool(version.activations.all()),
        }
        for version in standing
    ]


def lock_policy(policy_id: str, zone_id: str) -> Policy:
    """The live policy, which nobody else changes. Raises PolicyNotFound."""
    live = Policy.objects.in_zone(zone_id).live().filter(id=policy_id)
    found: Policy | None = live.select_for_update(no_key=True).first()
    if found is None:
        raise errors.PolicyNotFound
    return found


def _add(
    policy: Policy, number: int, content: str, schema_version: str, actor: Actor
) -> PolicyVersion:
    return PolicyVersion.objects.create(
        policy=policy,
        version=number,
        content=content,
        content_sha256=rules.content_digest(content),
        schema_version=schema_version,
        created_by=actor.name,
    )


def _event(
    kind: type[Any], policy: Policy, version: PolicyVersion, fields: tuple[str, ...]
) -> Any:
    facts = {
        "policy_version_id": version.id,
        "version": version.version,
        "content_sha256": version.content_sha256,
    }
    return kind(
        zone_id=policy.zone_id,
        entity_id=policy.id,
        changed_fields=fields,
        facts=facts,
    )
