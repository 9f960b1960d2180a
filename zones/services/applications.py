"""The verbs of applications, and the proof of their secrets."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypedDict

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from audit.record import record
from caracal_site import actors, database, sealing
from caracal_site.actors import Actor
from caracal_site.database import refused
from caracal_site.errors import NoFields, ZoneNotFound
from caracal_site.ids import new_id
from zones import errors, events, rules
from zones.models import Application, RegistrationMethod
from zones.querysets import RESERVED_NAME_PREFIX
from zones.services.ending import end_applications
from zones.services.holding import hold_zone, lock_zone
from zones.traits import check as check_traits
from zones.traits import namespace_of

NAME_KEY = "applications_name_live_key"
EXPIRED_BATCH = 200
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

    Raises ReservedNamespace, ZoneNotFound, DcrDisabled or DcrLimitExceeded. The zone's
    row stays locked until the commit, so the limit is exact.
    """
    _refuse_reserved(actor, name)
    zone = lock_zone(zone_id, actor=actor)
    if not zone.dcr_enabled:
        raise errors.DcrDisabled
    live = Application.objects.in_zone(zone_id).live().dynamic().unexpired()
    if live.count() >= settings.MAX_DCR_APPLICATIONS_PER_ZONE:
        raise errors.DcrLimitExceeded
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
    application_id: str, *, zone_id: str, actor: Actor, changes: ApplicationFields
) -> Application:
    """Changes an application. A new secret leaves the one before valid for
    ``CLIENT_SECRET_OVERLAP_SECONDS``.

    Raises NoFields, ReservedNamespace, ApplicationNotFound, an error about traits,
    ApplicationExpired or ApplicationNameTaken.
    """
    if not changes:
        raise NoFields
    _refuse_reserved(actor, changes.get("name"))
    check_traits(changes.get("traits", ()), may_give_authority=actor.is_global)
    hold_zone(zone_id, actor=actor)
    application: Application = _lock(application_id, zone_id)
    columns: dict[str, Any] = dict(changes)
    if "traits" in changes:
        _refuse_authority_to_dynamic(application, changes["traits"])
    if "client_secret" in changes:
        columns |= _replaced_secret(application, columns.pop("client_secret"))
    with refused(NAME_KEY, errors.ApplicationNameTaken):
        _update(application, columns)
    fields = tuple(field for field in changes if field != "client_secret")
    rotated = "client_secret" in changes
    record(
        actor,
        _event(events.ApplicationChanged, application, fields, secret_rotated=rotated),
    )
    return application


@transaction.atomic
def rotate_client_secret(
    application_id: str, *, zone_id: str, actor: Actor
) -> IssuedApplication:
    """Gives the application a new secret; the one before stays valid for
    ``CLIENT_SECRET_OVERLAP_SECONDS``. Raises ApplicationNotFound or
    ApplicationExpired."""
    hold_zone(zone_id, actor=actor)
    application = _lock(application_id, zone_id)
    secret = sealing.new_credential("cs_")
    _update(application, _replaced_secret(application, secret))
    record(actor, _event(events.ClientSecretRotated, application, ()))
    return IssuedApplication(application, secret)


def archive_application(
    application_id: str, *, zone_id: str, actor: Actor, reason: str
) -> None:
    """Ends an application with its agents, sessions, delegations and bindings.

    Raises ZoneNotFound or ApplicationNotFound.
    """
    database.retried(partial(_archive, application_id, zone_id, actor, reason))


@transaction.atomic
def _archive(application_id: str, zone_id: str, actor: Actor, reason: str) -> None:
    hold_zone(zone_id, actor=actor)
    live = Application.objects.in_zone(zone_id).live().select_for_update()
    if not live.filter(id=application_id).exists():
        raise errors.ApplicationNotFound
    ended = end_applications(
        actor, zone_id=zone_id, application_ids=[application_id], reason=reason
    )
    headline = events.ApplicationArchived(
        zone_id=zone_id, entity_id=application_id, **ended.counts
    )
    record(actor, [headline, *ended.events], reason=reason)


def archive_expired_applications() -> int:
    """Ends self-registered applications past their time; returns how many.

    Each application is a transaction of its own; one that is gone or in a zone that
    is gone by now is left alone.
    """
    actor = actors.system("archive-expired-applications")
    archived = 0
    while True:
        due = list(
            Application.objects.live()
            .dynamic()
            .expired()
            .filter(zone__archived_at=None)
            .order_by("expires_at", "id")
            .values_list("id", "zone_id")[:EXPIRED_BATCH]
        )
        for application_id, zone_id in due:
            with suppress(errors.ApplicationNotFound, ZoneNotFound):
                archive_application(
                    application_id, zone_id=zone_id, actor=actor, reason="expired"
                )
        archived += len(due)
        if len(due) < EXPIRED_BATCH:
            return archived


def verify_client_secret(
    application: Application, secret: str, *, now: datetime | None = None
) -> bool:
    """Whether ``secret`` is the application's, or the one before it in its overlap.

    Both are compared in constant time. Without ``now`` the database is asked for the
    time, and only when the secret is the previous one.
    """
    given = sealing.digest("client_secret", f"{application.id}:{secret}")
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
        secret_digest=_digest(application_id, secret),
        **columns,
    )
    return IssuedApplication(application, secret)


def _digest(application_id: str, secret: str) -> bytes:
    return sealing.digest("client_secret", f"{application_id}:{secret}")


def _replaced_secret(application: Any, secret: str) -> dict[str, Any]:
    if application.is_expired:
        raise errors.ApplicationExpired
    overlap = timedelta(seconds=settings.CLIENT_SECRET_OVERLAP_SECONDS)
    return {
        "secret_digest": _digest(application.id, secret),
        "previous_secret_digest": F("secret_digest"),
        "previous_secret_expires_at": Now() + overlap,
        "secret_rotated_at": Now(),
    }


def _update(application: Application, columns: dict[str, Any]) -> None:
    Application.objects.filter(id=application.id).update(**columns, updated_at=Now())
    application.refresh_from_db()


def _lock(application_id: str, zone_id: str) -> Any:
    """The zone's live application, marked with ``is_expired`` and locked."""
    live = Application.objects.in_zone(zone_id).live().marking_expired()
    found = live.filter(id=application_id).select_for_update(no_key=True).first()
    if found is None:
        raise errors.ApplicationNotFound
    return found


def _refuse_reserved(actor: Actor, name: str | None) -> None:
    if not actor.is_bootstrap:
        rules.refuse_reserved([name], RESERVED_NAME_PREFIX)


def _refuse_authority_to_dynamic(
    application: Application, given: Sequence[str]
) -> None:
    if application.registration_method == RegistrationMethod.MANAGED:
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
