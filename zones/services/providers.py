"""The verbs of providers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, TypedDict

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from audit.record import record
from caracal_site.actors import Actor
from caracal_site.database import refused
from caracal_site.errors import NoFields
from caracal_site.ids import new_id
from caracal_site.locks import LockClass, lock
from caracal_site.preconditions import UNCONDITIONAL, Precondition
from policies.grants import ending as grants
from policies.grants.ending import EndedGrants
from zones import errors, events, rules
from zones.models import Provider, ProviderKind, Resource
from zones.provider_config import Configuration, configuration, public_fields
from zones.services import naming, provider_secrets
from zones.services.ending import Ended
from zones.services.holding import hold_zone

IDENTIFIER_KEY = "providers_identifier_live_key"
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
        identifier = rules.provider_identifier(identifier)
    config = configuration(kind, config_json or {})
    base = identifier or rules.provider_base(name or f"{kind} provider")
    _refuse_reserved(actor, base)
    columns = _columns(kind, zone_id, config)

    def insert(free: str) -> Provider:
        _refuse_reserved(actor, free)
        return Provider.objects.create(name=name or free, identifier=free, **columns)

    with refused(IDENTIFIER_KEY, errors.ProviderIdentifierConflict):
        provider = (
            insert(identifier)
            if identifier is not None
            else naming.inserted(partial(_free, base, zone_id), insert, IDENTIFIER_KEY)
        )
    given = {"name": name, "identifier": identifier, "config_json": config_json}
    fields = ["kind", *(key for key, value in given.items() if value is not None)]
    fields += public_fields({}, config.public)
    record(actor, _event(events.ProviderCreated, provider, fields))
    return provider


@transaction.atomic
def change_provider(
    provider_id: str,
    *,
    zone_id: str,
    actor: Actor,
    changes: ProviderFields,
    if_match: Precondition = UNCONDITIONAL,
) -> Provider:
    """Changes a provider.

    A new configuration replaces the public one. It keeps the sealed secrets when it
    has none of its own and the kind is not given; a secret in it replaces all of them.
    Raises InvalidProviderIdentifier, ReservedNamespace, ProviderConfigRequired,
    NoFields, InvalidProviderConfig, ProviderNotFound, PreconditionFailed,
    ProtectedProvider or ProviderIdentifierConflict.
    """
    columns: dict[str, Any] = {**changes}
    if "identifier" in changes:
        columns["identifier"] = rules.provider_identifier(changes["identifier"])
        _refuse_reserved(actor, columns["identifier"])
    if "kind" in changes:
        if "config_json" not in changes:
            raise errors.ProviderConfigRequired
        configuration(changes["kind"], changes["config_json"])
    if not changes:
        raise NoFields
    hold_zone(zone_id, actor=actor)
    provider = _lock(provider_id, zone_id, ending=False)
    if_match.check(provider.version)
    _guard_built_in(provider, columns)
    fields, rotated = list(changes), False
    if "config_json" in changes:
        columns |= _configured(provider, changes)
        fields += public_fields(provider.config_json, columns["config_json"])
        rotated = "sealed_secrets" in columns
    with refused(IDENTIFIER_KEY, errors.ProviderIdentifierConflict):
        Provider.objects.filter(id=provider_id).update(**columns, updated_at=Now())
    provider.refresh_from_db()
    event = _event(events.ProviderChanged, provider, fields, secret_rotated=rotated)
    record(actor, event)
    return provider


def _columns(kind: str, zone_id: str, config: Configuration) -> dict[str, Any]:
    """The columns of a new provider but for what it is called."""
    provider_id = new_id()
    columns = {
        "id": provider_id,
        "zone_id": zone_id,
        "kind": kind,
        "config_json": config.public,
    }
    if not config.secrets:
        return columns
    return columns | provider_secrets.replaced_columns(
        provider_id, zone_id, config.secrets
    )


def _configured(provider: Provider, changes: ProviderFields) -> dict[str, Any]:
    """The columns of a new configuration; those of secrets when these change."""
    given, had = changes["config_json"], provider.secret_config_keys
    if "kind" in changes:
        config = configuration(changes["kind"], given)
    else:
        config = configuration(provider.kind, given, kept=had)
    columns: dict[str, Any] = {"config_json": config.public}
    if config.secrets or ("kind" in changes and had):
        columns |= provider_secrets.replaced_columns(
            provider.id, provider.zone_id, config.secrets
        )
    return columns


def _guard_built_in(provider: Provider, columns: Mapping[str, Any]) -> None:
    """The built-in provider may be called something else, and nothing more."""
    if provider.id != _built_in_id(provider.zone_id):
        return
    for field in ("kind", "identifier"):
        if field in columns and columns[field] != getattr(provider, field):
            raise errors.ProtectedProvider(
                f"the {field} of the built-in provider cannot be changed"
            )


@transaction.atomic
def archive_provider(
    provider_id: str,
    *,
    zone_id: str,
    actor: Actor,
    reason: str,
    if_match: Precondition = UNCONDITIONAL,
) -> Ended:
    """Ends a provider no live resource uses, with the accounts connected at it, and
    erases its secrets. Raises ProviderNotFound, PreconditionFailed or ProviderInUse."""
    hold_zone(zone_id, actor=actor)
    provider = _lock(provider_id, zone_id, ending=True)
    _judge_end(provider, if_match)
    Provider.objects.filter(id=provider_id).update(
        **provider_secrets.NONE, archived_at=Now(), updated_at=Now()
    )
    ended = _ended(grants.end_of_provider(zone_id, provider_id, reason))
    headline = events.ProviderArchived(
        zone_id=zone_id,
        entity_id=provider_id,
        provider_grants=len(ended.provider_grants),
    )
    record(actor, headline, reason=reason)
    return ended


@transaction.atomic
def preview_provider_archive(
    provider_id: str,
    *,
    zone_id: str,
    actor: Actor,
    if_match: Precondition = UNCONDITIONAL,
) -> Ended:
    """What ``archive_provider`` would end; raises what it does."""
    hold_zone(zone_id, actor=actor)
    provider = Provider.objects.in_zone(zone_id).live().filter(id=provider_id).first()
    if provider is None:
        raise errors.ProviderNotFound
    _judge_end(provider, if_match)
    return foresee_provider(provider)


def foresee_provider(provider: Provider) -> Ended:
    """What would end with the provider."""
    return _ended(grants.foresee_of_provider(provider.zone_id, provider.id))


def _ended(revoked: EndedGrants) -> Ended:
    return Ended(provider_grants=revoked.provider_grants)


def _judge_end(provider: Provider, if_match: Precondition) -> None:
    if_match.check(provider.version)
    using = Resource.objects.live().filter(credential_provider_id=provider.id).count()
    if using:
        raise errors.ProviderInUse(using)


def ensure_built_in(zone_id: str) -> Provider:
    """The provider for resources that need no credential, held until the commit.

    A live one of that kind under the built-in identifier will do; else the built-in
    one is made or revived, under another identifier when its own is taken.
    """
    lock(LockClass.PROVIDER_IDENTIFIER, zone_id)
    providers = Provider.objects.in_zone(zone_id).select_for_update(no_key=True)
    built_in_id = _built_in_id(zone_id)
    known = Q(identifier=BUILT_IN_IDENTIFIER) | Q(id=built_in_id)
    usable = providers.live().filter(known, kind=ProviderKind.NONE)
    found = usable.order_by("id").first()
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


def _built_in_id(zone_id: str) -> str:
    return f"provider-none-{zone_id}"


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


def _event(
    kind: type[Any], provider: Provider, fields: Iterable[str], **more: Any
) -> Any:
    return kind(
        zone_id=provider.zone_id,
        entity_id=provider.id,
        changed_fields=tuple(fields),
        **more,
    )
