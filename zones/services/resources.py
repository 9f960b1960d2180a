"""The verbs of resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypedDict

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now

from audit.record import record
from caracal_site import database, statements
from caracal_site.actors import Actor
from caracal_site.database import refused
from caracal_site.errors import NoFields
from caracal_site.locks import LockClass
from caracal_site.preconditions import UNCONDITIONAL, Precondition
from delegations import services as delegations
from delegations.services.ending import Fall
from policies.grants import ending as grants
from policies.grants.ending import EndedGrants
from zones import errors, events, rules
from zones.models import OperationEnforcement, Resource, ZoneUsage
from zones.querysets import ResourceQuerySet
from zones.services import bindings, naming
from zones.services.ending import Ended
from zones.services.holding import (
    hold_gateway_application,
    hold_provider,
    hold_zone,
)
from zones.services.providers import ensure_built_in

IDENTIFIER_KEY = "resources_identifier_live_key"
# What a gateway works by: a change of any of these is announced to it.
SEEN_BY_GATEWAYS = frozenset(
    {
        "identifier",
        "upstream_url",
        "scopes",
        "credential_provider_id",
        "gateway_application_id",
        "operations",
        "operation_enforcement",
    }
)


class ResourceFields(TypedDict, total=False):
    """What of a resource can be given; a missing member is left as it is."""

    name: str
    identifier: str
    upstream_url: str | None
    scopes: Sequence[str]
    credential_provider_id: str | None
    gateway_application_id: str | None
    operations: Sequence[Mapping[str, str]]
    operation_enforcement: str


def is_control(identifier: str) -> bool:
    """Whether this is the platform's own control resource."""
    return rules.same_resource(identifier, settings.CONTROL_AUDIENCE)


@transaction.atomic
def create_resource(*, zone_id: str, actor: Actor, fields: ResourceFields) -> Resource:
    """A resource; ``name`` or ``identifier``, and ``scopes``, are needed.

    The control resource needs no more, and has no gateway application. Raises
    ZoneNotFound, InvalidResourceIdentifier, ReservedNamespace, ProtectedResource,
    ProviderNotFound, one of the errors about required members and operations,
    GatewayApplicationNotFound, GatewayApplicationMustBeManaged, ResourceQuotaExceeded
    or ResourceIdentifierConflict.
    """
    hold_zone(zone_id, actor=actor)
    given = _given_identifier(fields)
    base = given or rules.resource_base(fields["name"])
    _refuse_reserved(actor, base)
    control = is_control(base)
    if control:
        _check_control(actor, fields)
    columns = _columns(fields, control, zone_id)
    application_id = fields.get("gateway_application_id")
    if application_id is not None:
        hold_gateway_application(application_id, zone_id=zone_id)
    _take_place(zone_id)
    resource = _insert(zone_id, given, base, columns)
    if application_id is not None:
        bindings.bind(zone_id, resource.identifier, application_id)
    bindings.announce(zone_id)
    record(actor, _event(events.ResourceCreated, resource, tuple(fields)))
    return described(resource, application_id)


def change_resource(
    resource_id: str,
    *,
    zone_id: str,
    actor: Actor,
    changes: ResourceFields,
    if_match: Precondition = UNCONDITIONAL,
) -> Resource:
    """Changes a resource; its binding follows a new identifier.

    A resource whose gateway application is gone can be changed without naming a new
    one. Raises NoFields, ResourceNotFound, PreconditionFailed and what
    ``create_resource`` raises.
    """
    return database.retried(
        partial(_change, resource_id, zone_id, actor, changes, if_match)
    )


@transaction.atomic
def _change(
    resource_id: str,
    zone_id: str,
    actor: Actor,
    changes: ResourceFields,
    if_match: Precondition,
) -> Resource:
    hold_zone(zone_id, actor=actor)
    if not changes:
        raise NoFields
    _hold_references(zone_id, changes)
    resource = _lock(resource_id, zone_id)
    if_match.check(resource.version)
    bound = bindings.application_bound_to(zone_id, resource.identifier)
    before = described(resource, bound)
    columns = _changed_columns(actor, before, changes)
    seen = {name: getattr(before, name) for name in SEEN_BY_GATEWAYS & columns.keys()}
    rebind = columns.pop("gateway_application_id", None)
    if rebind == bound:
        rebind = None
    with refused(IDENTIFIER_KEY, errors.ResourceIdentifierConflict):
        Resource.objects.filter(id=resource_id).update(**columns, updated_at=Now())
    changed = Resource.objects.get(id=resource_id)
    _follow(changed, before.identifier, rebind)
    after = described(changed, rebind or bound)
    if any(getattr(after, name) != value for name, value in seen.items()):
        bindings.announce(zone_id)
    record(actor, _event(events.ResourceChanged, after, tuple(changes)))
    return after


