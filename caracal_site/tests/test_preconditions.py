"""If-Match and If-None-Match are read and compared as RFC 9110 has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal_site.errors import InvalidPrecondition, PreconditionFailed
from caracal_site.preconditions import (
    UNCONDITIONAL,
    Precondition,
    is_known,
    precondition_of,
    tag_of,
    tags_in,
)

opaque = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0xFF).filter(
        lambda letter: letter != '"' and not 0x7F <= ord(letter) < 0x80
    ),
    max_size=20,
)


@given(strong=st.lists(opaque), weak=st.lists(opaque))
def test_lists_of_tags_are_taken_apart(strong: list[str], weak: list[str]) -> None:
    written = [f'"{tag}"' for tag in strong] + [f'W/"{tag}"' for tag in weak]
    if not written:
        return
    read = tags_in(" , ".join(written))
    assert read.strong == {f'"{tag}"' for tag in strong}
    assert read.weak == {f'"{tag}"' for tag in weak}
    assert not read.has_any


@pytest.mark.parametrize(
    "header",
    ["", " ", ",", "3", "'3'", '"3', '3"', '"3" "4"', '"a b"', 'w/"3"', "W/3", '*, "3"',
     '"3";q=1', '"\x7f"', '"3"\x00', "**", "null"],
)  # fmt: skip
def test_what_is_no_list_of_tags_is_refused(header: str) -> None:
    with pytest.raises(InvalidPrecondition):
        tags_in(header)
    assert not is_known('"3"', header)


@given(st.text(max_size=40))
def test_no_header_whatever_is_a_fault_of_ours(header: str) -> None:
    try:
        tags_in(header)
    except InvalidPrecondition:
        return


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        ("*", True),
        ('"3"', True),
        ('"2", "3"', True),
        (',"2",,"3",', True),
        ('"2"', False),
        ('"2","4"', False),
        ('W/"3"', False),
        ('W/"3", "3"', True),
        ('"30"', False),
        ('""', False),
    ],
)
def test_if_match_compares_strongly(match: str, holds: bool) -> None:
    condition = precondition_of({"If-Match": match}.get)
    if holds:
        condition.check(3)
        return
    with pytest.raises(PreconditionFailed) as refused:
        condition.check(3)
    assert refused.value.headers["ETag"] == tag_of(3)


@pytest.mark.parametrize(
    ("none_match", "known"),
    [("*", True), ('"3"', True), ('W/"3"', True), ('"2", W/"3"', True), ('"2"', False)],
)
def test_if_none_match_compares_weakly(none_match: str, known: bool) -> None:
    assert is_known(tag_of(3), none_match) is known
    condition = Precondition(none_match=tags_in(none_match))
    if known:
        with pytest.raises(PreconditionFailed):
            condition.check(3)
    else:
        condition.check(3)


def test_who_asks_nothing_is_refused_nothing() -> None:
    assert precondition_of({}.get) == UNCONDITIONAL
    UNCONDITIONAL.check(3)
    assert not is_known(tag_of(3), None)
