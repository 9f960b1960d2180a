"""The verbs of policies."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db import transaction
from django.db.models.functions import Now

from audit.record import Evidence, prepare, record
from caracal_site import statements
from caracal_site.actors import Actor
from caracal_site.api.permissions import authorise
from caracal_site.database import refused
from caracal_site.preconditions import UNCONDITIONAL, Precondition
from policies import errors, events, rules
from policies.acceptance import accepted
from policies.models import Policy, PolicySetVersion, PolicyVersion
from zones.models import Zone
from zones.querysets import RESERVED_NAME_PREFIX
from zones.rules import refuse_reserved
from zones.services import hold_zone, permitted

NAME_KEY = "policies_name_live_key"
POLICY_COLUMNS = (
    "id",
    "zone_id",
    "name",
    "description",
    "owner_type",
    "created_by",
    "co_authored_by_operator",
)


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
        policy = Policy(
            zone_id=zone_id,
            name=name,
            description=description,
            owner_type=owner_type,
            created_by=actor.authored_by,
            co_authored_by_operator=actor.by_operator and zone.operator_coauthor_badge,
        )
        version = _version(policy.id, 1, content, schema_version, actor)
        fields = ("name", "content", *(["description"] if description else []))
        evidence = _evidence(events.PolicyCreated, zone_id, version, fields, actor)
        _insert(policy, version, evidence)
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
        if_match.check(_hold(policy_id, zone_id, actor))
        (last,) = statements.fetch_one(
            "policies/last_version", {"policy_id": policy_id}
        )
        version = _version(policy_id, last + 1, content, schema_version, actor)
        fields = ("content", "schema_version")
        evidence = _evidence(events.PolicyVersionAdded, zone_id, version, fields, actor)
        (version.created_at,) = statements.fetch_one(
            "policies/add_version", {**_columns(version), **evidence.parameters()}
        )
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


def _insert(policy: Policy, version: PolicyVersion, evidence: Evidence) -> None:
    with refused(NAME_KEY, errors.PolicyNameTaken):
        row = statements.fetch_one(
            "policies/create_policy",
            {
                **{name: getattr(policy, name) for name in POLICY_COLUMNS},
                **_columns(version),
                **evidence.parameters(),
            },
        )
    policy.created_at, policy.version, version.created_at = row


def _hold(policy_id: str, zone_id: str, actor: Actor) -> int:
    """Keeps the zone live and the live policy from being changed; the policy's version
    for entity tags. Raises ZoneNotFound or PolicyNotFound."""
    found = statements.fetch_all(
        "policies/hold_policy", {"policy_id": policy_id, "zone_id": zone_id}
    )
    if not found:
        hold_zone(zone_id, actor=actor)
        raise errors.PolicyNotFound
    name, slug, owner_account_id, version = found[0]
    permitted(Zone(name=name, slug=slug, owner_account_id=owner_account_id), actor)
    return int(version)


def _version(
    policy_id: str, number: int, content: str, schema_version: str, actor: Actor
) -> PolicyVersion:
    return PolicyVersion(
        policy_id=policy_id,
        version=number,
        content=content,
        content_sha256=rules.content_digest(content),
        schema_version=schema_version,
        created_by=actor.name,
    )


def _columns(version: PolicyVersion) -> dict[str, Any]:
    return {
        "version_id": version.id,
        "policy_id": version.policy_id,
        "number": version.version,
        "content": version.content,
        "content_sha256": version.content_sha256,
        "schema_version": version.schema_version,
        "version_by": version.created_by,
    }


def _evidence(
    kind: type[events.PolicyCreated | events.PolicyVersionAdded],
    zone_id: str,
    version: PolicyVersion,
    fields: tuple[str, ...],
    actor: Actor,
) -> Evidence:
    facts = {
        "policy_version_id": version.id,
        "version": version.version,
        "content_sha256": version.content_sha256,
    }
    event = kind(
        zone_id=zone_id,
        entity_id=version.policy_id,
        changed_fields=fields,
        facts=facts,
    )
    return prepare(actor, event)
