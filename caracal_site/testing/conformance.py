"""What the conformance cases need besides HTTP: sessions, odd tokens, past times.

``cases.py`` of the shared conformance suite drives both deployments over HTTP. Its
``ADAPTER`` is the class below, which works on the database of the installation in
``CARACAL_DATA_DIR``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from caracal_site.testing.attaching import attach

attach()

import orjson  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db.models.functions import Now  # noqa: E402
from django.utils import timezone  # noqa: E402
from joserfc.jwk import ECKey  # noqa: E402

from agents.models import AgentSession  # noqa: E402
from audit.models import AuditEvent  # noqa: E402
from caracal_site.ids import new_id  # noqa: E402
from tokens import keys  # noqa: E402
from tokens.models import (  # noqa: E402
    Session,
    SessionType,
    SigningKey,
    StepUpChallenge,
)
from zones.models import Application  # noqa: E402

# One case asks for the issuer by this name.
os.environ.setdefault("ISSUER_URL", settings.ISSUER_URL)
DAY_SECONDS = 86_400


def add_session(
    zone_id: str,
    application_id: str,
    *,
    kind: str = SessionType.APPLICATION,
    subject: str | None = None,
    status: str = "active",
    expires_in: int = DAY_SECONDS,
) -> str:
    """The id of a new authority session of the application."""
    session = Session.objects.create(
        zone_id=zone_id,
        session_type=kind,
        subject_id=subject or application_id,
        client_id=application_id,
        status=status,
        expires_at=timezone.now() + timedelta(seconds=expires_in),
        revoked_at=timezone.now() if status == "revoked" else None,
    )
    return str(session.id)


def session_claims(
    zone_id: str, application_id: str, session_id: str, scopes: Iterable[str]
) -> dict[str, Any]:
    """The claims the token endpoint would give, for an hour; no session, no sid."""
    now = int(time.time())
    claims = {
        "iss": settings.ISSUER_URL,
        "sub": application_id,
        "aud": [settings.ISSUER_URL],
        "iat": now,
        "exp": now + 3_600,
        "jti": new_id(),
        "zone_id": zone_id,
        "client_id": application_id,
        "use": "session",
        "sub_type": "application",
        "scope": " ".join(scopes),
    }
    return claims | ({"sid": session_id, "root_sid": session_id} if session_id else {})


def sign_as_zone(zone_id: str, claims: Mapping[str, Any]) -> str:
    """``claims`` signed with the key that signs in the zone."""
    key = SigningKey.objects.in_zone(zone_id).signing().get()
    private = keys.private_key(zone_id, key.id, bytes(key.sealed_private_key))
    return keys.sign(claims, key.id, private)


class Adapter:
    """The part of the conformance suite that knows this server."""

    def __init__(self) -> None:
        self._own_sessions: dict[tuple[str, str], str] = {}

    def session(
        self,
        zone: str,
        application: str,
        kind: str = "application",
        subject: str | None = None,
        status: str = "active",
        expires_in: int = DAY_SECONDS,
    ) -> str:
        return add_session(
            zone,
            application,
            kind=kind,
            subject=subject,
            status=status,
            expires_in=expires_in,
        )

    def token(
        self,
        zone: str,
        application: str,
        session: str,
        scopes: list[str],
        *,
        drop: Iterable[str] = (),
        key: str | None = None,
        alg: str = keys.ALGORITHM,
        **overrides: Any,
    ) -> str:
        session_id = self._session_of(zone, application, session)
        claims = session_claims(zone, application, session_id, scopes) | overrides
        claims = {name: claims[name] for name in claims.keys() - set(drop)}
        if alg != keys.ALGORITHM:
            return _badly_signed(claims, alg)
        if key == "other":
            return keys.sign(claims, new_id(), ECKey.generate_key(keys.CURVE))
        return sign_as_zone(zone, claims)

    def expire_lease(self, zone: str, agent: str) -> None:
        past = Now() - timedelta(seconds=1)
        service = AgentSession.objects.filter(zone_id=zone, id=agent)
        if not service.update(heartbeat_deadline_at=past):
            raise LookupError(f"zone {zone} has no agent {agent}")

    def audit_rows(self, zone: str, rows: list[dict[str, Any]]) -> None:
        AuditEvent.objects.bulk_create(
            AuditEvent(
                id=row["id"],
                zone_id=zone,
                event_type=row["event_type"],
                request_id=row["request_id"],
                decision=row["decision"],
                evaluation_status="complete",
                occurred_at=datetime.fromisoformat(row["occurred_at"]),
                metadata_json=row["metadata"],
                determining_policies_json=row.get("determining_policies"),
                diagnostics_json=row.get("diagnostics"),
            )
            for row in rows
        )

    def challenge(self, zone: str, session: str, expires_in: int = 600) -> str:
        asked = Session.objects.get(zone_id=zone, id=session)
        made = StepUpChallenge.objects.create(
            zone_id=zone,
            application_id=asked.client_id,
            session_id=session,
            metadata_json={"why": "test"},
            ttl_seconds=900,
            binding_hash=bytes(32),
            expires_at=timezone.now() + timedelta(seconds=expires_in),
        )
        return str(made.id)

    def _session_of(self, zone: str, application: str, session: str) -> str:
        """``session``, or one of the application's own when it is somebody else's.

        The suite gives several applications one session, which no token here may
        claim: a token's session is the caller's own (D11).
        """
        owner = Session.objects.filter(zone_id=zone, id=session).values_list(
            "client_id", flat=True
        )
        if owner.first() in (None, application):
            return session
        if not Application.objects.in_zone(zone).filter(id=application).exists():
            return session
        place = zone, application
        if place not in self._own_sessions:
            self._own_sessions[place] = add_session(zone, application)
        return self._own_sessions[place]


def _badly_signed(claims: Mapping[str, Any], algorithm: str) -> str:
    """A token that claims to be signed by other means than the zone's key."""
    header = {"alg": algorithm, "typ": "JWT", "kid": new_id()}
    signed = b".".join(_base64url(orjson.dumps(part)) for part in (header, claims))
    signature = b""
    if algorithm == "HS256":
        signature = hmac.new(b"guessed", signed, hashlib.sha256).digest()
    return (signed + b"." + _base64url(signature)).decode()


def _base64url(plain: bytes) -> bytes:
    return base64.urlsafe_b64encode(plain).rstrip(b"=")
