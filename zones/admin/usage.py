"""What uses a thing, and what ends with it, on the console's pages: the same questions
the Management API answers."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Model
from django.utils.safestring import SafeString

from caracal_site.console import display
from caracal_site.console.gestures import Affected, Impact
from caracal_site.console.panels import Table
from zones import usage
from zones.models import Application, Resource
from zones.services import Ended
from zones.usage import NAMES, Part

ENDS: Mapping[str, str] = {
    "agents": "Agents that end",
    "delegations": "Delegations revoked",
    "invocations": "Invocations canceled",
    "sessions": "Authority sessions revoked",
    "gateway_bindings": "Resources left without a gateway",
    "applications": "Applications archived",
    "resources": "Resources archived",
    "providers": "Providers archived",
    "admin_tokens": "Admin tokens revoked",
    "grants": "Grants revoked",
    "provider_grants": "Accounts disconnected",
}
BREAKS: Mapping[str, str] = {
    "agent_services": "Agent services nobody answers for",
    "delegations": "Delegations that lose one of their objects",
    "resources": "Resources without a credential",
}
USES: Mapping[str, str] = {
    "agents": "Live agents",
    "delegations": "Delegations in force",
    "sessions": "Authority sessions",
    "agent_services": "Agent services",
    "gateway_bindings": "Gateway bindings",
    "resources": "Resources",
    "grants": "Grants in force",
    "provider_grants": "Connected accounts",
}


def impact(row: Model, ended: Ended, *, phrase: str = "") -> Impact:
    """What the end of ``row`` would end and break; the row itself is no effect."""
    own = type(row)._meta.db_table
    foreseen = usage.foreseen(row, ended)
    told = [(ENDS[part.kind], part) for part in foreseen.ends if part.kind != own]
    told += [(BREAKS.get(part.kind, USES[part.kind]), part) for part in foreseen.breaks]
    return Impact(
        [Affected(what, part.count, _links(part, row)) for what, part in told],
        phrase=phrase,
    )


def panel(row: Model) -> Table:
    """Everything that uses ``row``, kind by kind."""
    return Table(
        title="Used by",
        headings=("What", "How many, and the first of them"),
        rows=[
            (USES[part.kind], display.told(part.count, _links(part, row)))
            for part in usage.used_by(row)
            if part.count
        ],
        empty="Nothing uses it.",
    )


def _links(part: Part, row: Model) -> list[SafeString]:
    model = NAMES[part.kind][0]
    # A resource's binding is told by the application at its other end.
    if part.kind == "gateway_bindings" and isinstance(row, Resource):
        model = Application
    return [display.link_to(model, one.id, one.name) for one in part.first]
