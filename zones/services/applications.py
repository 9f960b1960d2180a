"""The verbs of applications, and the proof of their secrets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypedDict

from django.conf import settings
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Lower, Now

from audit.record import record
from caracal_site import actors, database, sealing
from caracal_site.actors import Actor
from caracal_site.api.permissions import authorise
from caracal_site.database import refused
from caracal_site.errors import NoFields, ZoneNotFound
from caracal_site.ids import new_id
from caracal_site.jobs import OUTAGES
from caracal_site.preconditions import UNCONDITIONAL, Precondition
from zones import errors, events, rules
from zones.models import Application, RegistrationMethod
from zones.querysets import RESERVED_NAME_PREFIX, ApplicationQuerySet
from zones.services.ending import (
    Ended,
    end_acting,
    end_applications,
    foresee_applications,
)
from zones.services.holding import hold_zone, lock_zone
from zones.traits import check as check_traits
from zones.traits import namespace_of

NAME_KEY = "applications_name_live_key"
EXPIRED_BATCH = 100
NO_DIGEST = bytes(32)


class ApplicationFields(TypedDict, total=False):
    """What of an application can be changed; a missing member is left as it is."""

    name: str
    traits: Sequence[str]
    client_secret: str


@dataclass(frozen=True, slots=True)
class IssuedApplication:
    """An application and its secret in plain text, which is nowhere kept."""

    application: Application
    client_secret: str


@transaction.atomic
def create_application(
    name: str, *, zone_id: str, actor: Actor, traits: Sequence[str] = ()
) -> IssuedApplication:
    """A managed application. Raises ZoneNotFound, ReservedNamespace, an error about
    traits, or ApplicationNameTaken."""
    hold_zone(zone_id, actor=actor)
    _refuse_reserved(actor, name)
    check_traits(traits, may_give_authority=actor.is_global)
    given = ("name", "registration_method", *(["traits"] if traits else []))
    with refused(NAME_KEY, errors.ApplicationNameTaken):
        issued = _issue(zone_id, name, traits=list(traits))
    record(actor, _event(events.ApplicationCreated, issued.application, given))
    return issued


@transaction.atomic
def register_application(
    name: str, *, zone_id: str, actor: Actor, expires_in_seconds: int
) -> IssuedApplication:
    """A self-registered application, which lives for ``expires_in_seconds``.

    Names may repeat, but none registers itself under the name of a managed one. Raises
    ReservedNamespace, ZoneNotFound, DcrDisabled, DcrLimitExceeded or
    ApplicationNameTaken. The zone's row stays locked until the commit, so the limit is
    exact; it bounds what is counted, too.
    """
    authorise(actor, zone_id=zone_id, writes=True)
    _refuse_reserved(actor, name)
    zone = lock_zone(zone_id, actor=actor)
    if not zone.dcr_enabled:
        raise errors.DcrDisabled
    live = Application.objects.in_zone(zone_id).live().dynamic().unexpired()
    if live.count() >= settings.MAX_DCR_APPLICATIONS_PER_ZONE:
        raise errors.DcrLimitExceeded
    _refuse_managed_name(zone_id, name)
    issued = _issue(
        zone_id,
        name,
        registration_method=RegistrationMethod.DCR,
        expires_at=Now() + timedelta(seconds=expires_in_seconds),
    )
    issued.application.refresh_from_db(fields=["expires_at"])
    given = ("name", "expires_in")
    record(actor, _event(events.ApplicationRegistered, issued.application, given))
    return issued


@transaction.atomic
def change_application(
    application_id: str,
    *,
    zone_id: str,
    actor: Actor,
    changes: ApplicationFields,
    if_match: Precondition = UNCONDITIONAL,
) -> Application:
    """Changes an application. A new secret leaves the one before valid for
    ``CLIENT_SECRET_OVERLAP_SECONDS``.

    Raises NoFields, ReservedNamespace, ApplicationNotFound, PreconditionFailed, an
    error about traits, ApplicationExpired or ApplicationNameTaken.
    """
    authorise(actor, zone_id=zone_id, writes=True)
    if not changes:
        raise NoFields
    _refuse_reserved(actor, changes.get("name"))
    check_traits(changes.get("traits", ()), may_give_authority=actor.is_global)
    hold_zone(zone_id, actor=actor)
    application: Application = _lock(application_id, zone_id, if_match)
    columns: dict[str, Any] = dict(changes)
    if "traits" in changes:
        _refuse_authority_to_dynamic(application, changes["traits"])
    if "name" in changes and not application.is_managed:
        _refuse_managed_name(zone_id, changes["name"])
    if "client_secret" in changes:
        chosen = columns.pop("client_secret")
        columns |= _replaced_secret(application, chosen, _default_overlap())
    with refused(NAME_KEY, errors.ApplicationNameTaken):
        _update(application, columns)
    fields = tuple(field for field in changes if field != "client_secret")
    rotated = "client_secret" in changes
    record(
        actor,
        _event(events.ApplicationChanged, application, fields, secret_rotated=rotated),
    )
    return application


def rotate_client_secret(
    application_id: str,
    *,
    zone_id: str,
    actor: Actor,
    reason: str,
    overlap_seconds: int | None = None,
    ends_live: bool = False,
    if_match: Precondition = UNCONDITIONAL,
) -> IssuedApplication:
    """Gives the application a new secret; the one before stays valid for
    ``overlap_seconds``, by default ``CLIENT_SECRET_OVERLAP_SECONDS``.

    ``ends_live`` is for a secret that leaked: what the application did until now ends,
    its sessions and agents with their delegations, and by default there is no overlap.
    Raises ApplicationNotFound, PreconditionFailed or ApplicationExpired.
    """
    usual = 0 if ends_live else _default_overlap()
    overlap = usual if overlap_seconds is None else overlap_seconds
    lock = partial(_lock, application_id, zone_id, if_match)
    return database.retried(
        partial(_rotate, lock, zone_id, actor, reason, overlap, ends_live)
    )


@transaction.atomic
def _rotate(
    lock: Callable[[], Any],
    zone_id: str,
    actor: Actor,
    reason: str,
    overlap: int,
    ends_live: bool,
) -> IssuedApplication:
    hold_zone(zone_id, actor=actor)
    application = lock()
    secret = sealing.new_credential("cs_")
    _update(application, _replaced_secret(application, secret, overlap))
    ended = None
    if ends_live:
        ended = end_acting(
            actor,
            zone_id=zone_id,
            application_ids=[application.id],
            reason="client_secret_rotated",
            closes=False,
        )
    headline = _event(
        events.ClientSecretRotated,
        application,
        (),
        overlap_seconds=overlap,
        ended=ended.counts if ended else None,
    )
    record(actor, [headline, *(ended.events if ended else ())], reason=reason)
    return IssuedApplication(application, secret)


def archive_application(
    application_id: str,
    *,
    zone_id: str,
    actor: Actor,
    reason: str,
    if_match: Precondition = UNCONDITIONAL,
) -> Ended:
    """Ends an application with its agents, sessions, delegations and bindings.

    Raises ZoneNotFound, ApplicationNotFound or PreconditionFailed.
    """
    return database.retried(
        partial(_archive, application_id, zone_id, actor, reason, if_match)
    )


@transaction.atomic
def preview_application_archive(
    application_id: str,
    *,
    zone_id: str,
    actor: Actor,
    if_match: Precondition = UNCONDITIONAL,
) -> Ended:
    """What ``archive_application`` would end; raises what it does."""
    hold_zone(zone_id, actor=actor)
    _to_be_archived(Application.objects.all(), application_id, zone_id, if_match)
    return foresee_applications(zone_id=zone_id, application_ids=[application_id])


@transaction.atomic
def _archive(
    application_id: str,
    zone_id: str,
    actor: Actor,
    reason: str,
    if_match: Precondition,
) -> Ended:
    hold_zone(zone_id, actor=actor)
    locked = Application.objects.select_for_update()
    _to_be_archived(locked, application_id, zone_id, if_match)
    return _end(actor, zone_id, application_id, reason)


def _to_be_archived(
    rows: ApplicationQuerySet[Application],
    application_id: str,
    zone_id: str,
    if_match: Precondition,
) -> None:
    live = rows.in_zone(zone_id).live().filter(id=application_id)
    version = live.values_list("version", flat=True).first()
    if version is None:
        raise errors.ApplicationNotFound
    if_match.check(version)


def _end(actor: Actor, zone_id: str, application_id: str, reason: str) -> Ended:
    """Ends one application, which the caller has locked, and records that."""
    ended = end_applications(
        actor, zone_id=zone_id, application_ids=[application_id], reason=reason
    )
    headline = events.ApplicationArchived(
        zone_id=zone_id, entity_id=application_id, **ended.counts
    )
    record(actor, [headline, *ended.events], reason=reason)
    return ended


def archive_expired_applications(limit: int = EXPIRED_BATCH) -> int:
    """Ends self-registered applications past their time; returns how many.

    Zone by zone, each batch in a transaction of its own: what one zone cannot do now
    is left to the next run, and keeps no other zone waiting.
    """
    due = Application.objects.live().dynamic().expired().filter(zone__archived_at=None)
    archived, failed = 0, None
    for zone_id in due.values_list("zone_id", flat=True).distinct().order_by("zone_id"):
        try:
            archived += _archive_expired_in(zone_id, limit)
        except OUTAGES as error:
            failed = error
    if failed is not None:
        raise failed
    return archived


def _archive_expired_in(zone_id: str, limit: int) -> int:
    archived = 0
    while True:
        batch = database.retried(partial(_archive_expired_batch, zone_id, limit))
        archived += batch
        if batch < limit:
            return archived


@transaction.atomic
def _archive_expired_batch(zone_id: str, limit: int) -> int:
    """One batch of one zone: picked without locks, locked, looked at again, ended.

    What another worker has locked is that worker's; a zone that is gone has nothing.
    """
    actor = actors.system("archive-expired-applications")
    try:
        hold_zone(zone_id, actor=actor)
    except ZoneNotFound:
        return 0
    expired = Application.objects.in_zone(zone_id).live().dynamic().expired()
    picked = expired.order_by("expires_at", "id").values_list("id", flat=True)[:limit]
    locked = expired.filter(id__in=list(picked)).order_by("id")
    ids = list(locked.select_for_update(skip_locked=True).values_list("id", flat=True))
    for application_id in ids:
        _end(actor, zone_id, application_id, "expired")
    return len(ids)


def verify_client_secret(
    application: Application, secret: str, *, now: datetime | None = None
) -> bool:
    """Whether ``secret`` is the application's, or the one before it in its overlap.

    Both are compared in constant time. Without ``now`` the database is asked for the
    time, and only when the secret is the previous one.
    """
    given = digest_of(application.id, secret)
    current = sealing.same(given, bytes(application.secret_digest))
    previous = sealing.same(
        given, bytes(application.previous_secret_digest or NO_DIGEST)
    )
    if current or not previous or application.previous_secret_expires_at is None:
        return current
    if now is not None:
        return now < application.previous_secret_expires_at
    found = Application.objects.filter(
        id=application.id,
        previous_secret_digest=application.previous_secret_digest,
        previous_secret_expires_at__gt=Now(),
    )
    return found.exists()


def _issue(zone_id: str, name: str, **columns: Any) -> IssuedApplication:
    application_id, secret = new_id(), sealing.new_credential("cs_")
    application = Application.objects.create(
        id=application_id,
        zone_id=zone_id,
        name=name,
        secret_digest=digest_of(application_id, secret),
        **columns,
    )
    return IssuedApplication(application, secret)


def digest_of(application_id: str, secret: str) -> bytes:
    """How the application's row holds the secret."""
    return sealing.digest("client_secret", f"{application_id}:{secret}")


