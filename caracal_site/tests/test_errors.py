"""Errors and requests' contexts: rendered once, and honest."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal_site import context, errors
from caracal_site.coordinator.urls import ROUTES  # noqa: F401 - declares every error
from caracal_site.ids import ID_PATTERN

CODE = re.compile(r"[a-z][a-z0-9_]*\Z")


def test_an_error_is_its_code_its_sentence_and_the_request() -> None:
    rendered = errors.render(errors.ZoneNotFound(), request_id="r1")
    assert rendered.status == 404
    assert rendered.headers == {"Content-Type": "application/json; charset=utf-8"}
    assert rendered.body == {
        "error": "zone_not_found",
        "error_description": "There is no such zone.",
        "requestId": "r1",
    }


def test_extra_members_follow_the_three() -> None:
    error = errors.InvalidBody([errors.Issue(("a", "0"), "bad")], extra={"hint": "x"})
    body = errors.render(error, request_id="r").body
    assert list(body)[:3] == ["error", "error_description", "requestId"]
    assert body["details"] == {"issues": [{"path": ["a", "0"], "message": "bad"}]}
    assert body["hint"] == "x"


def test_a_problem_is_made_of_the_same() -> None:
    error = errors.RateLimited(retry_after=7)
    rendered = errors.render(error, request_id="r", accept="application/problem+json")
    assert rendered.headers["Retry-After"] == "7"
    assert rendered.headers["Content-Type"] == "application/problem+json"
    assert rendered.body["title"] == "Too Many Requests"
    assert rendered.body["code"] == "rate_limited"


def test_every_declared_error_is_a_code_a_status_and_a_sentence() -> None:
    catalogue = errors.catalogue()
    assert len(catalogue) > 50
    for code, status, sentence in catalogue:
        assert CODE.match(code), code
        assert 400 <= status < 600, code
        assert sentence.strip().endswith("."), code
        assert "\n" not in sentence, code


def test_a_context_outside_any_request_is_a_fresh_one() -> None:
    assert context.peek() is None or context.current()
    with context.job("sweep") as running:
        assert context.current() is running
        assert (running.method, running.path) == ("JOB", "sweep")


@given(header=st.text(max_size=200))
def test_a_request_id_is_the_caller_s_or_a_good_one(header: str) -> None:
    accepted = context.accepted_request_id(header)
    assert ID_PATTERN.match(accepted)


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (f"00-{'a' * 32}-{'b' * 16}-01", ("a" * 32, "b" * 16)),
        (f"00-{'a' * 31}-{'b' * 16}-01", ("", "")),
        (f"00-{'A' * 32}-{'b' * 16}-01", ("", "")),
        ("nonsense", ("", "")),
        ("", ("", "")),
        (None, ("", "")),
    ],
)
def test_a_trace_is_read_when_it_is_one(
    header: str | None, trace: tuple[str, str]
) -> None:
    assert context.trace_of(header) == trace
