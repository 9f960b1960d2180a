"""The figures of the console's first page, contributed by the apps' admin modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.safestring import SafeString


@dataclass(frozen=True, slots=True)
class Figure:
    """One number to look at. ``tone`` is good, warn, bad or empty."""

    label: str
    value: str
    note: str | SafeString = ""
    url: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class _Contribution:
    place: int
    permission: str
    read: Callable[[], Figure]


_contributions: list[_Contribution] = []


def figure(
    place: int, *, permission: str
) -> Callable[[Callable[[], Figure]], Callable[[], Figure]]:
    """Puts what the function answers on the first page, for those who may see it."""

    def contribute(read: Callable[[], Figure]) -> Callable[[], Figure]:
        _contributions.append(_Contribution(place, permission, read))
        return read

    return contribute


def figures(request: HttpRequest) -> list[Figure]:
    """The figures the person may see, in their places."""
    return [
        contribution.read()
        for contribution in sorted(_contributions, key=lambda item: item.place)
        if request.user.has_perm(contribution.permission)
    ]
