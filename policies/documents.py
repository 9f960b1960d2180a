"""Data documents ready for decisions.

``Compiled`` holds the merged documents of one policy-set version as plain data and
hands the engine only what can bear on a request: an index, never a judgement. What a
decision costs therefore does not grow with the documents. It is immutable and shared
by all threads.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

# One entry stops everything: more say nothing more.
RESTRICTIONS_SHOWN = 10


class Compiled:
    """The merged documents of a policy-set version, indexed."""

    __slots__ = (
        "_applications",
        "_confinement",
        "_documents",
        "_grants",
        "_odd",
        "_restrict",
        "_risk",
        "size",
    )

    def __init__(self, documents: Mapping[str, Any]) -> None:
        self.size = len(orjson.dumps(documents))
        self._documents = documents
        self._grants = _object(documents.get("grants"))
        self._applications = _by_id(_object(documents.get("app_ids")))
        self._confinement, self._odd = _by_prefix(_values(documents.get("confinement")))
        self._risk = _by_scope(_values(documents.get("risk")))
        self._restrict = _restrictions(documents.get("restrict"))

    def bearing_on(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The documents as far as ``request`` can meet them."""
        principal, context = request["principal"], request["context"]
        labels = principal.get("labels") or ()
        found: dict[str, Any] = {
            "app_ids": self._applications.get(principal["id"], {}),
            "confinement": self._confining(labels),
            "restrict": self._restrict,
        }
        identifier = request["resource"]["identifier"]
        if identifier in self._grants:
            view = _narrowed(self._grants[identifier], labels)
            found["grants"] = {identifier: view}
        scopes = dict.fromkeys(context["requested_scopes"] or ())
        risk = {scope: self._risk[scope] for scope in scopes if scope in self._risk}
        if risk:
            found["risk"] = risk
            found["approval_tiers"] = _values(self._documents.get("approval_tiers"))
        return found

    def _confining(self, labels: Sequence[str]) -> list[Any]:
        """The rules whose prefix one of ``labels`` has, and those without a prefix."""
        prefixes = {
            label[:length] for label in labels for length in range(len(label) + 1)
        }
        if len(prefixes) < len(self._confinement):
            met = [p for p in prefixes if p in self._confinement]
        else:
            met = [p for p in self._confinement if p in prefixes]
        return [*self._odd, *(self._confinement[prefix] for prefix in sorted(met))]


def _narrowed(view: Any, labels: Any) -> Any:
    """The view with the roles that ``labels`` name."""
    if not isinstance(view, dict) or not isinstance(view.get("roles"), dict):
        return view
    roles = view["roles"]
    return {**view, "roles": {name: roles[name] for name in labels if name in roles}}


def _object(document: Any) -> dict[str, Any]:
    return document if isinstance(document, dict) else {}


def _values(document: Any) -> list[Any]:
    """The entries of a document that may be a list or an object."""
    if isinstance(document, dict):
        return list(document.values())
    return document if isinstance(document, list) else []


def _restrictions(document: Any) -> list[Any]:
    """The first entries; what is no collection restricts, rather than nothing."""
    if document is None or isinstance(document, dict | list):
        return _values(document)[:RESTRICTIONS_SHOWN]
    return [document]


def _by_id(app_ids: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for key, application_id in app_ids.items():
        if isinstance(application_id, str):
            found.setdefault(application_id, {})[key] = application_id
    return found


def _by_prefix(rules: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    """One rule for each prefix, and the rules without one.

    All rules that meet a label apply, so what rules of one prefix cap together is what
    they have in common.
    """
    found: dict[str, Any] = {}
    odd: list[Any] = []
    for rule in rules:
        prefix = rule.get("label_prefix") if isinstance(rule, dict) else None
        if not isinstance(prefix, str) or not isinstance(rule.get("scopes"), list):
            odd.append(rule)
        elif prefix in found:
            others = {scope for scope in rule["scopes"] if isinstance(scope, str)}
            mine = (s for s in found[prefix]["scopes"] if isinstance(s, str))
            common = [scope for scope in mine if scope in others]
            found[prefix] = {"label_prefix": prefix, "scopes": common}
        else:
            found[prefix] = rule
    return found, odd


def _by_scope(risk: list[Any]) -> dict[str, list[Any]]:
    """The rules of each scope, the same rule once."""
    found: dict[str, list[Any]] = {}
    for rule in risk:
        if isinstance(rule, dict) and isinstance(rule.get("scope"), str):
            rules = found.setdefault(rule["scope"], [])
            if rule not in rules:
                rules.append(rule)
    return found


class Cache:
    """The compiled versions used last, bounded by their number and their size.

    A version never changes, so neither does what is cached of it. Two threads that
    miss at once both compile, and keep the same.
    """

    def __init__(self, *, entries: int, characters: int) -> None:
        self._entries, self._characters = entries, characters
        self._kept: OrderedDict[str, Compiled] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, version_id: str, load: Callable[[], Mapping[str, Any]]) -> Compiled:
        """The compiled version; ``load`` gives its merged documents on a miss."""
        with self._lock:
            if version_id in self._kept:
                self._kept.move_to_end(version_id)
                return self._kept[version_id]
        made = Compiled(load())
        with self._lock:
            if version_id not in self._kept:
                self._kept[version_id] = made
                self._size += made.size
                self._shrink()
        return made

    def _shrink(self) -> None:
        while len(self._kept) > 1 and (
            len(self._kept) > self._entries or self._size > self._characters
        ):
            _, dropped = self._kept.popitem(last=False)
            self._size -= dropped.size

    def __len__(self) -> int:
        return len(self._kept)


# In memory a version takes some seven times its characters.
CACHE = Cache(entries=512, characters=8_000_000)


def compiled(version_id: str, load: Callable[[], Mapping[str, Any]]) -> Compiled:
    """The documents of a policy-set version, ready for ``engine.evaluate``."""
    return CACHE.get(version_id, load)
