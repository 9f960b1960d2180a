"""Values look the way people read them, and never become markup."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from caracal_site.console import display
from caracal_site.console.forms import LinesField
from zones.admin.resources import OperationsField


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1, "now"),
        (40, "40 s ago"),
        (-200, "in 3 min"),
        (7_300, "2 h ago"),
    ],
)
def test_near_times_are_said_from_here(seconds: int, said: str) -> None:
    assert display.near(timezone.now() - timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (110.5, "in 1 min 50 s"),
        (59.5, "in 59 s"),
        (3_599.5, "in 59 min 59 s"),
        (7_200.5, "in 2 h"),
        (0, "now"),
        (-540, "9 min ago"),
    ],
)
def test_what_is_left_is_said_to_the_second(seconds: float, said: str) -> None:
    ends = timezone.now() + timedelta(seconds=seconds)
    assert f">{said}<" in display.countdown(ends)
    assert f"{ends:%Y-%m-%d %H:%M:%S}, {said}<" in display.countdown(ends, exact=True)


def test_times_carry_their_moment_in_utc() -> None:
    shown = display.moment(timezone.now() - timedelta(days=9))
    assert 'datetime="' in shown
    assert " UTC" in shown


def test_text_is_escaped_wherever_it_stands() -> None:
    nasty = "<script>alert(1)</script>"
    for shown in (
        display.short(nasty),
        display.mono(nasty),
        display.badge(nasty),
        display.words([nasty]),
        display.as_json({nasty: nasty}),
        display.link("/x", nasty),
        display.with_id(nasty, nasty),
        display.labelled(nasty, nasty),
        display.told(1, [nasty]),
    ):
        assert "<script" not in shown


def test_ids_are_shortened_and_kept_whole_in_the_title() -> None:
    pk = "019478a2-1111-7222-8333-0123456789ab"
    shown = display.short(pk)
    assert f'title="{pk}"' in shown
    assert ">019478a2\N{HORIZONTAL ELLIPSIS}6789ab<" in shown


def test_lines_are_a_list() -> None:
    field = LinesField(required=False, max_length=5)
    assert field.clean(" a \n\n b\r\n") == ["a", "b"]
    assert field.clean("") == []
    assert not field.has_changed(["a"], "a\n")
    assert field.has_changed(["a"], "b")


def test_operations_are_lines_of_three_words() -> None:
    field = OperationsField(required=False)
    declared = [{"method": "GET", "path": "/x", "scope": "read"}]
    assert field.clean("GET /x read") == declared
    assert field.prepare_value(declared) == "GET /x read"
    assert not field.has_changed(declared, "GET /x read")
    assert field.has_changed(declared, "GET /x")
