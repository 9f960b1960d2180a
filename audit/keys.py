"""The keys that seal evidence: the one in use, and those it has replaced.

A row stays sealed under the key of its day: nothing is ever signed again, so what was
replaced goes on verifying what it sealed, and seals nothing new.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings


def audit_key() -> bytes:
    """``AUDIT_HMAC_KEY``; empty when none is configured (dev mode only)."""
    return bytes.fromhex(settings.AUDIT_HMAC_KEY)


def known_keys() -> list[bytes]:
    """The key in use, then those of ``AUDIT_HMAC_KEY_PREVIOUS``."""
    before = (bytes.fromhex(key) for key in settings.AUDIT_HMAC_KEY_PREVIOUS)
    return list(dict.fromkeys((audit_key(), *before)))


class Ring:
    """The keys along one way through a chain, from its first link to its last.

    A chain moves on from key to key. What it has left does not come back, and after
    the key in use comes nothing: who has stolen a replaced key can add to no chain
    that has gone on since.
    """

    def __init__(self) -> None:
        self._key, *self._others = known_keys()
        self._newest = self._key
        self._is_proven = False

    def accepts(self, told: object, made: Callable[[bytes], object]) -> bool:
        """Whether ``told`` is what ``made`` makes with the key of this place."""
        if made(self._key) == told:
            self._is_proven = True
            return True
        if self._is_proven and self._key == self._newest:
            return False
        for key in self._others:
            if made(key) == told:
                self._move_on(key)
                return True
        return False

    def _move_on(self, key: bytes) -> None:
        self._others.remove(key)
        if not self._is_proven:
            # Nothing was sealed with it so far: its time may come.
            self._others.append(self._key)
        self._key, self._is_proven = key, True
