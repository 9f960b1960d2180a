"""Work that may hang, without whoever asks for it hanging along."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from django.db import connection

T = TypeVar("T")


class SharedRun(Generic[T]):
    """Runs ``work`` in a thread of its own.

    Who asks while a run is under way shares it, so however many ask of a store that
    does not answer, one thread waits for it.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self._lock = threading.Lock()
        self._run: Future[T] | None = None

    def begin(self) -> Future[T]:
        """The run under way, or a new one."""
        with self._lock:
            if self._run is None or self._run.done():
                self._run = Future()
                threading.Thread(
                    target=self._carry_out, args=(self._run,), daemon=True
                ).start()
            return self._run

    def _carry_out(self, run: Future[T]) -> None:
        try:
            run.set_result(self.work())
        except BaseException as error:  # noqa: BLE001 - handed to those who wait
            run.set_exception(error)
        finally:
            connection.close()
