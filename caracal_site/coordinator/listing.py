"""Lists of the coordinator: ``{items, next_cursor}``, made by the database (D4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from caracal_site import cursors, statements
from caracal_site.actors import Actor

DEFAULT_LIMIT = 100
MAX_LIMIT = 500
WHERE = "/* where */"


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much of a list, and from where."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: (
        Annotated[str, Meta(min_length=1, max_length=cursors.MAX_LENGTH)] | UnsetType
    ) = UNSET

    def filters(self) -> dict[str, Any]:
        """The filters given, without the paging."""
        given = msgspec.structs.asdict(self)
        return {
            name: value
            for name, value in given.items()
            if name not in ("limit", "cursor") and value is not UNSET
        }


@dataclass(slots=True)
class Question:
    """A list as SQL: the statement, its parameters, and conditions on alias ``a``."""

    statement: str
    listing: str
    parameters: dict[str, object]
    conditions: list[str] = field(default_factory=list)


def page(
    actor: Actor,
    question: Question,
    query: PageQuery,
    *,
    refuse_dead: Callable[..., None],
    caller: Mapping[str, object],
) -> bytes:
    """One page as JSON. One row more than asked for is read, so ``next_cursor`` is
    null exactly on the last page."""
    bound_to = cursors.fingerprint(question.listing, query.filters())
    conditions: Sequence[str] = question.conditions
    parameters = {**question.parameters, **caller, "limit": query.limit}
    if query.cursor is not UNSET:
        position = cursors.decode(query.cursor, bound_to, timed=False)
        conditions = [*conditions, "a.id < %(before)s"]
        parameters["before"] = position.id
    extra = "".join(f" AND {condition}" for condition in conditions)
    zone_live, identity_live, agent_live, items, last_id, more = statements.fetch_text(
        statements.load(question.statement).replace(WHERE, extra), parameters
    )
    refuse_dead(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    following = "null"
    if more:
        following = f'"{cursors.encode(cursors.Position(str(last_id)), bound_to)}"'
    return f'{{"items":{items},"next_cursor":{following}}}'.encode()
