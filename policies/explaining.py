"""Decisions in plain words, for people who did not write the policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings

from policies import engine, inputs
from policies.decision import ActiveSet, DecisionRequest

# Why an allowed request was, by the kind of rule that allowed it.
ALLOWED = {
    "bootstrap": "an application may begin on a resource that the policies give it",
    "mint": "the delegation edge carries every scope asked for, and one of the agent's"
    " labels is a role that holds them all",
    "use": "the token was made for this resource under a delegation edge, and one of"
    " the agent's labels is a role there",
}
KINDS = {
    "bootstrap": "to begin as an application",
    "mint": "to mint as an agent",
    "use": "to use a token",
}
NO_SET = (
    "No policy set is in force, so an application may only begin on the resources whose"
    " gateway application it is."
)
# What a condition of the decision contract comes to when it does not hold.
MISSING = {
    "application_known": "no key of app_ids names this application",
    "resource_granted": "grants has no entry for this resource",
    "application_owns_resource": "grants gives the resource to another application",
    "zone_unrestricted": "restrict has an entry, which stops the whole zone",
    "lifecycle_scope_alone": "not exactly the lifecycle scope is asked for",
    "no_lifecycle_scope": "the lifecycle scope is asked for, which no agent mints",
    "scopes_requested": "no scope is asked for",
    "no_scopes_requested": "scopes are asked for",
    "no_subject": "there is a subject token",
    "no_edge": "there is a delegation edge",
    "no_agent_session": "there is an agent session",
    "edge": "there is no delegation edge",
    "agent_session": "there is no agent session",
    "scopes_within_edge": "the delegation edge does not carry every scope asked for",
    "scopes_within_confinement": "a confinement rule of the agent's labels caps it",
    "one_role_covers_scopes": "no single label of the agent is a role that holds every"
    " scope asked for",
    "subject_names_edge": "the subject token names no delegation edge",
    "subject_targets_resource": "the subject token is not for this resource",
    "label_is_a_role": "no label of the agent is a role on this resource",
}


def in_words(
    document: Mapping[str, Any], answer: Mapping[str, Any], asked: ActiveSet
) -> str:
    """One or more sentences: what was decided about a valid input, and why."""
    return " ".join(_sentences(inputs.normalised(document), answer, asked))


def _sentences(
    given: Mapping[str, Any], answer: Mapping[str, Any], asked: ActiveSet
) -> Iterator[str]:
    if answer["evaluation_status"] != engine.COMPLETE:
        yield "The policies cannot be evaluated for this, so nothing is allowed."
        return
    if answer["decision"] == "allow":
        yield f"{_question(given)} is allowed: {_why(answer)}."
        yield from _conditions(answer)
        return
    yield f"{_question(given)} is denied."
    yield from _gaps(given, asked)


def why_denied(request: DecisionRequest, asked: ActiveSet | None) -> str:
    """What a denied token request lacked, for those who look for it later."""
    if asked is None:
        return NO_SET
    try:
        return " ".join(_gaps(inputs.document(request), asked))
    except engine.EngineFault as fault:
        return f"Why cannot be told: {fault.message}."


def _gaps(given: Mapping[str, Any], asked: ActiveSet) -> Iterator[str]:
    """What the kind of rule lacks that lacks the least, and what stood in the way."""
    found = engine.explain(
        asked.compiled, given, lifecycle_scope=settings.AGENT_COORDINATOR_SCOPE
    )
    kind, missing = min(
        found["unmet"].items(), key=lambda item: (len(item[1]), item[0])
    )
    told = "; ".join(MISSING.get(name, name) for name in missing)
    yield f"What is missing {KINDS.get(kind, kind)}: {told}."
    yield from _obstacles(missing, found)


def _question(given: Mapping[str, Any]) -> str:
    scopes = given["context"]["requested_scopes"] or ()
    asked = ", ".join(scopes) or "Use"
    resource = given["resource"]["identifier"] or "a resource without identifier"
    return f"{asked} on {resource} for {given['principal']['id'] or 'nobody'}"


def _why(answer: Mapping[str, Any]) -> str:
    for one in answer["determining_policies"]:
        name = str(one.get("policy", ""))
        kind = name.rpartition("-")[2]
        if kind in ALLOWED:
            return f"{ALLOWED[kind]} ({name})"
    return "a policy says so"


def _conditions(answer: Mapping[str, Any]) -> Iterator[str]:
    for diagnostic in answer["diagnostics"]:
        if diagnostic.get("step_up_required"):
            yield "A person has to approve it before there is a token."
        for risk in diagnostic.get("risk") or ():
            yield f"{risk['scope']} is of tier {risk['tier']}."


def _obstacles(missing: list[str], found: Mapping[str, Any]) -> Iterator[str]:
    if "scopes_within_edge" in missing and found["scopes_outside_edge"]:
        outside = ", ".join(found["scopes_outside_edge"])
        yield f"Outside the edge: {outside}."
    if "scopes_within_confinement" in missing:
        for rule in found["confining_rules"]:
            prefix, scopes = rule.get("label_prefix", ""), rule.get("scopes") or ()
            yield f"Labels in {prefix}* may have {', '.join(scopes) or 'nothing'}."
    if "zone_unrestricted" in missing and found["restrictions"]:
        yield f"Restricted by: {', '.join(map(str, found['restrictions']))}."
