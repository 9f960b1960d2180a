"""Data documents to start from (contract: policies-and-grants.md 5)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "data_documents"


@dataclass(frozen=True, slots=True)
class Template:
    """A data document with a name and what it is for."""

    id: str
    name: str
    description: str

    @property
    def content(self) -> str:
        """The document's Rego source."""
        return _source(self.id)


@cache
def _source(template_id: str) -> str:
    return (FOLDER / f"{template_id}.rego").read_text(encoding="utf-8")


TEMPLATES = (
    Template(
        "application-bindings",
        "Application Bindings",
        "Gives applications the keys by which grants name them.",
    ),
    Template(
        "resource-grants",
        "Resource Grants",
        "Says which application owns a resource and what each role may do on it.",
    ),
    Template(
        "label-confinement",
        "Label Confinement",
        "Caps agents whose label has a given prefix to a few scopes.",
    ),
    Template(
        "zone-restriction",
        "Zone Restriction",
        "Stops every decision of a zone while it has an entry.",
    ),
)
