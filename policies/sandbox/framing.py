"""What goes over the pipes of the sandbox, as JSON behind its length."""

from __future__ import annotations

import msgspec

from policies.examination.report import Report

# Bytes of the length before each message.
HEADER = 4


class Job(msgspec.Struct, kw_only=True):
    """Texts to examine, and how much processor time that may take."""

    names: list[str]
    texts: list[str]
    alone: bool
    seconds: float


class Outcome(msgspec.Struct, kw_only=True):
    """The report, unless memory did not suffice."""

    report: Report | None = None
    out_of_memory: bool = False