def _hold_references(zone_id: str, changes: ResourceFields) -> None:
    provider_id = changes.get("credential_provider_id")
    if provider_id is not None:
        hold_provider(provider_id, zone_id=zone_id)
    application_id = changes.get("gateway_application_id")
    if application_id is not None:
        hold_gateway_application(application_id, zone_id=zone_id)


def _changed_columns(
    actor: Actor, resource: Resource, changes: ResourceFields
) -> dict[str, Any]:
    """The new values as they are kept, once they fit what the resource is."""
    columns: dict[str, Any] = dict(changes)
    if "identifier" in changes:
        columns["identifier"] = _canonical(changes["identifier"])
        _refuse_reserved(actor, columns["identifier"])
    _guard_control(actor, resource.identifier, columns)
    _require(columns, control=is_control(resource.identifier))
    if "operations" in changes or "scopes" in changes:
        columns["operations"] = rules.operations(
            columns.get("operations", resource.operations),
            columns.get("scopes", resource.scopes),
        )
    return columns


def archive_resource(
    resource_id: str,
    *,
    zone_id: str,
    actor: Actor,
    reason: str,
    if_match: Precondition = UNCONDITIONAL,
) -> Ended:
    """Ends a resource, its binding, its grants and the delegations that are about it
    alone, with what rests on them.

    Raises ResourceNotFound, PreconditionFailed, or ProtectedResource for the control
    resource.
    """
    return database.retried(
        partial(_archive, resource_id, zone_id, actor, reason, if_match)
    )


@transaction.atomic
def preview_resource_archive(
    resource_id: str,
    *,
    zone_id: str,
    actor: Actor,
    if_match: Precondition = UNCONDITIONAL,
) -> Ended:
    """What ``archive_resource`` would end; raises what it does."""
    hold_zone(zone_id, actor=actor)
    resource = _found(Resource.objects.all(), resource_id, zone_id)
    _judge_end(resource, if_match)
    return foresee_resource(resource)


def foresee_resource(resource: Resource) -> Ended:
    """What would end with the resource."""
    fall = delegations.preview_over_resource(
        zone_id=resource.zone_id,
        resource_id=resource.id,
        identifier=resource.identifier,
    )
    fronting = bindings.application_bound_to(resource.zone_id, resource.identifier)
    revoked = grants.foresee_of_resource(resource.zone_id, resource.id)
    return _ended(resource, fall, revoked, was_bound=fronting is not None)


@transaction.atomic
def _archive(
    resource_id: str, zone_id: str, actor: Actor, reason: str, if_match: Precondition
) -> Ended:
    hold_zone(zone_id, actor=actor)
    _give_place(zone_id)
    resource = _lock(resource_id, zone_id, ending=True)
    _judge_end(resource, if_match)
    Resource.objects.filter(id=resource_id).update(archived_at=Now(), updated_at=Now())
    unbound = bindings.unbind(zone_id, resource.identifier)
    bindings.announce(zone_id)
    fall = delegations.revoke_over_resource(
        actor,
        zone_id=zone_id,
        resource_id=resource_id,
        identifier=resource.identifier,
        reason=reason,
    )
    revoked = grants.end_of_resource(zone_id, resource_id, reason)
    headline = events.ResourceArchived(
        zone_id=zone_id,
        entity_id=resource_id,
        agents=len(fall.agents),
        delegations=len(fall.edges),
        bindings=unbound,
        grants=len(revoked.grants),
        provider_grants=len(revoked.provider_grants),
    )
    record(actor, headline, reason=reason)
    return _ended(resource, fall, revoked, was_bound=unbound > 0)


def _judge_end(resource: Resource, if_match: Precondition) -> None:
    if_match.check(resource.version)
    if is_control(resource.identifier):
        raise errors.ProtectedResource("the control resource cannot be deleted")


def _ended(
    resource: Resource, fall: Fall, revoked: EndedGrants, *, was_bound: bool
) -> Ended:
    return Ended(
        agents=fall.agents,
        delegations=fall.edges,
        invocations=fall.invocations,
        gateway_bindings=(resource.id,) if was_bound else (),
        grants=revoked.grants,
        provider_grants=revoked.provider_grants,
    )


def described(resource: Resource, application_id: str | None) -> Resource:
    """``resource`` with who fronts it, as ``with_gateway_application`` reads it."""
    resource.gateway_application_id = application_id  # type: ignore[attr-defined]
    return resource


def _given_identifier(fields: ResourceFields) -> str | None:
    """The identifier the caller gave: as such, or as a name that is one."""
    if "identifier" in fields:
        return _canonical(fields["identifier"])
    name = fields["name"]
    return _canonical(name) if name.startswith(rules.RESOURCE_PREFIX) else None


def _canonical(identifier: str) -> str:
    if is_control(identifier):
        return str(settings.CONTROL_AUDIENCE)
    return rules.resource_identifier(identifier)


