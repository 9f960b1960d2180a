"""Structured JSON logs, one object a line, secrets redacted."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from django.conf import settings

from caracal_site import context, log_counts

REDACTED = "[redacted]"
SECRET_NAMES = frozenset(
    [
        *("password", "passwd", "secret", "client_secret", "private_key", "assertion"),
        *("token", "access_token", "refresh_token", "id_token", "api_key", "apikey"),
        *("authorization", "cookie", "set_cookie", "set-cookie"),
        *("session", "session_id"),
    ]
)
# Bearer tokens, JWTs and the platform's own credential prefixes, wherever they stand.
SECRET_TEXT = re.compile(
    r"(Bearer\s+)[^\s\"',]+|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
    r"|\b(?:cat|cop|cs)_[A-Za-z0-9_-]{16,}"
)


def _may_hold_secret(text: str) -> bool:
    """Whether SECRET_TEXT may match: most texts hold no word of it, which is told in a
    fraction of the time."""
    return (
        "Bearer" in text
        or "eyJ" in text
        or "cat_" in text
        or "cop_" in text
        or "cs_" in text
    )


def redact(value: Any) -> Any:
    """``value`` with every secret-named member and credential-like text replaced."""
    if isinstance(value, str):
        if _may_hold_secret(value):
            return SECRET_TEXT.sub(lambda match: (match[1] or "") + REDACTED, value)
        return value
    if isinstance(value, dict):
        return {
            key: REDACTED if str(key).lower() in SECRET_NAMES else redact(member)
            for key, member in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact(member) for member in value]
    return value


def _redact_event(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    redacted: dict[str, Any] = redact(dict(event))
    return redacted


def _add_context(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    event["process"] = settings.CARACAL_PROCESS
    request = context.peek()
    if request is not None:
        event["request_id"] = request.request_id
        if request.trace_id:
            event["trace_id"], event["span_id"] = request.trace_id, request.span_id
    return event


def configure(_config: dict[str, Any] | None = None) -> None:
    """Sends every logger of the process through one JSON handler on stderr."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.stdlib.PositionalArgumentsFormatter(),
        _add_context,
        _redact_event,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(log_counts.Counting())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.LOG_LEVEL)
    for noisy in (
        "kombu",
        "celery.beat",
        "celery.app.trace",
        "celery.worker",
        "asyncio",
    ):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
