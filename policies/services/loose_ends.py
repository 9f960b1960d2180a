"""What a set names that its zone does not have: allowed, but hardly ever meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from policies import rules
from policies.models import PolicySetVersion
from zones.models import Application, Resource

TOLD = 50
DENIES_ALL = "It denies everything: {why}."


def loose_ends(version: PolicySetVersion) -> list[str]:
    """Sentences about the version, the gravest first."""
    return list(islice(_all(version.data, version.zone_id), TOLD))


def _all(data: Mapping[str, Any], zone_id: str) -> Iterator[str]:
    why = rules.why_nothing_is_allowed(data)
    if why:
        yield DENIES_ALL.format(why=why)
    yield from _applications(data.get("app_ids") or {}, zone_id)
    yield from _resources(data.get("grants") or {}, zone_id)


def _applications(app_ids: Mapping[str, str], zone_id: str) -> Iterator[str]:
    live = Application.objects.in_zone(zone_id).live()
    known = set(live.filter(id__in=list(app_ids.values())).values_list("id", flat=True))
    for key, application_id in app_ids.items():
        if application_id not in known:
            yield f"app_ids.{key} is no application of the zone: {application_id}."


def _resources(grants: Mapping[str, Any], zone_id: str) -> Iterator[str]:
    live = Resource.objects.in_zone(zone_id).live().filter(identifier__in=list(grants))
    scopes = dict(live.values_list("identifier", "scopes"))
    for identifier, view in grants.items():
        if identifier not in scopes:
            yield f"grants names no resource of the zone: {identifier}."
            continue
        granted = {
            scope for role in (view.get("roles") or {}).values() for scope in role
        }
        for scope in sorted(granted - set(scopes[identifier])):
            yield f"{identifier} has no scope {scope}, which grants gives."
