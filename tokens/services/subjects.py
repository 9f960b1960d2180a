"""Whose authority a gateway passes on: the subject token of an exchange.

Contract: tokens.md 6 (steps 7 to 9), 9.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor
from typing import Any

import msgspec

from caracal_site import statements
from tokens import verifying
from tokens.errors import SubjectTokenInvalid, TokenInvalid
from tokens.forms import TokenRequest
from tokens.services.outcomes import Refusal
from tokens.verifying import Mandate
from zones.models import Application


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject token whose session stands until ``ends_at`` (epoch seconds)."""

    mandate: Mandate
    session_type: str
    ends_at: int

    @property
    def scopes(self) -> tuple[str, ...]:
        return tuple(self.mandate.scope.split())

    @property
    def claims(self) -> dict[str, Any]:
        """What the token claims, as policies see it: nothing that is empty."""
        told = msgspec.to_builtins(self.mandate)
        return {name: told[name] for name in told if told[name] not in ("", [], None)}

    def bound(self, request: TokenRequest) -> TokenRequest | Refusal:
        """The request with the agent and the edge of the token, which it may name as
        well but not otherwise, and no scope that the token has not."""
        mine: dict[str, Any] = {
            "session_id": self.mandate.sid,
            "agent_session_id": self.mandate.agent_session_id or None,
            "delegation_edge_id": self.mandate.delegation_edge_id or None,
        }
        for name, value in mine.items():
            if getattr(request, name) not in (None, value):
                return Refusal(f"subject_{name}_differs")
        if not set(request.scopes) <= set(self.scopes):
            return Refusal("scopes_outside_subject")
        return replace(request, **mine)


def presented(request: TokenRequest, application: Application) -> Subject | Refusal:
    """The subject of a request of a gateway, whose session cannot end before the
    transaction does."""
    expected = verifying.Expected(zone_id=application.zone_id)
    try:
        verified = verifying.verify(request.subject_token, expected)
    except TokenInvalid:
        return Refusal("subject_token_invalid", SubjectTokenInvalid())
    mandate = verified.mandate
    if mandate.use != "session":
        return Refusal("subject_token_invalid", SubjectTokenInvalid())
    if mandate.client_id != application.id:
        return Refusal("subject_of_another_client")
    found = statements.fetch_all(
        "tokens/subject",
        {
            "sid": mandate.sid,
            "zone_id": application.zone_id,
            "client_id": application.id,
            "sub": mandate.sub,
            "key_id": verified.key_id,
        },
    )
    if not found:
        return Refusal("subject_session_not_usable")
    ends_at, session_type = found[0]
    return Subject(mandate, str(session_type), min(floor(ends_at), mandate.exp))
