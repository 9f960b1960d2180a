"""From the definitions of all texts to one value per document.

The merge is the engine's: complete definitions must be equal, keyed ones unite by key,
elements unite. Where the engine would fail, or silently take one of two, this says
which definitions conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

from policies.examination.reading import Definition, Node, Place

RESULT = "result"
DOCUMENTS = ("app_ids", "grants", "confinement", "restrict", "risk", "approval_tiers")

# place, code, message, hint
Complain = Callable[[Place, str, str, str], None]


def assemble(definitions: Sequence[Definition], complain: Complain) -> dict[str, Node]:
    """The documents by name; what has a wrong name or conflicts is left out."""
    by_name: dict[str, list[Definition]] = {}
    for definition in definitions:
        if _is_known(definition, complain):
            by_name.setdefault(definition.name, []).append(definition)
    found = {}
    for name in DOCUMENTS:
        given = by_name.get(name, [])
        stated = [each for each in given if each.form != "default"]
        defaults = [each for each in given if each.form == "default"]
        _check_equal(defaults, complain)
        if stated or defaults:
            united = _united(stated or defaults[:1], complain)
            if united is not None:
                found[name] = united
    return found


def _is_known(definition: Definition, complain: Complain) -> bool:
    name = definition.name
    if name == RESULT:
        complain(
            definition.place,
            "data_document_must_not_define_result",
            "result is the platform's decision, which no policy may define",
            f"Define some of {', '.join(DOCUMENTS)}.",
        )
    elif name not in DOCUMENTS:
        complain(
            definition.place,
            "unknown_document",
            f"there is no document called {name}",
            did_you_mean(name, DOCUMENTS),
        )
    return name in DOCUMENTS


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The closest of the ``known`` words, or all of them."""
    close = get_close_matches(word.lower(), known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else f"Known are {', '.join(known)}."


def _united(given: list[Definition], complain: Complain) -> Node | None:
    """The value of one document, or None when it is defined in different ways."""
    first = given[0]
    for other in given[1:]:
        if other.form != first.form:
            _conflict(
                other,
                first,
                complain,
                "Write it in one way everywhere: entry by entry, or all of it once.",
            )
            return None
    if first.form == "element":
        return Node("set", first.place, items=tuple(each.value for each in given))
    if first.form == "key":
        return _by_key(given, complain)
    _check_equal(given, complain)
    return first.value


def _by_key(given: list[Definition], complain: Complain) -> Node:
    fields: dict[object, tuple[Node, Node]] = {}
    for definition in given:
        key = definition.key
        if key is None:
            continue
        kept = fields.setdefault(key.identity(), (key, definition.value))
        if kept[1].identity() != definition.value.identity():
            complain(
                definition.place,
                "conflicting_documents",
                f"{definition.name}[{key.value!r}] has another value {_at(kept[0])}",
                "Keep one of the two.",
            )
    return Node("object", given[0].place, fields=tuple(fields.values()))


def _check_equal(given: list[Definition], complain: Complain) -> None:
    for other in given[1:]:
        if other.value.identity() != given[0].value.identity():
            _conflict(
                other,
                given[0],
                complain,
                f'Unite them, or write entry by entry: `{other.name}["key"] := ...`.',
            )


def _conflict(
    definition: Definition, earlier: Definition, complain: Complain, hint: str
) -> None:
    complain(
        definition.place,
        "conflicting_documents",
        f"{definition.name} is defined differently {_at(earlier)}",
        hint,
    )


def _at(other: Node | Definition) -> str:
    """Where the other one is; the text's name is put in where it is known."""
    return f"in {{text-{other.place.text}}}, line {other.place.line}"
