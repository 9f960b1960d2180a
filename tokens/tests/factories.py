"""What tests of tokens need: clients whose secret is known, and tokens of any kind."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.utils import timezone

from agents.models import AgentSession
from caracal_site import sealing
from caracal_site.ids import new_id
from delegations.models import DelegationEdge
from policies.models import PolicyActivation, PolicySet, PolicySetVersion
from tokens import bearer, forms, keys
from tokens.models import Session, SigningKey
from zones.models import Application, GatewayBinding, Provider, Resource, Zone

LIFECYCLE = "agent:lifecycle"


@dataclass(frozen=True)
class Client:
    application: Application
    secret: str

    @property
    def id(self) -> str:
        return self.application.id


def make_client(zone: Zone, **fields: Any) -> Client:
    """An application of ``zone`` and its secret."""
    secret, client_id = sealing.new_credential("cs_"), new_id()
    application = Application.objects.create(
        id=client_id,
        zone=zone,
        name=client_id,
        secret_digest=digest_of(client_id, secret),
        **fields,
    )
    return Client(application, secret)


def digest_of(client_id: str, secret: str) -> bytes:
    return sealing.digest("client_secret", f"{client_id}:{secret}")


def make_resource(
    zone: Zone, owner: Client | None, *scopes: str, identifier: str = ""
) -> str:
    """The identifier of a new resource that ``owner`` fronts."""
    identifier = identifier or f"resource://{new_id()}"
    provider = Provider.objects.create(
        zone=zone, name="none", identifier=f"provider://{new_id()}", kind="none"
    )
    Resource.objects.create(
        zone=zone,
        name=identifier,
        identifier=identifier,
        credential_provider=provider,
        scopes=list(scopes or (LIFECYCLE,)),
    )
    if owner is not None:
        GatewayBinding.objects.create(
            zone=zone, resource_identifier=identifier, application=owner.application
        )
    return identifier


def make_granted(zone: Zone, owner: Client, *scopes: str, identifier: str = "") -> str:
    """The same, where the policies in force let ``owner`` begin."""
    identifier = make_resource(zone, owner, *scopes, identifier=identifier)
    grant(zone, owner, identifier)
    return identifier


def grant(zone: Zone, owner: Client, identifier: str) -> None:
    """Puts in force what is, and that ``owner`` owns the resource."""
    row = PolicyActivation.objects.filter(zone=zone).first()
    before = row.active_version.data if row and row.active_version else {}
    policy_set = PolicySet.objects.create(zone=zone, name=new_id(), created_by="tests")
    version = PolicySetVersion.objects.create(
        policy_set=policy_set,
        version=1,
        manifest_sha256="",
        schema_version="2026-05-20",
        created_by="tests",
        data={
            "app_ids": {**before.get("app_ids", {}), owner.id: owner.id},
            "grants": {
                **before.get("grants", {}),
                identifier: {"application": owner.id, "roles": {}},
            },
        },
    )
    PolicyActivation.objects.update_or_create(
        zone=zone,
        defaults={
            "policy_set": policy_set,
            "active_version": version,
            "revision": row.revision + 1 if row else 1,
            "activated_by": "tests",
            "outbox_id": new_id(),
        },
    )


def form_of(client: Client, resource: str, /, **changes: Any) -> bytes:
    """The body of a good token request, changed; None leaves a parameter out."""
    fields: dict[str, Any] = {
        "grant_type": forms.TOKEN_EXCHANGE,
        "zone_id": client.application.zone_id,
        "application_id": client.id,
        "client_secret": client.secret,
        "scope": LIFECYCLE,
        "resource": resource,
    }
    given = {
        name: value for name, value in (fields | changes).items() if value is not None
    }
    return urlencode(given, doseq=True).encode()


def request_of(client: Client, resource: str, /, **changes: Any) -> forms.TokenRequest:
    return forms.read(form_of(client, resource, **changes), content_type=forms.FORM)


def make_session(client: Client, **fields: Any) -> Session:
    defaults: dict[str, Any] = {
        "session_type": "application",
        "subject_id": client.id,
        "expires_at": timezone.now() + timedelta(hours=1),
    }
    return Session.objects.create(
        zone_id=client.application.zone_id,
        client_id=client.id,
        **(defaults | fields),
    )


def make_agent(client: Client, **fields: Any) -> AgentSession:
    return AgentSession.objects.create(
        zone_id=client.application.zone_id,
        application_id=client.id,
        subject_session=make_session(client),
        **({"expires_at": timezone.now() + timedelta(hours=1)} | fields),
    )


def make_edge(client: Client, target: AgentSession, **fields: Any) -> DelegationEdge:
    """An edge from a fresh agent of ``client`` to ``target``."""
    edge_id = new_id()
    defaults: dict[str, Any] = {
        "id": edge_id,
        "root_edge_id": edge_id,
        "expires_at": timezone.now() + timedelta(hours=1),
    }
    return DelegationEdge.objects.create(
        zone_id=client.application.zone_id,
        source_session=make_agent(client),
        target_session=target,
        issuer_application_id=client.id,
        receiver_application_id=target.application_id,
        **(defaults | fields),
    )


def claims_of(client: Client, **changes: Any) -> dict[str, Any]:
    """The claims of a good token without a session; None leaves a claim out."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": settings.ISSUER_URL,
        "sub": client.id,
        "aud": [settings.ISSUER_URL],
        "iat": now,
        "exp": now + 900,
        "jti": new_id(),
        "zone_id": client.application.zone_id,
        "client_id": client.id,
        "scope": LIFECYCLE,
        "use": "session",
        "sub_type": "application",
    }
    return {
        name: value for name, value in (claims | changes).items() if value is not None
    }


def claims_of_token(token: str) -> dict[str, Any]:
    """What a token claims, unverified."""
    return dict(msgspec.json.decode(bearer.decoded(token.split(".")[1])))


def sign(zone: Zone, claims: dict[str, Any]) -> str:
    """``claims`` signed with the key that signs in ``zone``."""
    key = SigningKey.objects.in_zone(zone.id).signing().get()
    private = keys.private_key(zone.id, key.id, bytes(key.sealed_private_key))
    return keys.sign(claims, key.id, private)
