"""Traits of applications: labels, some of which give authority. Pure functions.

The namespaces ``control`` (what a control key may do), ``coordinator`` (scopes of the
coordinator, D19) and ``caracal.sys`` give authority: only a global actor sets them,
and only on managed applications.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from caracal_site.api.fields import utf16_length
from zones import errors

MAX_TRAITS = 32
MAX_LENGTH = 128
FORMAT = re.compile(r"[A-Za-z][A-Za-z0-9._:-]*\Z")
GIVING_AUTHORITY = frozenset({"control", "caracal.sys"})

CONTROL_SCOPES = frozenset(
    f"control:{noun}:{verb}"
    for nouns, verbs in (
        (
            "agent app grant identity-provider policy policy-set resource",
            "read write delete",
        ),
        ("delegation", "read delete"),
        ("audit explain session", "read"),
    )
    for noun in nouns.split()
    for verb in verbs.split()
)
COORDINATOR_SCOPE = re.compile(
    r"coordinator\.(?:admin|delegate_broad(?::.+)?"
    r"|(?:spawn_for|spawn_under|invoke_from|delegate_from|delegate_to):.+)\Z"
)
MAX_TTL = re.compile(r"[0-9]{1,6}\Z")


def check(traits: Sequence[str], *, may_give_authority: bool) -> None:
    """Refuses the first trait, in order, that is not acceptable.

    Raises TraitCountExceeded, TraitInvalid, TraitDuplicate or TraitForbidden.
    """
    if len(traits) > MAX_TRAITS:
        raise errors.TraitCountExceeded(
            f"an application has at most {MAX_TRAITS} traits"
        )
    seen: set[str] = set()
    for trait in traits:
        _check_form(trait)
        if trait in seen:
            raise errors.TraitDuplicate(f"duplicate trait '{trait}'")
        namespace = namespace_of(trait)
        if namespace and not may_give_authority:
            raise errors.TraitForbidden(
                f"trait namespace '{namespace}' requires global admin scope"
                " and a managed application"
            )
        _check_vocabulary(trait, namespace, seen)
        seen.add(trait)


def namespace_of(trait: str) -> str:
    """The namespace through which the trait gives authority, or an empty string."""
    namespace, colon, _ = trait.partition(":")
    # A plain "coordinator" is a label like any other; clients use such words.
    gives = namespace in GIVING_AUTHORITY or (colon and namespace == "coordinator")
    return namespace if gives else ""


def _check_form(trait: str) -> None:
    if not 1 <= utf16_length(trait) <= MAX_LENGTH:
        raise errors.TraitInvalid(f"traits must be 1..{MAX_LENGTH} chars")
    if not FORMAT.match(trait):
        raise errors.TraitInvalid(
            f"trait '{trait}' violates [A-Za-z][A-Za-z0-9._:-]* format"
        )


def _check_vocabulary(trait: str, namespace: str, seen: set[str]) -> None:
    if namespace == "coordinator":
        scope = trait.removeprefix("coordinator:scope:")
        if scope == trait or not COORDINATOR_SCOPE.match(scope):
            raise errors.TraitInvalid(f"unknown coordinator trait '{trait}'")
    if namespace != "control" or trait == "control:invoke":
        return
    kind, _, value = trait.removeprefix("control:").partition(":")
    if kind == "scope":
        if value not in CONTROL_SCOPES:
            raise errors.TraitInvalid(f"unknown control scope '{value}'")
        return
    if kind == "max-ttl":
        if not MAX_TTL.match(value) or not 60 <= int(value) <= 900:
            raise errors.TraitInvalid(
                "control max TTL must be an integer between 60 and 900 seconds"
            )
    elif kind == "expires":
        if not _is_time(value):
            raise errors.TraitInvalid(
                f"control expiry '{value}' is not a parseable timestamp"
            )
    else:
        raise errors.TraitInvalid(f"unknown control trait '{trait}'")
    if any(other.startswith(f"control:{kind}:") for other in seen):
        raise errors.TraitInvalid(f"control:{kind} may be given once")


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
