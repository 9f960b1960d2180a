"""What a set names of its zone, and what of it the zone does not have, which is
allowed, but hardly ever meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from policies import rules
from policies.models import PolicySetVersion
from zones.models import Application, Resource

TOLD = 50
ROWS = 500
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


@dataclass(frozen=True, slots=True)
class Named:
    """A word of the documents and, when the zone has it, the id it has there."""

    word: str
    id: str | None = None

    @property
    def is_known(self) -> bool:
        return self.id is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """One role of one grant: whose resource it is, and the scopes of the role."""

    resource: Named
    application: Named
    role: str
    scopes: tuple[Named, ...]


def coverage(version: PolicySetVersion) -> list[Granted]:
    """What the version's grants name, by resource and role, up to ROWS."""
    data, zone_id = version.data, version.zone_id
    app_ids, grants = data.get("app_ids") or {}, data.get("grants") or {}
    known = _known_applications(app_ids.values(), zone_id)
    resources = _known_resources(grants, zone_id)
    return list(islice(_granted(app_ids, grants, known, resources), ROWS))


def _granted(
    app_ids: Mapping[str, str],
    grants: Mapping[str, Any],
    known: set[str],
    resources: Mapping[str, tuple[str, list[str]]],
) -> Iterator[Granted]:
    for identifier, view in sorted(grants.items()):
        resource_id, declared = resources.get(identifier, (None, []))
        application_id = app_ids.get(view["application"])
        owner = application_id if application_id in known else None
        for role, scopes in sorted((view.get("roles") or {"": []}).items()):
            yield Granted(
                resource=Named(identifier, resource_id),
                application=Named(view["application"], owner),
                role=role,
                scopes=tuple(
                    Named(scope, scope if scope in declared else None)
                    for scope in scopes
                ),
            )


def _known_applications(ids: Iterable[str], zone_id: str) -> set[str]:
    live = Application.objects.in_zone(zone_id).live().filter(id__in=list(ids))
    return set(live.values_list("id", flat=True))


def _known_resources(
    identifiers: Iterable[str], zone_id: str
) -> dict[str, tuple[str, list[str]]]:
    """(id, declared scopes) of those the zone has, by identifier."""
    live = Resource.objects.in_zone(zone_id).live()
    rows = live.filter(identifier__in=list(identifiers))
    return {
        identifier: (id, scopes)
        for identifier, id, scopes in rows.values_list("identifier", "id", "scopes")
    }


def _applications(app_ids: Mapping[str, str], zone_id: str) -> Iterator[str]:
    known = _known_applications(app_ids.values(), zone_id)
    for key, application_id in app_ids.items():
        if application_id not in known:
            yield f"app_ids.{key} is no application of the zone: {application_id}."


def _resources(grants: Mapping[str, Any], zone_id: str) -> Iterator[str]:
    known = _known_resources(grants, zone_id)
    for identifier, view in grants.items():
        if identifier not in known:
            yield f"grants names no resource of the zone: {identifier}."
            continue
        roles = (view.get("roles") or {}).values()
        granted = {scope for role in roles for scope in role}
        for scope in sorted(granted - set(known[identifier][1])):
            yield f"{identifier} has no scope {scope}, which grants gives."
