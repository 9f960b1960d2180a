"""Asking a set version, or a zone without one, by the function of token requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies import inputs, rules
from policies.decision import (
    ActiveSet,
    DecisionRequest,
    Principal,
    ResourceFacts,
    decide,
    decide_input,
)
from zones.services import application_bound_to

Input = Mapping[str, Any]


def answer(document: Input, asked: ActiveSet) -> dict[str, Any]:
    """What a token request of this input would be answered. Raises InvalidInput."""
    return rules.answered(decide_input(inputs.normalised(document), asked))


def answer_without_policies(document: Input, zone_id: str) -> dict[str, Any]:
    """The same in the zone without a set in force, where owners may begin and nothing
    else is allowed. Raises InvalidInput."""
    request = _request(inputs.normalised(document), zone_id)
    return rules.answered(decide(request))


def _request(given: Input, zone_id: str) -> DecisionRequest:
    principal, resource, context = (
        given["principal"],
        given["resource"],
        given["context"],
    )
    return DecisionRequest(
        principal=Principal(
            id=principal["id"],
            zone_id=principal["zone_id"],
            registration_method=principal.get("registration_method", ""),
            agent_session_id=context.get("agent_session_id"),
        ),
        resource=ResourceFacts(
            id=resource["id"],
            identifier=resource["identifier"],
            scopes=tuple(resource["scopes"] or ()),
            owner_id=application_bound_to(zone_id, resource["identifier"]),
        ),
        requested_scopes=tuple(context["requested_scopes"] or ()),
        trace_id=context.get("trace_id", ""),
        delegation_edge_id=context.get("delegation_edge_id"),
        delegation_edge=given.get("delegation_edge"),
        subject_claims=context.get("subject_claims"),
    )
