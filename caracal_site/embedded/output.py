"""Standard output that nobody has to read to its end.

Whoever ran ``up | head`` wanted to see the beginning, not to end the platform: what
is written once the reader is gone is dropped, in every thread, and nobody is told.
"""

from __future__ import annotations

import errno
import io
import sys
from typing import Any, TextIO

# A pipe without a reader; a terminal that is no more.
GONE = (errno.EPIPE, errno.EIO)


def outlive_readers() -> None:
    """Makes standard output and standard error of this process go on without one."""
    sys.stdout = _lasting(sys.stdout)
    sys.stderr = _lasting(sys.stderr)


def _lasting(stream: TextIO) -> TextIO:
    stream.flush()
    file = _Lasting(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=True,
    )


class _Lasting(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in GONE:
                raise
            return memoryview(data).nbytes
