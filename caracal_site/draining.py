"""A stop in two steps: first unready, so that nothing new is sent here, then gone.

The servers' own handlers of SIGTERM and SIGINT stop listening at once. They are put
behind one that makes ``/ready`` answer 503 and serves on for ``SHUTDOWN_DRAIN_MS``.
Servers install theirs after they have loaded the application, in the main thread; so
the first request is what sees to it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from django.conf import settings

from caracal_site import health

STOPS = (signal.SIGTERM, signal.SIGINT)
# Asks the main thread, which alone may install handlers, to do so.
WAKE = signal.SIGUSR1
Handler = Callable[[int, FrameType | None], Any]


class Drain:
    """The handlers of one process, put in place once."""

    def __init__(self) -> None:
        self.is_arranged = False
        self._lock = threading.Lock()
        self._is_draining = False

    def prepare(self) -> None:
        """For servers that serve from other threads: called in the main one, while the
        application is loaded."""
        signal.signal(WAKE, lambda _signum, _frame: self._put_in_place())

    def arrange(self) -> None:
        """Called with a request. Does nothing from the second time on."""
        with self._lock:
            if self.is_arranged:
                return
            self.is_arranged = True
        main = threading.main_thread()
        if threading.current_thread() is main:
            self._put_in_place()
        elif signal.getsignal(WAKE) not in (signal.SIG_DFL, signal.SIG_IGN, None):
            signal.pthread_kill(main.ident or 0, WAKE)

    def _put_in_place(self) -> None:
        for signum in STOPS:
            own = signal.getsignal(signum)
            if callable(own):
                signal.signal(signum, self._before(own))

    def _before(self, stop: Handler) -> Handler:
        def handle(signum: int, frame: FrameType | None) -> None:
            if self._is_draining:
                # A supervisor may tell it twice; a person who insists has it at once.
                if signum == signal.SIGINT:
                    stop(signum, frame)
                return
            self._is_draining = True
            health.begin_draining()
            seconds = settings.SHUTDOWN_DRAIN_MS / 1000
            timer = threading.Timer(seconds, stop, (signum, None))
            timer.daemon = True
            timer.start()

        return handle


drain = Drain()
