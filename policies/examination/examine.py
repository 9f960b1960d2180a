"""Everything validation does with texts; it runs in the sandbox.

Text, syntax tree, names and conflicts, shapes, evaluation by the engine, decisions for
trial: each step sees only what the steps before accept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from policies import engine
from policies.examination import source, trial
from policies.examination.assembly import DOCUMENTS, assemble, did_you_mean
from policies.examination.reading import Definition, Node, Place, Reading, read
from policies.examination.report import MAX_ISSUES, Issue, Preview, Report
from policies.examination.shapes import check_shapes

HINTS = (
    ("unexpected keyword `package`", "A text has one package line, above all else."),
    ("must have a body or assignment", "Write `name := value`; text stands in quotes."),
    ("`if` keyword", "Documents are plain data and have no conditions."),
    ("shadows previous import", "Leave out the second import."),
    ("cannot be shadowed", f"Documents are called {', '.join(DOCUMENTS)}."),
    ("expecting `}`", "A comma or a closing bracket is missing before this."),
    ("expecting `]`", "A comma or a closing bracket is missing before this."),
    ("invalid escape", "Write a backslash twice, or the string in backticks."),
)
PLAIN_HINT = "A document is written like `grants := {...}`; see the policy templates."


def examine(names: Sequence[str], texts: Sequence[str], *, alone: bool) -> Report:
    """The report on ``texts``, which ``names`` name in issues. ``alone`` is one text
    that is not known to be a whole set."""
    examination = _Examination(names, texts)
    examination.read()
    documents = examination.assemble()
    if examination.issues:
        return Report(issues=examination.issues[:MAX_ISSUES])
    data = examination.evaluate()
    if examination.issues:
        return Report(issues=examination.issues)
    return Report(
        data=data,
        preview=_preview(examination.definitions) if alone else None,
        warnings=[] if alone else examination.loose_ends(documents),
    )


def _preview(definitions: Sequence[Definition]) -> Preview:
    rules = sorted({definition.name for definition in definitions})
    return Preview(package=source.PACKAGE, rules=rules)


class _Examination:
    def __init__(self, names: Sequence[str], texts: Sequence[str]) -> None:
        self.names, self.texts = names, texts
        self.issues: list[Issue] = []
        self.definitions: list[Definition] = []
        self.parsed: list[engine.Parsed] = []

    def read(self) -> None:
        for index, text in enumerate(self.texts):
            try:
                source.check(text)
                parsed = engine.Parsed(text)
                reading = read(text, parsed.tree(), index)
            except source.Refused as refused:
                self._add(index, refused.issue)
            except engine.EngineFault as fault:
                self._add_fault(index, fault, "syntax_error")
            except RecursionError:
                self._add(index, too_complex())
            else:
                self.parsed.append(parsed)
                self._take(reading)

    def _take(self, reading: Reading) -> None:
        for issue in reading.issues:
            self._add(reading.index, issue)
        self.definitions += reading.definitions
        if not reading.definitions and not reading.issues:
            place = Place(reading.index, 1, 1)
            hint = f"Define some of {', '.join(DOCUMENTS)}."
            message = "the text defines no document"
            self._complain(place, "data_document_must_define_data", message, hint)

    def assemble(self) -> dict[str, Node]:
        documents = assemble(self.definitions, self._complain)
        check_shapes(documents, self._complain)
        return documents

    def evaluate(self) -> dict[str, Any] | None:
        """The documents as the engine has them."""
        try:
            data = engine.merged(self.parsed)
        except engine.EngineFault as fault:
            self._add_fault(fault.text, fault, "evaluation_failed")
            return None
        reason = trial.failure(data)
        if reason is not None:
            self._complain(Place(0, 1, 1), "evaluation_failed", reason, "")
        return data

    def loose_ends(self, documents: Mapping[str, Node]) -> list[Issue]:
        """What a whole set names and does not have; none of it is an error."""
        before, self.issues = self.issues, []
        keys = [key.value for key, _ in documents.get("app_ids", ())]
        for _, view in documents.get("grants", ()):
            owner = next(value for key, value in view if key.value == "application")
            if owner.value not in keys:
                message = f"no document app_ids has the application {owner.value!r}"
                hint = did_you_mean(owner.value, keys) if keys else ""
                self._complain(owner.place, "unknown_application", message, hint)
        self._check_tiers(documents)
        found, self.issues = self.issues[:MAX_ISSUES], before
        return found

    def _check_tiers(self, documents: Mapping[str, Node]) -> None:
        tiers = set()
        for rule in _entries(documents.get("risk")):
            tiers |= {value.value for key, value in rule if key.value == "tier"}
        for tier in _entries(documents.get("approval_tiers")):
            if tier.value not in tiers:
                message = f"no rule of risk gives the tier {tier.value!r}"
                self._complain(tier.place, "unknown_tier", message, "")

    def _complain(self, place: Place, code: str, message: str, hint: str) -> None:
        if len(self.issues) >= MAX_ISSUES:
            return
        text = self.texts[place.text]
        issue = Issue(
            line=place.line,
            column=engine.shown_column(text, place.line, place.column),
            code=code,
            message=self._named(message, place.text),
            hint=hint,
        )
        self._add(place.text, issue)

    def _named(self, message: str, here: int) -> str:
        """``message`` with the names of the other texts it tells about."""
        for index, name in enumerate(self.names):
            other = f"in {name}, line" if index != here and name else "in line"
            message = message.replace(f"in {{text-{index}}}, line", other)
        return message

    def _add(self, index: int, issue: Issue) -> None:
        self.issues.append(msgspec.structs.replace(issue, document=self.names[index]))

    def _add_fault(self, index: int, fault: engine.EngineFault, code: str) -> None:
        hint = next((h for words, h in HINTS if words in fault.message), PLAIN_HINT)
        issue = Issue(
            line=fault.line,
            column=fault.column,
            code=code,
            message=fault.message.rstrip("."),
            hint=hint,
        )
        self._add(index, issue)


def _entries(node: Node | None) -> list[Node]:
    if node is None:
        return []
    return [*node.items, *(value for _, value in node)]


def too_complex() -> Issue:
    """For texts that are too much for the engine's parser."""
    return Issue(
        line=0,
        column=0,
        code="too_complex",
        message="the text is nested or chained too deeply for the policy engine",
        hint="Documents are plain data: a few levels of objects and lists.",
    )
