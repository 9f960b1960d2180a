"""What validation finds: issues with their places, and what the documents say."""

from __future__ import annotations

from typing import Any

import msgspec

# What the contract has a code for comes first when one code must stand for all.
CONTRACT_CODES = frozenset(
    {
        "data_document_must_not_define_result",
        "data_document_must_define_data",
    }
)
# A text full of faults is told the first ones.
MAX_ISSUES = 50


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. ``line`` and ``column`` count from 1 and are 0 when it has no place;
    ``document`` names the text, in a set; ``hint`` says what to do."""

    line: int
    column: int
    code: str
    message: str
    hint: str = ""
    document: str = ""

    def __str__(self) -> str:
        """One sentence or two for people."""
        place = f"line {self.line}, column {self.column}" if self.line else ""
        where = ", ".join(part for part in (self.document, place) if part)
        said = f"{where}: {self.message}" if where else self.message
        if not self.document:
            said = f"{said[0].upper()}{said[1:]}"
        return f"{said}. {self.hint}".rstrip()


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a text defines (contract: policies-and-grants.md 2)."""

    package: str
    rules: list[str]
    default_result: bool = False
    decisions: list[str] = []
    inputs_referenced: list[str] = []
    data_referenced: list[str] = []


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a validation.

    ``data`` is what the documents say together, as plain JSON: what decisions are made
    from. It is None unless valid. Warnings refuse nothing.
    """

    issues: list[Issue] = []
    warnings: list[Issue] = []
    preview: Preview | None = None
    data: dict[str, Any] | None = None

    @property
    def is_valid(self) -> bool:
        return not self.issues

    @property
    def leading_issue(self) -> Issue:
        """The one to tell when only one can be told; there is one unless valid."""
        known = (issue for issue in self.issues if issue.code in CONTRACT_CODES)
        return next(known, self.issues[0])
