"""From the engine's syntax tree to plain data with places.

Documents are data: a name, and a value written out. Whatever computes (references,
calls, conditions, comprehensions, functions, operators, imports) is refused here, so
that nothing a tenant writes is ever run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from policies import engine
from policies.examination.report import MAX_ISSUES, Issue

Kind = Literal["object", "array", "set", "string", "number", "boolean", "null"]
ALLOWED_IMPORTS = re.compile(r"rego\.v1|future\.keywords(\.\w+)?")
_SCALARS: dict[str, Kind] = {
    "String": "string",
    "RawString": "string",
    "Number": "number",
    "Bool": "boolean",
    "Null": "null",
}
_SEQUENCES: dict[str, Kind] = {"Array": "array", "Set": "set"}
_WHAT = {
    "Var": "a reference to something else",
    "RefDot": "a reference to something else",
    "RefBrack": "a reference to something else",
    "Call": "a call of a function",
    "ArrayCompr": "a comprehension",
    "SetCompr": "a comprehension",
    "ObjectCompr": "a comprehension",
}
_NUL = ("this string has a NUL character", "wrong_shape", "Leave out `\\u0000`.")
PLAIN = "Documents are plain data: write the value itself."


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: the index of its text, and the engine's position."""

    text: int
    line: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value that is written out. An object has ``fields``, an array or a set
    ``items``, everything else a ``value``."""

    kind: Kind
    place: Place
    value: Any = None
    items: tuple[Node, ...] = ()
    fields: tuple[tuple[Node, Node], ...] = ()

    def identity(self) -> Any:
        """Equal for equal values, whatever their place or the order of members."""
        match self.kind:
            case "object":
                pairs = ((key.identity(), value.identity()) for key, value in self)
                return (self.kind, frozenset(pairs))
            case "set":
                return (self.kind, frozenset(item.identity() for item in self.items))
            case "array":
                return (self.kind, tuple(item.identity() for item in self.items))
        return (self.kind, self.value)

    def __iter__(self) -> Iterator[tuple[Node, Node]]:
        return iter(self.fields)


@dataclass(frozen=True, slots=True)
class Definition:
    """One rule of a text: all of a document, one ``key`` of it, an element of it
    (``form`` "element"), or what it is by default."""

    name: str
    form: Literal["whole", "key", "element", "default"]
    value: Node
    place: Place
    key: Node | None = None


class _NotData(Exception):
    def __init__(self, span: Any, what: str, code: str, hint: str) -> None:
        super().__init__(what)
        self.span, self.what, self.code, self.hint = span, what, code, hint


@dataclass(slots=True)
class Reading:
    """What was read of one text."""

    text: str
    index: int = 0
    definitions: list[Definition] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    def complain(self, place: Place, code: str, message: str, hint: str) -> None:
        if len(self.issues) >= MAX_ISSUES:
            return
        column = engine.shown_column(self.text, place.line, place.column)
        self.issues.append(
            Issue(
                line=place.line,
                column=column,
                code=code,
                message=message,
                hint=hint,
            )
        )


def read(text: str, tree: dict[str, Any], index: int = 0) -> Reading:
    """The definitions of ``text``, and an issue for each rule that is no data."""
    reading = Reading(text, index)
    for statement in tree["imports"]:
        _attempt(reading, _check_import, statement)
    for rule in tree["rules"]:
        _attempt(reading, _definition, rule)
    return reading


def _attempt(reading: Reading, step: Any, part: dict[str, Any]) -> None:
    try:
        found = step(part, reading.index)
    except _NotData as refused:
        place = _place(refused.span, reading.index)
        reading.complain(place, refused.code, refused.what, refused.hint)
    else:
        if found is not None:
            reading.definitions.append(found)


def _check_import(statement: dict[str, Any], _: int) -> None:
    path = ".".join(_dotted(statement["refr"]))
    if not ALLOWED_IMPORTS.fullmatch(path):
        raise _NotData(
            statement["span"],
            f"documents import nothing, and this imports {path}",
            "import_not_allowed",
            "Only `import rego.v1` may stand here.",
        )


def _dotted(refr: dict[str, Any]) -> list[str]:
    (kind, inner), *_ = refr.items()
    if kind == "Var":
        return [inner["value"]]
    if kind == "RefDot":
        return [*_dotted(inner["refr"]), inner["field"][1]]
    return ["?"]


def _definition(rule: dict[str, Any], text: int) -> Definition:
    (kind, inner), *_ = rule.items()
    if kind == "Default":
        name, key, place = _head(inner["refr"], inner["span"], text)
        if inner["args"] or key is not None:
            raise _computed(inner["span"], "a function")
        return Definition(name, "default", _node(inner["value"], text), place)
    if inner["bodies"]:
        raise _computed(inner["span"], "a rule with a condition")
    (form, head), *_ = inner["head"].items()
    if form == "Func":
        raise _computed(inner["span"], "a function")
    name, key, place = _head(head["refr"], inner["span"], text)
    if form == "Set":
        if key is not None:
            raise _too_deep(inner["span"], name)
        return Definition(name, "element", _node(head["key"], text), place)
    if head["assign"] is None:
        raise _computed(inner["span"], "a rule without a value")
    value = _node(head["assign"]["value"], text)
    return Definition(name, "key" if key else "whole", value, place, key)


def _head(refr: dict[str, Any], span: Any, text: int) -> tuple[str, Node | None, Place]:
    """The name that a rule defines, and the key of it, if it defines only that."""
    (kind, inner), *_ = refr.items()
    if kind == "Var":
        return inner["value"], None, _place(inner["span"], text)
    name, deeper, place = _head(inner["refr"], span, text)
    if deeper is not None:
        raise _too_deep(span, name)
    if kind == "RefDot":
        where, word = inner["field"]
        return name, Node("string", _place(where, text), word), place
    return name, _node(inner["index"], text), place


def _node(expression: dict[str, Any], text: int) -> Node:
    (kind, inner), *_ = expression.items()
    place = _place(inner["span"], text, quoted=kind in ("String", "RawString"))
    if kind in _SCALARS:
        if "\0" in str(inner["value"]):
            raise _NotData(inner["span"], *_NUL)
        return Node(_SCALARS[kind], place, inner["value"])
    if kind in _SEQUENCES:
        items = tuple(_node(item, text) for item in inner["items"])
        return Node(_SEQUENCES[kind], place, items=items)
    if kind == "Object":
        fields: list[Any] = inner["fields"]
        pairs = ((_node(key, text), _node(value, text)) for _, key, value in fields)
        return Node("object", place, fields=tuple(pairs))
    raise _computed(inner["span"], _WHAT.get(kind, "an expression"))


def _computed(span: Any, what: str) -> _NotData:
    return _NotData(span, f"this is {what}, not data", "must_be_plain_data", PLAIN)


def _too_deep(span: Any, name: str) -> _NotData:
    return _NotData(
        span,
        f"this defines a part of an entry of {name}",
        "must_be_plain_data",
        f'Write the whole entry: `{name}["key"] := value`.',
    )


def _place(span: Any, text: int, *, quoted: bool = False) -> Place:
    """The engine puts a string behind its quote."""
    return Place(text, span["line"], max(1, span["col"] - quoted))