def _default_overlap() -> int:
    return int(settings.CLIENT_SECRET_OVERLAP_SECONDS)


def _replaced_secret(application: Any, secret: str, overlap: int) -> dict[str, Any]:
    """The columns of a new secret, the one before good for ``overlap`` seconds more."""
    if application.is_expired:
        raise errors.ApplicationExpired
    kept = overlap > 0
    return {
        "secret_digest": digest_of(application.id, secret),
        "previous_secret_digest": F("secret_digest") if kept else None,
        "previous_secret_expires_at": Now() + timedelta(seconds=overlap)
        if kept
        else None,
        "secret_rotated_at": Now(),
    }


def _refuse_managed_name(zone_id: str, name: str) -> None:
    """A self-registered application is not to be taken for a managed one."""
    managed = Application.objects.in_zone(zone_id).live().managed()
    named = managed.alias(lowered=Lower("name")).filter(lowered=Lower(Value(name)))
    if named.exists():
        raise errors.ApplicationNameTaken


def _update(application: Application, columns: dict[str, Any]) -> None:
    Application.objects.filter(id=application.id).update(**columns, updated_at=Now())
    application.refresh_from_db()


def _lock(application_id: str, zone_id: str, if_match: Precondition) -> Any:
    """The zone's live application, marked with ``is_expired`` and locked, as the
    caller wants it."""
    live = Application.objects.in_zone(zone_id).live().marking_expired()
    found = live.filter(id=application_id).select_for_update(no_key=True).first()
    if found is None:
        raise errors.ApplicationNotFound
    if_match.check(found.version)
    return found


def _refuse_reserved(actor: Actor, name: str | None) -> None:
    if not actor.is_bootstrap:
        rules.refuse_reserved([name], RESERVED_NAME_PREFIX)


def _refuse_authority_to_dynamic(
    application: Application, given: Sequence[str]
) -> None:
    if application.is_managed:
        return
    for trait in filter(namespace_of, given):
        raise errors.TraitForbidden(f"trait '{trait}' is for managed applications only")


def _event(
    kind: type[Any],
    application: Application,
    fields: Sequence[str],
    **more: Any,
) -> Any:
    return kind(
        zone_id=application.zone_id,
        entity_id=application.id,
        changed_fields=tuple(fields),
        **more,
    )
