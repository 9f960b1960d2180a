"""The audit timeline, as the console shows it.

Evidence belongs to the audit app, which the kernel does not import: its ``admin``
module says here how to read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from django.db.models import Model, QuerySet
from django.utils.safestring import SafeString

from caracal_site.console import display


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: what happened, to what, by whom and why. ``url`` is its own page."""

    at: datetime
    sentence: str
    actor: str
    reason: str
    refused: bool
    url: str
    about: SafeString | str

    @property
    def near(self) -> SafeString:
        return display.moment(self.at)

    @property
    def exact(self) -> SafeString:
        return display.moment(self.at, exact=True)


class Reader(Protocol):
    """What the audit app provides."""

    def about(self, entity_ids: Sequence[str]) -> QuerySet[Model]:
        """The rows about these things, newest first."""

    def latest(self, count: int) -> Sequence[Model]:
        """The newest rows of all."""

    def entry(self, row: Model) -> Entry:
        """A row as a line of the timeline."""


_readers: list[Reader] = []


def read_by(reader: Reader) -> None:
    """Declares who reads the evidence."""
    _readers[:] = [reader]


def reader() -> Reader:
    return _readers[0]