def _columns(fields: ResourceFields, control: bool, zone_id: str) -> dict[str, Any]:
    """The columns of a new resource, once everything needed is there."""
    provider_id = fields.get("credential_provider_id")
    if provider_id is not None:
        hold_provider(provider_id, zone_id=zone_id)
    elif control:
        provider_id = ensure_built_in(zone_id).id
    whole = {
        "credential_provider_id": provider_id,
        "upstream_url": fields.get("upstream_url"),
        "gateway_application_id": fields.get("gateway_application_id"),
    }
    _require(whole, control=control)
    return {
        "name": fields.get("name"),
        "upstream_url": fields.get("upstream_url"),
        "scopes": list(fields["scopes"]),
        "credential_provider_id": provider_id,
        "operations": rules.operations(fields.get("operations", ()), fields["scopes"]),
        "operation_enforcement": fields.get(
            "operation_enforcement", OperationEnforcement.ENFORCED
        ),
    }


def _require(columns: Mapping[str, Any], *, control: bool) -> None:
    """Refuses to leave out, or take away, what every other resource needs."""
    needed: tuple[tuple[str, type[errors.CaracalError]], ...] = (
        ("credential_provider_id", errors.CredentialProviderRequired),
        ("upstream_url", errors.UpstreamUrlRequired),
        ("gateway_application_id", errors.GatewayApplicationRequired),
    )
    # A provider is needed by the control resource, too.
    for field, error in needed[:1] if control else needed:
        if field in columns and columns[field] is None:
            raise error


def _insert(
    zone_id: str, given: str | None, base: str, columns: dict[str, Any]
) -> Resource:
    def insert(identifier: str) -> Resource:
        named = {**columns, "name": columns["name"] or identifier}
        return Resource.objects.create(zone_id=zone_id, identifier=identifier, **named)

    def pick() -> str:
        live = Resource.objects.in_zone(zone_id).live()
        return naming.first_free(
            base, live, "identifier", LockClass.RESOURCE_IDENTIFIER, zone_id
        )

    with refused(IDENTIFIER_KEY, errors.ResourceIdentifierConflict):
        if given is not None:
            return insert(given)
        return naming.inserted(pick, insert, IDENTIFIER_KEY)


def _take_place(zone_id: str) -> None:
    """Counts one more resource. Those who create in the zone queue here."""
    most = settings.API_MAX_RESOURCES_PER_ZONE
    taken = {"zone_id": zone_id, "most": most}
    if not statements.execute("zones/take_resource", taken):
        raise errors.ResourceQuotaExceeded


def _give_place(zone_id: str) -> None:
    """Counts one less, before the resource is locked: places come first everywhere."""
    left = Greatest(F("resources") - 1, 0)
    ZoneUsage.objects.filter(zone_id=zone_id).update(resources=left)


def _check_control(actor: Actor, fields: ResourceFields) -> None:
    if not actor.is_global:
        raise errors.ProtectedResource(
            "the control resource needs a global admin token"
        )
    if fields.get("gateway_application_id") is not None:
        raise errors.ProtectedResource(
            "the control resource has no gateway application"
        )


def _guard_control(actor: Actor, before: str, columns: Mapping[str, Any]) -> None:
    """No resource becomes the control resource, and it becomes no other."""
    after = columns.get("identifier", before)
    if not is_control(before) and not is_control(after):
        return
    if before != after:
        raise errors.ProtectedResource(
            "the identifier of the control resource cannot be given or taken"
        )
    _check_control(actor, columns)  # type: ignore[arg-type]


def _follow(resource: Resource, before: str, rebind: str | None) -> None:
    if rebind is not None:
        if before != resource.identifier:
            bindings.unbind(resource.zone_id, before)
        bindings.bind(resource.zone_id, resource.identifier, rebind)
    elif before != resource.identifier:
        bindings.move(resource.zone_id, before, resource.identifier)


def _lock(resource_id: str, zone_id: str, *, ending: bool = False) -> Resource:
    locked = Resource.objects.select_for_update(no_key=not ending)
    return _found(locked, resource_id, zone_id)


def _found(
    rows: ResourceQuerySet[Resource], resource_id: str, zone_id: str
) -> Resource:
    found = rows.in_zone(zone_id).live().filter(id=resource_id).first()
    if found is None:
        raise errors.ResourceNotFound
    return found


def _refuse_reserved(actor: Actor, identifier: str) -> None:
    if not actor.is_bootstrap:
        rules.refuse_reserved([identifier], rules.RESERVED_RESOURCE_PREFIX)


def _event(kind: type[Any], resource: Resource, fields: tuple[str, ...]) -> Any:
    return kind(zone_id=resource.zone_id, entity_id=resource.id, changed_fields=fields)
