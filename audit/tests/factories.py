"""Evidence made for tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from socket import socket
from typing import Any, ClassVar

import redis
from django.db import transaction

from audit.events import Event, News
from audit.models import OutboxEvent
from audit.record import record
from caracal_site import context, stores
from caracal_site.actors import system
from caracal_site.embedded.programs import valkey_server

ACTOR = system("tests")


@dataclass(frozen=True, kw_only=True)
class Happened(Event):
    """Something that tests say happened."""

    name: ClassVar[str] = "test.happened"
    entity_type: ClassVar[str] = "tests"
    sentence: ClassVar[str] = "A test happened."

    topic: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    producer: str = "coordinator"

    def summary(self) -> dict[str, Any]:
        return {"z": 1, "a": {"y": "é", "b": [2, 1]}}

    def news(self) -> list[News]:
        if not self.topic:
            return []
        return [News(self.topic, self.payload, self.producer, f"{self.entity_id}:1")]


def happen(
    zone_id: str | None, *, topic: str = "", times: int = 1, **more: Any
) -> None:
    """Leaves the evidence of ``times`` changes, each in a transaction of its own."""
    for nth in range(times):
        with context.job("tests"), transaction.atomic():
            record(
                ACTOR,
                Happened(zone_id=zone_id, entity_id=f"e{nth}", topic=topic, **more),
            )


def queue(zone_id: str, topic: str, *payloads: Any, **fields: Any) -> list[OutboxEvent]:
    """Puts rows into the outbox of a zone, in order."""
    return [
        OutboxEvent.objects.create(
            zone_id=zone_id,
            topic=topic,
            producer="coordinator",
            payload_json=payload,
            **fields,
        )
        for payload in payloads
    ]


def entries(client: redis.Redis, stream: str) -> list[dict[str, str]]:
    """What a stream holds, oldest first."""
    found: Any = client.xrange(stream)
    return [
        {name.decode(): value.decode() for name, value in fields.items()}
        for _, fields in found
    ]


class PrivateValkey:
    """A Valkey of one test, which the test may stop and start again."""

    def __init__(self) -> None:
        with closing(socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.client = stores.connect(f"redis://127.0.0.1:{self.port}/0")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            [valkey_server(), *arguments], stdout=subprocess.DEVNULL
        )
        patient = redis.Redis(
            port=self.port,
            retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 200),
        )
        with patient:
            patient.ping()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.client.connection_pool.disconnect()


@contextmanager
def private_valkey() -> Iterator[PrivateValkey]:
    server = PrivateValkey()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        server.client.close()
