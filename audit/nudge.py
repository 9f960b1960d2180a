"""Waking the publisher: at most a few times a second from any one process.

A nudge only shortens the wait; the periodic sweep publishes what no nudge announced.
It is sent from a thread of its own, so that no request waits for the broker, and is
dropped when the broker is away.
"""

from __future__ import annotations

import logging
import threading
import time

from kombu.exceptions import OperationalError

INTERVAL_SECONDS = 0.2
TASK = "audit.tasks.publish_outbox"

log = logging.getLogger(__name__)
_wanted = threading.Event()
_starting = threading.Lock()
_thread: threading.Thread | None = None


def publisher() -> None:
    """Asks for a publisher run soon; returns at once."""
    _wanted.set()
    if _thread is None or not _thread.is_alive():
        _start()


def _start() -> None:
    global _thread
    with _starting:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_run, name="outbox-nudge", daemon=True)
            _thread.start()


def _run() -> None:
    from celery import current_app

    while True:
        _wanted.wait()
        _wanted.clear()
        try:
            current_app.send_task(TASK, retry=False, ignore_result=True)
        except (OperationalError, OSError):
            log.info("broker away; the sweep will publish")
        time.sleep(INTERVAL_SECONDS)
