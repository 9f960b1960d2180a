"""Validation of policies: the way in for text that others wrote (D20).

``validate`` takes one text, ``validate_set`` all texts of a policy-set version, which
must agree with each other. Both read, evaluate and try them out in the sandbox. What is
valid cannot fail at run time, and ``Report.data`` is what decisions are then made from:
keep it with the version.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from policies import sandbox
from policies.examination import source
from policies.examination.report import Issue, Preview, Report

__all__ = ["Issue", "Preview", "Report", "validate", "validate_set"]

# Four of the longest texts; each gives the sandbox another two seconds.
MAX_SET_CHARACTERS = 4 * source.MAX_CHARACTERS
SECONDS_PER_TEXT = 2.0
REPORTS_KEPT = 64
CHARACTERS_KEPT = 65_536

_LIMITS = {
    sandbox.TimeExceeded: (
        "time_limit_exceeded",
        "reading and evaluating the text takes too long",
    ),
    sandbox.MemoryExceeded: (
        "memory_limit_exceeded",
        "reading and evaluating the text takes too much memory",
    ),
    sandbox.Crashed: (
        "too_complex",
        "the text is nested or chained too deeply for the policy engine",
    ),
}
_HINT = "Documents are plain data: a few levels of objects and lists."


def validate(text: str) -> Report:
    """The report on one policy's text, with a preview of what it defines.

    Raises sandbox.Busy when no place in the sandbox gets free.
    """
    return _report([""], [text], alone=True)


def validate_set(documents: Sequence[tuple[str, str]]) -> Report:
    """The report on all (name, text) of a set together; warnings tell what they name
    and do not have. Raises sandbox.Busy as ``validate`` does."""
    names, texts = [name for name, _ in documents], [text for _, text in documents]
    if sum(map(source.utf16_length, texts)) > MAX_SET_CHARACTERS:
        message = f"the texts have more than {MAX_SET_CHARACTERS} characters together"
        return _refusal("set_too_large", message, "")
    return _report(names, texts, alone=False)


def _report(names: list[str], texts: list[str], *, alone: bool) -> Report:
    for name, text in zip(names, texts, strict=True):
        try:
            source.check_characters(text)
        except source.Refused as refused:
            return Report(
                issues=[msgspec.structs.replace(refused.issue, document=name)]
            )
    key = _fingerprint(names, texts, alone=alone)
    known = _kept.get(key)
    if known is not None:
        return known
    characters = sum(map(len, texts))
    seconds = SECONDS_PER_TEXT * max(1, -(-characters // source.MAX_CHARACTERS))
    try:
        report = sandbox.run(names, texts, alone=alone, seconds=seconds)
    except sandbox.LimitExceeded as limit:
        code, message = _LIMITS[type(limit)]
        return _refusal(code, message, _HINT)
    if characters <= CHARACTERS_KEPT:
        _kept.put(key, report)
    return report


def _refusal(code: str, message: str, hint: str) -> Report:
    issue = Issue(line=0, column=0, code=code, message=message, hint=hint)
    return Report(issues=[issue])


def _fingerprint(names: list[str], texts: list[str], *, alone: bool) -> bytes:
    digest = hashlib.sha256(b"alone" if alone else b"set")
    for part in (*names, *texts):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()


class _Kept:
    """The last reports: the same text always gets the same, so saving, activating and
    going back to a version examine it once. Long texts and met limits are not kept."""

    def __init__(self) -> None:
        self._reports: OrderedDict[bytes, Report] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Report | None:
        with self._lock:
            if key in self._reports:
                self._reports.move_to_end(key)
            return self._reports.get(key)

    def put(self, key: bytes, report: Report) -> None:
        with self._lock:
            self._reports[key] = report
            while len(self._reports) > REPORTS_KEPT:
                self._reports.popitem(last=False)


_kept = _Kept()
