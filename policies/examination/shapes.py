"""The shape of each document (contract: policies-and-grants.md 8.3).

Strict on purpose: what is misspelt or of the wrong type would otherwise be ignored by
the decision, and a freeze, a cap or a gate would not exist although its author believes
that it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from policies.examination.assembly import Complain, did_you_mean
from policies.examination.reading import Node

# Decisions look at all entries of these; see documents.py.
MAX_ENTRIES = 1_000
_ARTICLES = {"object": "an object", "array": "a list", "null": "nothing"}
_LISTS = ("array", "set")
_COLLECTIONS = ("array", "set", "object")


def check_shapes(documents: Mapping[str, Node], complain: Complain) -> None:
    """Complains about everything in ``documents`` that the decision cannot mean."""
    shapes = _Shapes(complain)
    for name, node in documents.items():
        shapes.check(name, node)


class _Shapes:
    def __init__(self, complain: Complain) -> None:
        self._complain = complain
        self._checks: Mapping[str, Callable[[Node], None]] = {
            "app_ids": self._app_ids,
            "grants": self._grants,
            "confinement": self._confinement,
            "restrict": self._restrict,
            "risk": self._risk,
            "approval_tiers": self._approval_tiers,
        }

    def check(self, name: str, node: Node) -> None:
        self._keys_once(node)
        self._checks[name](node)

    def _wrong(self, node: Node, what: str, wanted: str) -> None:
        kind = _ARTICLES.get(node.kind, f"a {node.kind}")
        message = f"{what} must be {wanted}, and this is {kind}"
        self._complain(node.place, "wrong_shape", message, "")

    def _keys_once(self, node: Node) -> None:
        """Every key is a string and stands once: the engine would take the last."""
        seen = set()
        for key, value in node:
            if key.kind != "string":
                self._wrong(key, "a key", "a string")
            elif key.value in seen:
                message = f"the key {key.value!r} stands here a second time"
                hint = "Keep one of the two."
                self._complain(key.place, "duplicate_key", message, hint)
            seen.add(key.value)
            self._keys_once(value)
        for item in node.items:
            self._keys_once(item)

    def _text(self, node: Node, what: str, *, empty: bool = False) -> bool:
        if node.kind != "string":
            self._wrong(node, what, "a string")
            return False
        if not empty and not node.value.strip():
            self._complain(node.place, "wrong_shape", f"{what} is empty", "")
            return False
        return True

    def _members(
        self,
        node: Node,
        what: str,
        required: tuple[str, ...],
        optional: tuple[str, ...] = (),
    ) -> dict[str, Node]:
        """The members of an object that has no others."""
        if node.kind != "object":
            self._wrong(node, what, "an object")
            return {}
        known = (*required, *optional)
        found = {}
        for key, value in node:
            if key.value in known:
                found[key.value] = value
            elif key.kind == "string":
                message = f"{what} has no member {key.value!r}"
                hint = did_you_mean(key.value, known)
                self._complain(key.place, "unknown_field", message, hint)
        for name in required:
            if name not in found:
                message = f"{what} lacks {name}"
                self._complain(node.place, "wrong_shape", message, "")
        return found

    def _entries(self, node: Node, what: str, kinds: tuple[str, ...]) -> list[Node]:
        if node.kind not in kinds:
            self._wrong(node, what, "a list")
            return []
        entries = [*node.items, *(value for _, value in node)]
        if len(entries) > MAX_ENTRIES:
            message = f"{what} has more than {MAX_ENTRIES} entries"
            self._complain(node.place, "too_many_entries", message, "")
        return entries

    def _scope(self, node: Node, what: str) -> None:
        if self._text(node, what) and len(node.value.split()) != 1:
            message = f"{what} contains white space, which no scope has"
            hint = "Write each scope as a string of its own."
            self._complain(node.place, "wrong_shape", message, hint)

    def _scopes(self, node: Node, what: str) -> None:
        for scope in self._entries(node, what, _LISTS):
            self._scope(scope, f"a scope of {what}")

    def _app_ids(self, node: Node) -> None:
        if node.kind != "object":
            self._wrong(node, "app_ids", "an object from key to application id")
        keys: dict[str, str] = {}
        for key, value in node:
            self._text(key, "a key of app_ids")
            if not self._text(value, f"app_ids[{key.value!r}]"):
                continue
            first = keys.setdefault(value.value, key.value)
            if first != key.value:
                self._complain(
                    key.place,
                    "ambiguous_application",
                    f"the application {value.value} is already called {first!r}",
                    "Give each application one key.",
                )

    def _grants(self, node: Node) -> None:
        if node.kind != "object":
            self._wrong(node, "grants", "an object from resource identifier to grant")
        for key, view in node:
            self._text(key, "a resource identifier in grants")
            what = f"grants[{key.value!r}]"
            members = self._members(view, what, ("application",), ("roles",))
            if "application" in members:
                self._text(members["application"], f"application of {what}")
            if "roles" in members:
                self._roles(members["roles"], f"roles of {what}")

    def _roles(self, node: Node, what: str) -> None:
        if node.kind != "object":
            self._wrong(node, what, "an object from role to a list of scopes")
        for role, scopes in node:
            self._text(role, f"a role among the {what}")
            self._scopes(scopes, f"the role {role.value!r}")

    def _confinement(self, node: Node) -> None:
        for rule in self._entries(node, "confinement", _COLLECTIONS):
            what = "a rule of confinement"
            members = self._members(rule, what, ("label_prefix", "scopes"))
            if "label_prefix" in members:
                self._text(members["label_prefix"], "label_prefix", empty=True)
            if "scopes" in members:
                self._scopes(members["scopes"], "scopes")

    def _restrict(self, node: Node) -> None:
        self._entries(node, "restrict", _COLLECTIONS)

    def _risk(self, node: Node) -> None:
        tiers: dict[str, str] = {}
        for rule in self._entries(node, "risk", _COLLECTIONS):
            members = self._members(rule, "a rule of risk", ("scope", "tier"))
            for name, member in members.items():
                check = self._scope if name == "scope" else self._text
                check(member, name)
            if {"string"} != {each.kind for each in members.values()}:
                continue
            if set(members) != {"scope", "tier"}:
                continue
            scope, tier = members["scope"].value, members["tier"].value
            if tiers.setdefault(scope, tier) != tier:
                self._complain(
                    rule.place,
                    "ambiguous_tier",
                    f"the scope {scope} already has the tier {tiers[scope]!r}",
                    "Give each scope one tier.",
                )

    def _approval_tiers(self, node: Node) -> None:
        for tier in self._entries(node, "approval_tiers", _LISTS):
            self._text(tier, "a tier of approval_tiers")
