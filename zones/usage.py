"""What uses a zone, an application, a provider or a resource, and so breaks without it.

``used_by`` asks it of a live row; ``foreseen`` puts names to what a service would end,
and tells what would be left behind. Both answer how many there are of each kind and
the first of them, in one statement for each question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import (
    Count,
    F,
    Func,
    Model,
    Q,
    QuerySet,
    TextField,
    Value,
    Window,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Concat, NullIf

from agents.models import AgentService, AgentSession, Invocation
from delegations.models import DelegationEdge
from policies.grants.models import Grant, ProviderGrant
from tokens.models import Session
from zones.models import AdminToken, Application, Provider, Resource, Zone
from zones.services import Ended

FIRST = 10


@dataclass(frozen=True, slots=True)
class Named:
    """One thing, by id and by the name people know it by."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Part:
    """All of one kind: how many, and the first of them."""

    kind: str
    count: int
    first: tuple[Named, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A kind, its rows, and what they are called."""

    kind: str
    rows: QuerySet[Any]
    name: Combinable


LABELS = Func(
    F("labels"), Value(", "), function="array_to_string", output_field=TextField()
)
ARROW = Value(" \N{RIGHTWARDS ARROW} ")
# What a thing of each kind is called.
NAMES: Mapping[str, tuple[type[Model], Combinable]] = {
    "applications": (Application, F("name")),
    "providers": (Provider, F("name")),
    "admin_tokens": (AdminToken, F("name")),
    "resources": (Resource, F("name")),
    "gateway_bindings": (Resource, F("name")),
    "agents": (
        AgentSession,
        Coalesce(
            NullIf(LABELS, Value("")),
            F("application__name"),
            output_field=TextField(),
        ),
    ),
    "agent_services": (AgentService, F("endpoint_url")),
    "invocations": (Invocation, F("method")),
    "sessions": (Session, Coalesce(F("subject_id"), F("client__name"))),
    "delegations": (
        DelegationEdge,
        Concat(
            F("issuer_application__name"),
            ARROW,
            F("receiver_application__name"),
            output_field=TextField(),
        ),
    ),
    "grants": (
        Grant,
        Concat(
            F("user_id"),
            ARROW,
            F("application__name"),
            ARROW,
            F("resource__name"),
            output_field=TextField(),
        ),
    ),
    "provider_grants": (
        ProviderGrant,
        Concat(
            F("user_id"),
            ARROW,
            F("provider__name"),
            output_field=TextField(),
        ),
    ),
}


def _of(kind: str, rows: QuerySet[Any]) -> Source:
    return Source(kind, rows, NAMES[kind][1])


def _of_zone(zone: Zone) -> Iterable[Source]:
    yield _of("applications", Application.objects.in_zone(zone.id).live())
    yield _of("providers", Provider.objects.in_zone(zone.id).live())
    yield _of("resources", Resource.objects.in_zone(zone.id).live())
    yield _of("admin_tokens", AdminToken.objects.filter(zone=zone.id).usable())
    yield _of("agents", AgentSession.objects.in_zone(zone.id).live())
    yield _of("sessions", Session.objects.in_zone(zone.id).usable())
    yield _of("grants", Grant.objects.in_zone(zone.id).active())
    yield _of("provider_grants", ProviderGrant.objects.in_zone(zone.id).active())


def _of_application(application: Application) -> Iterable[Source]:
    zone_id, own = application.zone_id, application.id
    edges = DelegationEdge.objects.in_zone(zone_id).active()
    yield _of("agents", AgentSession.objects.in_zone(zone_id).live().acting_for([own]))
    yield _of("delegations", edges.between_applications(own))
    yield _of("sessions", Session.objects.in_zone(zone_id).usable().filter(client=own))
    offered = AgentService.objects.in_zone(zone_id).registered()
    yield _of("agent_services", offered.filter(application=own))
    fronted = Resource.objects.in_zone(zone_id).live().fronted_by(own)
    yield _of("gateway_bindings", fronted)
    granted = Grant.objects.in_zone(zone_id).active()
    yield _of("grants", granted.filter(application=own))


def _of_provider(provider: Provider) -> Iterable[Source]:
    using = Resource.objects.in_zone(provider.zone_id).live()
    yield _of("resources", using.filter(credential_provider=provider.id))
    connected = ProviderGrant.objects.in_zone(provider.zone_id).active()
    yield _of("provider_grants", connected.filter(provider=provider.id))


def _of_resource(resource: Resource) -> Iterable[Source]:
    edges = DelegationEdge.objects.in_zone(resource.zone_id).active()
    about = Q(resource=resource.id) | Q(
        constraints_json__resources__contains=resource.identifier
    )
    yield _of("delegations", edges.filter(about))
    fronting = Application.objects.in_zone(resource.zone_id).filter(
        gateway_bindings__zone=resource.zone_id,
        gateway_bindings__resource_identifier=resource.identifier,
    )
    yield Source("gateway_bindings", fronting, F("name"))
    granted = Grant.objects.in_zone(resource.zone_id).active()
    yield _of("grants", granted.filter(resource=resource.id))
    connected = ProviderGrant.objects.in_zone(resource.zone_id).active()
    yield _of("provider_grants", connected.filter(resource=resource.id))


def _of_nothing(_row: Model) -> Iterable[Source]:
    """For what nothing refers to, but which ends with other things."""
    return ()


# What refers to each: whatever comes to refer to one of these, adds itself here.
USES: Mapping[type[Model], Callable[[Any], Iterable[Source]]] = {
    Zone: _of_zone,
    Application: _of_application,
    Provider: _of_provider,
    Resource: _of_resource,
    Grant: _of_nothing,
}


def used_by(row: Model) -> tuple[Part, ...]:
    """What uses ``row``, kind by kind; kinds nothing is of included."""
    return _counted(list(USES[type(row)](row)))


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What ends with a thing, and what stays and loses what it needs: kind by kind,
    leaving out kinds nothing is of."""

    ends: tuple[Part, ...]
    breaks: tuple[Part, ...]


def foreseen(row: Model, ended: Ended) -> Foreseen:
    """The end of ``row``, as the service has foreseen it, in names."""
    others = [_left_of(source, ended) for source in USES[type(row)](row)]
    uses = {part.kind: part for part in _counted(others)}
    standing = [
        Part(kind, count, uses[kind].first if kind in uses else ())
        for kind, count in ended.standing.items()
    ]
    ends = (part for part in (*standing, *_named(ended)) if part.count)
    breaks = (
        part for part in uses.values() if part.count and part.kind not in ended.standing
    )
    return Foreseen(tuple(ends), tuple(breaks))


def _left_of(source: Source, ended: Ended) -> Source:
    """``source`` without what ends."""
    gone = getattr(ended, source.kind, ())
    if source.rows.model is not NAMES[source.kind][0]:
        # Told by its other end, which is one, and goes with this one.
        return replace(source, rows=source.rows.none()) if gone else source
    return replace(source, rows=source.rows.exclude(pk__in=gone)) if gone else source


def _named(ended: Ended) -> list[Part]:
    """The things that end by id, with the names of the first of each kind."""
    ids: dict[str, Sequence[str]] = {
        kind: getattr(ended, kind) for kind in NAMES if getattr(ended, kind, ())
    }
    sources = [
        _of(kind, NAMES[kind][0]._default_manager.filter(id__in=some[:FIRST]))
        for kind, some in ids.items()
    ]
    return [
        Part(part.kind, len(ids[part.kind]), part.first) for part in _counted(sources)
    ]


def _counted(sources: Sequence[Source]) -> tuple[Part, ...]:
    if not sources:
        return ()
    asked = [
        source.rows.order_by("-id").values_list(
            Value(source.kind), "id", source.name, Window(Count("*"))
        )[:FIRST]
        for source in sources
    ]
    counts = {source.kind: 0 for source in sources}
    first: dict[str, list[Named]] = {source.kind: [] for source in sources}
    found = asked[0].union(*asked[1:], all=True) if asked[1:] else asked[0]
    for kind, id_, name, count in found:
        counts[kind] = count
        first[kind].append(Named(id_, name))
    return tuple(Part(kind, counts[kind], tuple(first[kind])) for kind in counts)
