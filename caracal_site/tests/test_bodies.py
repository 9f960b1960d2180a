"""Bodies and queries of the coordinator: the answer says what is wrong with them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from caracal_site.coordinator import bodies
from caracal_site.errors import InvalidBody, MalformedJSON
from caracal_site.testing.world import World, refusal

JSON = {"Content-Type": "application/json"}
INVALID = (400, "invalid_body")


def send(world: World, content: bytes, **given: Any) -> tuple[int, str]:
    given.setdefault("headers", JSON)
    answer = world.post("/agents", content=content, **given)
    return (201, "") if answer.status_code == 201 else refusal(answer)


def body_of(world: World, **members: Any) -> dict[str, Any]:
    return {"application_id": world.application.id, **members}


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"application_id": "x",}',
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": 01}',
        b"\xff\xfe",
        b'{"application_id": "\xff"}',
        b'{"application_id": "a\nb"}',
        b'{"application_id": "\x00"}',
        b'{"application_id": "x"} {}',
        b"[" * 100_000,
        b'{"metadata": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
        b'{"application_id": "\\ud800"}',
        b'{"metadata": {"\\udfff": 1}}',
        b'{"application_id": "\\u0000"}',
        b'{"metadata": {"a": ["b\\u0000"]}}',
        b'{"metadata": {"\\u0000": 1}}',
        b'{"labels": ["\\u0000"]}',
    ],
    ids=lambda content: repr(content[:32]),
)
def test_what_is_no_json_or_no_text_is_refused(world: World, content: bytes) -> None:
    assert send(world, content) == INVALID


@pytest.mark.parametrize("content", [b"null", b"[]", b'"x"', b"1", b"true", b"{}"])
def test_a_body_of_another_kind_is_named(world: World, content: bytes) -> None:
    answer = world.post("/agents", content=content, headers=JSON)
    assert refusal(answer) == INVALID
    assert answer.json()["details"]["issues"]


def test_every_fault_is_listed_with_its_path(world: World) -> None:
    faulty = {
        "application_id": 1,
        "labels": ["ok", 2, " "],
        "ttl_seconds": 0,
        "metadata": 3,
        "surprise": 4,
        "another": 5,
    }
    answer = world.post("/agents", faulty)
    issues = answer.json()["details"]["issues"]
    assert [issue["path"] for issue in issues] == [
        ["application_id"],
        ["labels", "1"],
        ["ttl_seconds"],
        ["metadata"],
        ["another"],
        ["surprise"],
    ]
    assert all(issue["message"] for issue in issues)


@pytest.mark.parametrize(
    "value",
    [
        "1" + "0" * 400,
        "1" + "0" * 5_000,
        "-" + "9" * 40,
        "18446744073709551616",
        "1e999",
        "1e-999",
        "123456789012345678901234567890.5",
    ],
)
def test_no_number_is_an_accident(world: World, value: str) -> None:
    in_metadata = json.dumps(body_of(world))[:-1] + f', "metadata": {{"n": {value}}}}}'
    assert send(world, in_metadata.encode())[0] in (201, 400)
    as_ttl = json.dumps(body_of(world))[:-1] + f', "ttl_seconds": {value}}}'
    assert send(world, as_ttl.encode()) == INVALID


@pytest.mark.parametrize("depth", [10, 60, 100, 300, 1_000])
def test_no_depth_is_an_accident(world: World, depth: int) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    content = json.dumps(body_of(world))[:-1] + f', "metadata": {nested}}}'
    status, code = send(world, content.encode())
    assert (status, code) == (201, "") if depth <= 60 else status in (201, 400)


@pytest.mark.parametrize(
    "text",
    [
        "\\",
        "\\\\u0000",
        "\u2028",
        "\U0001f600",
        "\u202e",
        "\x7f",
        "\ufffe",
        "' OR 1=1 --",
    ],
)
def test_text_comes_back_as_it_went(world: World, text: str) -> None:
    agent = world.spawn(metadata={text: [text]}, labels=[f"x{text}x"])
    detail = world.get(f"/agents/{agent['agent_session_id']}").json()
    assert detail["metadata"] == agent["metadata"] == {text: [text]}
    assert detail["labels"] == [f"x{text}x"]


def test_a_body_is_json_and_says_so(world: World) -> None:
    body = json.dumps(body_of(world)).encode()
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = world.post(
            "/agents", content=body, headers={"Content-Type": content_type}
        )
        assert refusal(answer) == (415, "unsupported_media_type")
    for content_type in ("application/json; charset=utf-8", "Application/JSON"):
        answer = world.post(
            "/agents", content=body, headers={"Content-Type": content_type}
        )
        assert answer.status_code == 201


def test_an_empty_body_is_refused_where_one_is_needed(world: World) -> None:
    assert send(world, b"") == INVALID
    assert refusal(world.post("/agents")) == INVALID


def test_bodyless_verbs_look_at_no_body(world: World) -> None:
    agent = world.spawn()
    for content, headers in (
        (b"", JSON),
        (b"{}", JSON),
        (b"nonsense", {"Content-Type": "x/y"}),
    ):
        for verb in ("suspend", "resume"):
            path = f"/agents/{agent['agent_session_id']}/{verb}"
            answer = world.patch(path, content=content, headers=headers)
            assert answer.status_code == 200


def test_a_body_too_large_is_refused_once_the_caller_is_known(world: World) -> None:
    big = b'{"metadata": "' + b"x" * 2 * 1024 * 1024 + b'"}'
    answer = world.coordinator.post(world.path("/agents"), content=big, headers=JSON)
    assert refusal(answer) == (401, "missing_token")
    assert send(world, big) == (413, "payload_too_large")
    assert send(world, big, headers={"Content-Type": "x/y"}) == (
        413,
        "payload_too_large",
    )
    agent = world.spawn()["agent_session_id"]
    answer = world.patch(f"/agents/{agent}/suspend", content=big)
    assert refusal(answer) == (413, "payload_too_large")


def test_the_limit_is_exact(world: World, settings: Settings) -> None:
    body = json.dumps(body_of(world)).encode()
    settings.COORDINATOR_BODY_LIMIT_BYTES = len(body)
    assert send(world, body)[0] == 201
    assert send(world, body + b" ") == (413, "payload_too_large")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=1.5",
        "limit=ten",
        "limit=" + "9" * 400,
        "limit=%D9%A1",
        "limit=",
        "limit=1&limit=2",
        "status=gone",
        "lifecycle=daemon",
        "label=",
        "label=" + "x" * 65,
        "label=%00",
        "application_id=%00",
        "unknown=1",
        "&".join(f"a{n}=1" for n in range(2_000)),
        "%00=1",
    ],
    ids=lambda query: query[:24],
)
def test_a_query_that_is_none_is_refused(world: World, query: str) -> None:
    assert refusal(world.get(f"/agents?{query}")) == (400, "invalid_query")


class Sample(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    size: int = 0
    tags: list[str] = []


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "size", "tags", "x"]), inner, max_size=4
        )
    ),
)


@given(document=documents)
def test_a_document_is_decoded_or_its_faults_are_listed(document: Any) -> None:
    raw = json.dumps(document).encode()
    try:
        decoded = bodies.decode(raw, Sample)
    except MalformedJSON:
        return
    except InvalidBody as error:
        issues = error.issues
    else:
        issues = ()
    assert issues or document.items() <= msgspec.to_builtins(decoded).items()


@given(raw=st.binary(max_size=40))
def test_bytes_are_decoded_or_refused(raw: bytes) -> None:
    with pytest.raises(InvalidBody):
        bodies.decode(raw, Sample)
