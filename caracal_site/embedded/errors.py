"""Why something cannot start, said to the operator in one sentence."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# PostgreSQL cannot go on without room for another 16 MB segment of its log.
FULL_BELOW_BYTES = 20_000_000


class CannotStart(Exception):
    """A start that cannot go on; the message is one sentence for the operator."""


def reason(error: OSError) -> str:
    """The operating system's reason, fit for the middle of a sentence."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def disk_is_full(directory: Path) -> bool:
    """Whether too little room explains what a server says about its files."""
    try:
        return shutil.disk_usage(directory).free < FULL_BELOW_BYTES
    except OSError:
        return False


@contextmanager
def while_trying_to(do_something: str) -> Iterator[None]:
    """Turns the operating system's refusals into ``Cannot <do something>: ...``."""
    try:
        yield
    except OSError as error:
        raise CannotStart(f"Cannot {do_something}: {reason(error)}.") from error
