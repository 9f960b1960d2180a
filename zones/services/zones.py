"""The verbs of zones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TypedDict

from django.db import transaction
from django.db.models.functions import Now

from audit.events import Event
from audit.record import record
from caracal_site import database
from caracal_site.actors import Actor
from caracal_site.api.permissions import authorise
from caracal_site.database import refused
from caracal_site.errors import NoFields
from caracal_site.locks import LockClass
from caracal_site.preconditions import UNCONDITIONAL, Precondition
from delegations.models import GraphEpoch
from tokens import services as tokens
from zones import errors, events, rules
from zones.models import Application, GatewayBindingRevision, Zone
from zones.querysets import (
    RESERVED_NAME_PREFIX,
    RESERVED_SLUG_PREFIX,
    ApplicationQuerySet,
)
from zones.services import naming
from zones.services.ending import Ended, end_applications, end_zone, foresee_zone
from zones.services.holding import lock_zone, permitted

SLUG_KEY = "zones_slug_live_key"
# Only an actor for all zones changes these: they widen what a zone may do.
GLOBAL_FIELDS = frozenset({"dcr_enabled", "operator_governed"})


class ZoneFields(TypedDict, total=False):
    """What of a zone can be changed; a missing member is left as it is."""

    name: str
    slug: str
    dcr_enabled: bool
    operator_coauthor_badge: bool
    operator_governed: bool


@dataclass(frozen=True, slots=True)
class DcrStatus:
    """Whether applications may register themselves, and how many that did are live."""

    dcr_enabled: bool
    live_applications: int


@transaction.atomic
def create_zone(
    name: str, *, actor: Actor, slug: str | None = None, dcr_enabled: bool = False
) -> Zone:
    """A new zone with its first signing key, of the account the actor acts for if it
    acts for one. Without a slug it gets one from its name.

    Raises ReservedNamespace or ZoneSlugConflict.
    """
    authorise(actor, zone_id=None, writes=True)
    _refuse_reserved(actor, name, slug)
    zone = _insert(actor, name, slug, dcr_enabled)
    GatewayBindingRevision.objects.create(zone=zone)
    GraphEpoch.objects.create(zone=zone, epoch=1)
    tokens.create_first_key(zone, actor=actor)
    given = [
        "name",
        *(["slug"] if slug else []),
        *(["dcr_enabled"] if dcr_enabled else []),
    ]
    record(
        actor,
        events.ZoneCreated(
            zone_id=zone.id, entity_id=zone.id, changed_fields=tuple(given)
        ),
    )
    return zone


def _insert(actor: Actor, name: str, slug: str | None, dcr_enabled: bool) -> Zone:
    def insert(free: str) -> Zone:
        return Zone.objects.create(
            name=name,
            slug=free,
            dcr_enabled=dcr_enabled,
            owner_account_id=actor.account_id,
        )

    with refused(SLUG_KEY, errors.ZoneSlugConflict):
        if slug is not None:
            return insert(slug)
        base = rules.zone_slug_of(name, may_be_reserved=actor.is_bootstrap)
        pick = partial(
            naming.first_free,
            base,
            Zone.objects.live(),
            "slug",
            LockClass.ZONE_SLUG,
            base,
        )
        return naming.inserted(pick, insert, SLUG_KEY)


def change_zone(
    zone_id: str,
    *,
    actor: Actor,
    changes: ZoneFields,
    dcr_shutdown: str | None = None,
    if_match: Precondition = UNCONDITIONAL,
) -> Zone:
    """Changes a zone; ``dcr_shutdown`` says what switching self-registration off does
    to the applications that live by it.

    Raises ReservedNamespace, DcrShutdownNotApplicable, NoFields, GlobalTokenRequired,
    ZoneNotFound, PreconditionFailed, DcrShutdownRequired or ZoneSlugConflict.
    """
    return database.retried(
        partial(_change_zone, zone_id, actor, changes, dcr_shutdown, if_match)
    )


@transaction.atomic
def _change_zone(
    zone_id: str,
    actor: Actor,
    changes: ZoneFields,
    dcr_shutdown: str | None,
    if_match: Precondition,
) -> Zone:
    authorise(actor, zone_id=zone_id, writes=True)
    _refuse_reserved(actor, changes.get("name"), changes.get("slug"))
    if dcr_shutdown and changes.get("dcr_enabled") is not False:
        raise errors.DcrShutdownNotApplicable
    if not changes:
        raise NoFields
    if not actor.is_global and GLOBAL_FIELDS & changes.keys():
        raise errors.GlobalTokenRequired
    zone = lock_zone(zone_id, actor=actor)
    if_match.check(zone.version)
    happened = _changed(actor, zone, changes, dcr_shutdown)
    with refused(SLUG_KEY, errors.ZoneSlugConflict):
        Zone.objects.filter(id=zone_id).update(**changes, updated_at=Now())
    zone.refresh_from_db()
    record(actor, happened)
    return zone


def _changed(
    actor: Actor, zone: Zone, changes: ZoneFields, dcr_shutdown: str | None
) -> list[Event]:
    """What the change is, self-registration ended first where it is to end."""
    fields = tuple(changes)
    switched_off = changes.get("dcr_enabled") is False
    if not switched_off or not (zone.dcr_enabled or dcr_shutdown):
        return [
            events.ZoneChanged(
                zone_id=zone.id, entity_id=zone.id, changed_fields=fields
            )
        ]
    live = list(
        _live_dynamic(zone.id)
        .select_for_update()
        .order_by("created_at", "id")
        .values_list("id", flat=True)
    )
    if live and dcr_shutdown is None:
        raise errors.DcrShutdownRequired(len(live))
    ended, news = None, []
    if live and dcr_shutdown == "revoke_live":
        outcome = end_applications(
            actor, zone_id=zone.id, application_ids=live, reason="dcr_shutdown"
        )
        ended, news = outcome.counts, list(outcome.events)
    headline = events.SelfRegistrationEnded(
        zone_id=zone.id,
        entity_id=zone.id,
        changed_fields=(*fields, *(["dcr_shutdown"] if dcr_shutdown else [])),
        mode=(dcr_shutdown or "no_live") if live else "no_live",
        live_applications=len(live),
        ended=ended,
    )
    return [headline, *news]


def archive_zone(
    zone_id: str, *, actor: Actor, reason: str, if_match: Precondition = UNCONDITIONAL
) -> Ended:
    """Ends a zone with everything that acts and stands in it. Its slug becomes free.

    Raises GlobalTokenRequired, ZoneNotFound or PreconditionFailed.
    """
    return database.retried(partial(_archive_zone, zone_id, actor, reason, if_match))


def preview_zone_archive(
    zone_id: str, *, actor: Actor, if_match: Precondition = UNCONDITIONAL
) -> Ended:
    """What ``archive_zone`` would end; raises what it does."""
    _require_global(actor, zone_id)
    zone = Zone.objects.live().filter(id=zone_id).first()
    if_match.check(permitted(zone, actor).version)
    return foresee_zone(zone_id=zone_id)


@transaction.atomic
def _archive_zone(
    zone_id: str, actor: Actor, reason: str, if_match: Precondition
) -> Ended:
    _require_global(actor, zone_id)
    zone = lock_zone(zone_id, actor=actor, ending=True)
    if_match.check(zone.version)
    Zone.objects.filter(id=zone_id).update(archived_at=Now(), updated_at=Now())
    ended = end_zone(actor, zone_id=zone_id, reason=reason)
    headline = events.ZoneArchived(zone_id=zone_id, entity_id=zone_id, **ended.counts)
    record(actor, [headline, *ended.events], reason=reason)
    return ended


def _require_global(actor: Actor, zone_id: str) -> None:
    authorise(actor, zone_id=zone_id, writes=True)
    if not actor.is_global:
        raise errors.GlobalTokenRequired


def dcr_status(zone: Zone) -> DcrStatus:
    """How self-registration stands in the zone."""
    return DcrStatus(zone.dcr_enabled, _live_dynamic(zone.id).count())


def _live_dynamic(zone_id: str) -> ApplicationQuerySet[Application]:
    return Application.objects.in_zone(zone_id).live().dynamic().unexpired()


def _refuse_reserved(actor: Actor, name: str | None, slug: str | None) -> None:
    if not actor.is_bootstrap:
        rules.refuse_reserved([name], RESERVED_NAME_PREFIX)
        rules.refuse_reserved([slug], RESERVED_SLUG_PREFIX)
