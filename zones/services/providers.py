"""The verbs of providers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, TypedDict

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from audit.record import record
from caracal_site.actors import Actor
from caracal_site.database import refused
from caracal_site.errors import NoFields
from caracal_site.locks import LockClass, lock
from zones import errors, events, rules
from zones.models import Provider, ProviderKind, Resource
from zones.services import naming
from zones.services.holding import hold_zone

IDENTIFIER_KEY = "providers_identifier_live_key"
# Kinds whose credentials the platform can keep; the others are only read.
AVAILABLE = frozenset({ProviderKind.NONE})
BUILT_IN_IDENTIFIER = "provider://none"


class ProviderFields(TypedDict, total=False):
    """What of a provider can be changed; a missing member is left as it is."""

    name: str
    identifier: str
    kind: str
    config_json: Mapping[str, Any]


@transaction.atomic
def create_provider(
    kind: str,
    *,
    zone_id: str,
    actor: Actor,
    name: str | None = None,
    identifier: str | None = None,
    config_json: Mapping[str, Any] | None = None,
) -> Provider:
    """A provider; one without identifier gets it from its name, and the reverse.

    Raises ZoneNotFound, InvalidProviderIdentifier, InvalidProviderConfig,
    ReservedNamespace or ProviderIdentifierConflict.
    """
    hold_zone(zone_id, actor=actor)
    if identifier is not None:
        rules.provider_identifier(identifier)
    check_config(kind, config_json or {})
    base = identifier or rules.provider_base(name or f"{kind} provider")
    _refuse_reserved(actor, base)

    def insert(free: str) -> Provider:
        return Provider.objects.create(
            zone_id=zone_id, name=name or free, identifier=free, kind=kind
        )

    with refused(IDENTIFIER_KEY, errors.ProviderIdentifierConflict):
        provider = (
            insert(identifier)
            if identifier is not None
            else naming.inserted(partial(_free, base, zone_id), insert, IDENTIFIER_KEY)
        )
    given = {"name": name, "identifier": identifier, "config_json": config_json}
    fields = ("kind", *(key for key, value in given.items() if value is not None))
    record(actor, _event(events.ProviderCreated, provider, fields))
    return provider


@transaction.atomic
def change_provider(
    provider_id: str, *, zone_id: str, actor: Actor, changes: ProviderFields
) -> Provider:
    """Changes a provider.

    Raises InvalidProviderIdentifier, ReservedNamespace, ProviderConfigRequired,
    NoFields, InvalidProviderConfig, ProviderNotFound or ProviderIdentifierConflict.
    """
    if "identifier" in changes:
        rules.provider_identifier(changes["identifier"])
        _refuse_reserved(actor, changes["identifier"])
    if "kind" in changes:
        if "config_json" not in changes:
            raise errors.ProviderConfigRequired
        check_config(changes["kind"], changes["config_json"])
    if not changes:
        raise NoFields
    hold_zone(zone_id, actor=actor)
    provider = _lock(provider_id, zone_id, ending=False)
    if "config_json" in changes:
        check_config(changes.get("kind", provider.kind), changes["config_json"])
    with refused(IDENTIFIER_KEY, errors.ProviderIdentifierConflict):
        Provider.objects.filter(id=provider_id).update(**changes, updated_at=Now())
    provider.refresh_from_db()
    record(actor, _event(events.ProviderChanged, provider, tuple(changes)))
    return provider


@transaction.atomic
def archive_provider(
    provider_id: str, *, zone_id: str, actor: Actor, reason: str
) -> None:
    """Ends a provider no live resource uses. Raises ProviderNotFound or
    ProviderInUse."""
    hold_zone(zone_id, actor=actor)
    provider = _lock(provider_id, zone_id, ending=True)
    if Resource.objects.live().filter(credential_provider_id=provider_id).exists():
        raise errors.ProviderInUse
    Provider.objects.filter(id=provider_id).update(archived_at=Now(), updated_at=Now())
    record(actor, _event(events.ProviderArchived, provider, ()), reason=reason)


def ensure_built_in(zone_id: str) -> Provider:
    """The provider for resources that need no credential, held until the commit.

    A live one of that kind under the built-in identifier will do; else the built-in
    one is made or revived, under another identifier when its own is taken.
    """
    lock(LockClass.PROVIDER_IDENTIFIER, zone_id)
    providers = Provider.objects.in_zone(zone_id).select_for_update(no_key=True)
    usable = Q(identifier=BUILT_IN_IDENTIFIER, kind=ProviderKind.NONE)
    built_in_id = f"provider-none-{zone_id}"
    found = providers.live().filter(usable | Q(id=built_in_id)).order_by("id").first()
    if found is not None:
        return found
    made, _ = providers.update_or_create(
        id=built_in_id,
        defaults={
            "identifier": _free(BUILT_IN_IDENTIFIER, zone_id),
            "kind": ProviderKind.NONE,
            "archived_at": None,
            "updated_at": Now(),
        },
        create_defaults={
            "zone_id": zone_id,
            "name": "No credential",
            "identifier": _free(BUILT_IN_IDENTIFIER, zone_id),
            "kind": ProviderKind.NONE,
        },
    )
    return made


def check_config(kind: str, config: Mapping[str, Any]) -> None:
    """Refuses what ``kind`` cannot be configured with. Raises InvalidProviderConfig."""
    if kind not in AVAILABLE:
        raise errors.InvalidProviderConfig(
            f"providers of kind {kind} are not available yet; use kind none"
        )
    if config:
        unknown = sorted(config)[0]
        raise errors.InvalidProviderConfig(
            f"{kind} provider config does not take {unknown}"
        )


def _free(base: str, zone_id: str) -> str:
    live = Provider.objects.in_zone(zone_id).live()
    return naming.first_free(
        base, live, "identifier", LockClass.PROVIDER_IDENTIFIER, zone_id
    )


def _lock(provider_id: str, zone_id: str, *, ending: bool) -> Provider:
    live = Provider.objects.in_zone(zone_id).live().filter(id=provider_id)
    found = live.select_for_update(no_key=not ending).first()
    if found is None:
        raise errors.ProviderNotFound
    return found


def _refuse_reserved(actor: Actor, identifier: str) -> None:
    if not actor.is_bootstrap:
        rules.refuse_reserved([identifier], rules.RESERVED_PROVIDER_PREFIX)


def _event(kind: type[Any], provider: Provider, fields: tuple[str, ...]) -> Any:
    return kind(zone_id=provider.zone_id, entity_id=provider.id, changed_fields=fields)
