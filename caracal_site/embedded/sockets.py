"""Short names for socket paths, because a socket's path has room for ~100 bytes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caracal_site.embedded.errors import while_trying_to

# macOS has the lowest limit, 104 bytes with the final zero byte.
PATH_LIMIT_BYTES = 103
LONGEST_NAME = "postgres/.s.PGSQL.5432"
PREFIX = "caracal-sockets-"


@contextmanager
def short_path(directory: Path, *, earlier: str | None = None) -> Iterator[Path]:
    """``directory``, or while the context lasts a link to it that is short enough.

    ``earlier`` is what a run before got; if that ended without removing its link,
    the link is removed now.
    """
    if earlier and earlier != str(directory):
        _remove(Path(earlier).parent)
    if len(os.fsencode(directory / LONGEST_NAME)) <= PATH_LIMIT_BYTES:
        yield directory
        return
    with while_trying_to("make a short path to the data directory"):
        private = Path(tempfile.mkdtemp(prefix=PREFIX))
        link = private / "d"
        link.symlink_to(directory)
    try:
        yield link
    finally:
        _remove(private)


def _remove(private: Path) -> None:
    if private.name.startswith(PREFIX) and (private / "d").is_symlink():
        shutil.rmtree(private, ignore_errors=True)
