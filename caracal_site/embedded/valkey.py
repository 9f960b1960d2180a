"""A private Valkey on a Unix socket that only its owner can open."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import redis

from caracal_site.embedded import processes
from caracal_site.embedded.errors import while_trying_to
from caracal_site.embedded.programs import valkey_server
from caracal_site.embedded.server import Server, ServerLog

SOCKET = "valkey.sock"
SETTINGS = {
    "port": "0",
    "unixsocket": SOCKET,
    "unixsocketperm": "600",
    "dir": ".",
    "save": "",
    "appendfsync": "everysec",
    # Streams and queued jobs are not a cache: refuse a write rather than lose one.
    "maxmemory-policy": "noeviction",
    # Keeps the command line, which is what an orphan is found by.
    "set-proc-title": "no",
}


def url(directory: Path) -> str:
    return f"unix://{quote(str(directory / SOCKET))}"


def broker_url(directory: Path) -> str:
    """The same place in the words of Celery's transport."""
    return f"redis+socket://{quote(str(directory / SOCKET))}"


def start(
    directory: Path, *, socket_directory: Path, log: Path, durable: bool = True
) -> Server:
    """A server that answers, with its data in ``directory``.

    ``socket_directory`` is that directory under a name short enough for clients. The
    caller holds the data directory, so a server that still runs there is an orphan.
    """
    with while_trying_to(f"use the stream server's files in {directory}"):
        directory.mkdir(mode=0o700, exist_ok=True)
        pidfile = str(directory / "valkey.pid")
        processes.end(processes.with_argument(pidfile), within_seconds=5)
        server_log = ServerLog.opened(log)
        process = _launch(directory, pidfile, server_log, durable=durable)
    server = Server(
        name="Valkey",
        process=process,
        log=server_log,
        stop_steps=((signal.SIGTERM, 3.0), (signal.SIGKILL, 1.0)),
    )
    try:
        client = redis.Redis(unix_socket_path=str(socket_directory / SOCKET))
        with client:
            server.wait_until(lambda: _answers(client))
    except BaseException:
        server.stop()
        raise
    return server


def _launch(
    directory: Path, pidfile: str, log: ServerLog, *, durable: bool
) -> subprocess.Popen[bytes]:
    settings = SETTINGS | {
        "pidfile": pidfile,
        "appendonly": "yes" if durable else "no",
    }
    arguments = [
        part for name, value in settings.items() for part in (f"--{name}", value)
    ]
    with log.path.open("ab") as output:
        return subprocess.Popen(
            [valkey_server(), *arguments],
            cwd=directory,
            env={"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=processes.leash(signal.SIGTERM),
        )


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        # Not listening yet, or still loading its data.
        return False
