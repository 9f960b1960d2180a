"""The ledger's rows of one token exchange (contract: tokens.md 18)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from caracal_site import context
from caracal_site.ids import new_id
from policies import rules
from policies.decision import COMPLETE, Decision
from tokens.forms import TokenRequest
from tokens.services.binding import Binding
from tokens.services.outcomes import Refusal
from zones.models import Application


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about one resource; ``status`` is the ledger's word for it,
    ``question`` the input document that the policies were asked, and ``why`` what a
    denial of theirs lacked. ``shadow`` is what a version on trial said."""

    resource: str
    status: str
    decision: Decision | None = None
    question: Mapping[str, Any] | None = None
    why: str = ""
    shadow: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_incomplete(self) -> bool:
        """Whether the policies could not answer."""
        return self.decision is not None and self.decision.evaluation_status != COMPLETE

    @property
    def is_granted(self) -> bool:
        return self.decision is not None and self.decision.is_allowed

    @property
    def step_up(self) -> str:
        """What has to happen before a token covers the resource, if anything has."""
        diagnostics = self.decision.diagnostics if self.decision else ()
        asked = (one.get("step_up_required") for one in diagnostics)
        return next((kind for kind in asked if isinstance(kind, str)), "")


class Ledger:
    """Collects the rows while an exchange is judged."""

    def __init__(self, request: TokenRequest, application: Application) -> None:
        self._request = request
        self._application = application
        self._bound: Mapping[str, Any] = {}
        self._rows: list[dict[str, Any]] = []

    def bind(self, bound: Binding | None) -> None:
        """The agent and the edge that every further row is about."""
        self._bound = bound.metadata() if bound else {}

    def add_verdicts(
        self,
        verdicts: Sequence[Verdict],
        *,
        token: Mapping[str, str] | None = None,
        withheld: Refusal | None = None,
    ) -> None:
        """One row a resource; the granted ones name the ``token`` and what it is of.
        Where everything was ``withheld``, they are denied for that reason."""
        for verdict in verdicts:
            metadata: dict[str, Any] = {"resource": verdict.resource}
            if verdict.decision is not None:
                metadata |= self._requested()
            if verdict.question is not None:
                metadata[rules.STORED_INPUT] = verdict.question
            metadata |= verdict.shadow
            if verdict.why:
                metadata["why"] = verdict.why
            status, is_denied = verdict.status, False
            if verdict.is_granted and withheld is not None:
                status, is_denied = withheld.status, True
                metadata |= {**withheld.facts, "reason": withheld.reason}
            elif verdict.is_granted:
                metadata |= token or {}
            self._add(status, metadata, verdict.decision, is_denied=is_denied)

    def add_refusal(self, refusal: Refusal) -> None:
        """The summary of an exchange that ended with nothing."""
        metadata = {
            "requested": list(self._request.resources),
            "reason": refusal.reason,
            **refusal.facts,
            **self._requested(),
        }
        self._add(refusal.status, metadata, None)

    def as_parameter(self) -> str:
        """The rows for ``ledger.sql``: a JSON array."""
        return orjson.dumps(self._rows).decode()

    def _requested(self) -> dict[str, Any]:
        return {
            "requested_scopes": list(self._request.scopes),
            "session_id": self._request.session_id or "",
            "agent_session_id": self._request.agent_session_id or "",
            "delegation_edge_id": self._request.delegation_edge_id or "",
            "runtime_credential_injection": self._request.runtime_credential_injection,
            **self._bound,
        }

    def _add(
        self,
        status: str,
        metadata: Mapping[str, Any],
        decision: Decision | None,
        *,
        is_denied: bool = False,
    ) -> None:
        client = self._application
        row: dict[str, Any] = {
            "id": new_id(),
            "zone_id": client.zone_id,
            "event_type": "token_exchange",
            "request_id": context.current().request_id,
            "decision": "deny",
            "evaluation_status": status,
            "determining_policies_json": [],
            "diagnostics_json": [{"reason": metadata.get("reason", status)}],
            "metadata_json": {
                "application_id": client.id,
                "application_name": client.name,
                "application_registration_method": client.registration_method,
                **metadata,
            },
        }
        if decision is not None:
            row |= {
                "decision": "deny" if is_denied else decision.decision,
                "policy_set_id": decision.policy_set_id,
                "policy_set_version_id": decision.policy_set_version_id,
                "manifest_sha": decision.manifest_sha256,
                "determining_policies_json": decision.determining_policies,
                "diagnostics_json": decision.diagnostics,
            }
        self._rows.append(row)
