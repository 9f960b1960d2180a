"""Identifiers: UUIDv7 text, so that id order is creation order (RFC 9562)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from uuid_utils import uuid7

if TYPE_CHECKING:
    _CharField = models.CharField[Any, Any]
else:
    _CharField = models.CharField

ID_PATTERN = re.compile(r"[A-Za-z0-9_.:-]{1,128}\Z")


def new_id() -> str:
    """A fresh lower-case UUIDv7, ascending within a process."""
    return str(uuid7())


def first_id_at(moment: datetime) -> str:
    """What every id made before ``moment`` is less than, and no later one."""
    milliseconds = f"{int(moment.timestamp() * 1000):012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}"


def is_id(value: str) -> bool:
    """Whether ``value`` could be an identifier at all: 1 to 128 safe characters."""
    return ID_PATTERN.match(value) is not None


class IdField(_CharField):
    """A textual identifier, compared bytewise."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 128)
        kwargs.setdefault("db_collation", "C")
        super().__init__(*args, **kwargs)

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """The type under its SQL name: under its short one Django adds a second index
        for LIKE to every key, which bytewise collation makes needless."""
        return f"character varying({self.max_length})"


class PrimaryIdField(IdField):
    """The primary key of every domain row."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("primary_key", True)
        kwargs.setdefault("default", new_id)
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)
