"""What every list of the Management API has: pages, orders, filters and files."""

from __future__ import annotations

import csv
import io
import re
import tracemalloc
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.conf import settings as configured
from django.db import connection, transaction
from django.urls import get_resolver

from audit.models import AdminAuditEvent
from caracal_site.api.exports import BATCH, FORMULA
from caracal_site.api.pagination import Listing
from caracal_site.console.tests.populating import governed
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, refusal
from caracal_site.testing.races import Threads
from caracal_site.testing.world import World
from caracal_site.tests.test_permissions import leaves
from policies.models import PolicySet
from zones import services
from zones.models import Application, Provider, Zone
from zones.tests.factories import ACTOR, make_provider, told

# Lists of what the platform itself brings: a handful, and never more.
NOT_ASKED = {"/v1/policy-templates"}


def lists() -> Iterator[tuple[str, Listing | None]]:
    """(path, listing) of every list of the API deployment."""
    for path, pattern in leaves(
        get_resolver(configured.ROOT_URLCONF).url_patterns, "/"
    ):
        view: Any = getattr(pattern.callback, "cls", None)
        name = getattr(pattern.callback, "actions", {}).get("get")
        if path.startswith("/v1/") and name == "list" and path not in NOT_ASKED:
            yield path, getattr(view.list, "listing", None)


LISTS = dict(lists())
of_every_list = pytest.mark.parametrize("path", LISTS)


@pytest.fixture
def populated(world: World) -> World:
    """A zone with something in each of its lists."""
    world.delegate(world.spawn(), world.spawn())
    governed(world.zone)
    return world


def at(path: str, world: World) -> str:
    """The address of a list of the populated zone. What has lists of its own is the
    policy set."""
    policy_set = PolicySet.objects.get(zone=world.zone)
    return path.format(zone_id=world.zone.id, id=policy_set.id)


def text(answer: Any) -> str:
    """The whole of a file."""
    assert answer.status_code == 200, answer.content
    whole: bytes = b"".join(answer.streaming_content)
    return whole.decode()


def rows_of(body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body["rows"] if isinstance(body, dict) else body
    return found


def walk(api: Api, path: str) -> list[dict[str, Any]]:
    """Every row of a list, page by page."""
    found, following = [], path
    while following:
        answer = api.get(following)
        assert answer.status_code == 200, answer.content
        body = answer.json()
        found += rows_of(body)
        link = re.match(r'<(.+)>; rel="next"\Z', answer.headers.get("Link", ""))
        cursor = body.get("next_cursor") if isinstance(body, dict) else None
        following = link[1] if link else f"{path}&cursor={cursor}" if cursor else ""
    return found


def test_every_list_is_declared() -> None:
    assert LISTS
    assert [path for path, listing in LISTS.items() if listing is None] == []


@of_every_list
def test_a_list_gives_the_same_rows_page_by_page_and_as_files(
    api: Api, populated: World, path: str
) -> None:
    here = at(path, populated)
    listing = LISTS[path]
    # Tests share the platform's own lists, which grow meanwhile.
    narrowed = f"?search={populated.zone.id}" if "{" not in path else "?"
    if path == "/v1/zones":
        narrowed = f"?slug={populated.zone.slug}"
    rows = walk(api, f"{here}{narrowed}&limit=1")
    lines = text(api.get(f"{here}{narrowed}&format=ndjson")).splitlines()
    files = [orjson.loads(line) for line in lines]
    if path.endswith("/admin-audit"):
        # Besides, the file of changes has the export that came before it.
        rows = walk(api, f"{here}{narrowed}&limit=1")
        rows = [row for row in rows if row["id"] in {one["id"] for one in files}]
    assert files == rows
    heading, *cells = csv.reader(
        io.StringIO(text(api.get(f"{here}{narrowed}&format=csv")))
    )
    assert tuple(heading) == (listing.tabular or listing.members)
    assert [dict(zip(heading, row, strict=True))["id"] for row in cells][
        -len(rows) or len(cells) :
    ] == [row["id"] for row in rows]


@of_every_list
def test_a_list_can_be_ordered_by_what_it_declares(
    api: Api, populated: World, path: str
) -> None:
    here, listing = at(path, populated), LISTS[path]
    for ordering in listing.orderings:
        answer = api.get(f"{here}?ordering={ordering}&limit=5")
        assert answer.status_code == 200, ordering
    for wrong in ("id", "", "-", "name,-name", "-created_at,name", "digest"):
        answer = api.get(f"{here}?ordering={wrong}")
        assert refusal(answer) == (400, "invalid_query"), wrong


@of_every_list
@pytest.mark.parametrize(
    "query",
    ["colour=1", "format=xml", "format=", "format=csv&format=csv", "format=CSV",
     "limit=0", "format=csv&limit=0", "format=ndjson&cursor=x", "cursor=nope",
     "format=csv&colour=1", "search=a%00b"],
)  # fmt: skip
def test_a_list_refuses_a_question_it_does_not_know(
    api: Api, populated: World, path: str, query: str
) -> None:
    here = at(path, populated)
    status, code = refusal(api.get(f"{here}?{query}"))
    assert status == 400
    assert code in ("invalid_query", "invalid_cursor")


@of_every_list
def test_every_filter_of_a_list_takes_a_value_and_refuses_nonsense(
    api: Api, populated: World, path: str
) -> None:
    here, listing = at(path, populated), LISTS[path]
    for name, declared in listing.filterset.base_filters.items():
        choices = [value for value, _ in declared.extra.get("choices", ())]
        moment = name.endswith(("since", "until"))
        good = choices[0] if choices else "2026-05-01T00:00:00Z" if moment else "x"
        assert api.get(f"{here}?{name}={good}").status_code == 200, name
        if choices or moment:
            answer = api.get(f"{here}?{name}=nonsense")
            assert refusal(answer) == (400, "invalid_query"), name


@of_every_list
def test_a_file_says_what_it_is_and_who_took_it(
    api: Api, populated: World, path: str
) -> None:
    here, listing = at(path, populated), LISTS[path]
    for form, kind in (("csv", "text/csv"), ("ndjson", "application/x-ndjson")):
        answer = api.get(f"{here}?format={form}&ordering={listing.orderings[-1]}")
        text(answer)
        assert answer["Content-Type"] == f"{kind}; charset=utf-8"
        name = f"{listing.name}-{populated.zone.id}" if "{" in path else listing.name
        disposition = f'attachment; filename="{name}.{form}"'
        assert answer["Content-Disposition"] == disposition
        assert answer["Cache-Control"] == "no-store"
        row = AdminAuditEvent.objects.get(request_id=answer["X-Request-ID"])
        assert (row.entity_type, row.entity_id) == ("exports", listing.name)
        assert row.zone_id == (populated.zone.id if "{" in path else None)
        payload = told(row)
        assert (payload["event"], payload["format"]) == ("list.exported", form)
        assert payload["filters"] == {"ordering": listing.orderings[-1]}
        assert (row.method, row.status_code) == ("GET", 200)


@of_every_list
def test_a_file_is_for_who_may_read_the_list(
    api: Api, populated: World, path: str
) -> None:
    here = f"{at(path, populated)}?format=csv"
    assert refusal(Api(None).get(here)) == (401, "invalid_admin_token")
    minted = services.mint_admin_token(
        "t", actor=ACTOR, scope="global", capability="read"
    )
    reader = Api(minted.plain)
    assert text(reader.get(here))
    head = reader.head(here)
    assert (head.status_code, head.content) == (200, b"")
    assert head["Content-Disposition"]
    recorded = AdminAuditEvent.objects.filter(request_id=head["X-Request-ID"])
    assert not recorded.exists()


def test_a_file_can_be_asked_for_by_its_type(api: Api, zone: Zone) -> None:
    path = f"/v1/zones/{zone.id}/providers"
    assert text(api.get(path, accept="text/csv")).startswith("id,zone_id,name")
    row = make_provider(zone)
    [line] = text(api.get(path, accept="application/x-ndjson")).splitlines()
    assert orjson.loads(line)["id"] == row.id
    for accept in ("*/*", "application/xml", "text/html", "application/json, text/csv"):
        assert api.get(path, accept=accept).json()[0]["id"] == row.id


def test_what_is_no_list_is_no_file(api: Api, zone: Zone) -> None:
    here = f"/v1/zones/{zone.id}"
    for path in (here, f"{here}/overview", *NOT_ASKED):
        assert refusal(api.get(f"{path}?format=csv")) == (400, "invalid_query")
        assert api.get(f"{path}?format=json").status_code == 200
        assert api.get(path, accept="text/csv").json()


# Pages and orders.


@pytest.fixture
def named(zone: Zone) -> dict[str, str]:
    """Ids by name: names that are equal, long, odd, and in several scripts."""
    names = ["b", "a", "C", "ä", "日本", "a b", "x" * 200, "\U0001f600" * 100, "'", "_"]
    rows = Application.objects.bulk_create(
        Application(zone=zone, name=name, secret_digest=bytes(32)) for name in names
    )
    return {row.name: row.id for row in rows}


@pytest.mark.parametrize("limit", [1, 3, 10])
@pytest.mark.parametrize("ordering", ["name", "-name", "updated_at", "created_at"])
def test_pages_in_any_order_have_every_row_once(
    api: Api, zone: Zone, named: dict[str, str], ordering: str, limit: int
) -> None:
    path = f"/v1/zones/{zone.id}/applications?ordering={ordering}&limit={limit}"
    found = [row["id"] for row in walk(api, path)]
    column = ordering.removeprefix("-")
    sign = "-" if ordering.startswith("-") else ""
    wanted = Application.objects.in_zone(zone.id).order_by(
        f"{sign}{column}", f"{sign}id"
    )
    assert found == list(wanted.values_list("id", flat=True))


def test_equal_names_are_kept_apart_by_id(api: Api, zone: Zone) -> None:
    rows = Provider.objects.bulk_create(
        Provider(zone=zone, name="same", identifier=f"provider://{n}", kind="none")
        for n in range(7)
    )
    found = walk(api, f"/v1/zones/{zone.id}/providers?ordering=-name&limit=2")
    assert [row["id"] for row in found] == sorted(
        (row.id for row in rows), reverse=True
    )


def test_a_cursor_is_for_its_order(api: Api, zone: Zone, named: dict[str, str]) -> None:
    path = f"/v1/zones/{zone.id}/applications"
    link = api.get(f"{path}?ordering=name&limit=2")["Link"]
    assert "ordering=name" in link
    cursor = re.search(r"cursor=([^&>]+)", link)
    assert cursor
    for other in (
        "",
        "ordering=-name&",
        "ordering=created_at&",
        "search=a&ordering=name&",
    ):
        answer = api.get(f"{path}?{other}cursor={cursor[1]}")
        assert refusal(answer) == (400, "invalid_cursor"), other


def test_what_is_renamed_meanwhile_disturbs_no_page(
    api: Api, zone: Zone, named: dict[str, str]
) -> None:
    path = f"/v1/zones/{zone.id}/applications?ordering=name&limit=4"
    first = api.get(path)
    seen = [row["id"] for row in first.json()]
    services.change_application(
        seen[-1], zone_id=zone.id, actor=ACTOR, changes={"name": "!"}
    )
    link = re.match(r"<(.+)>", first["Link"])
    assert link
    rest = [row["id"] for row in walk(api, link[1])]
    assert sorted(seen + rest) == sorted(named.values())


# Filters.


def test_rows_are_sought_by_text_and_id(
    api: Api, zone: Zone, named: dict[str, str]
) -> None:
    path = f"/v1/zones/{zone.id}/applications?search="
    for sought, names in (
        ("日", {"日本"}),
        ("a", {"a", "a b"}),
        ("_", {"_"}),
        ("%25", set()),
    ):
        found = {row["name"] for row in api.get(path + sought).json()}
        assert found == names, sought
    [row] = api.get(path + named["'"]).json()
    assert row["name"] == "'"


def test_archived_rows_are_listed_when_asked_for(api: Api, zone: Zone) -> None:
    kept, gone = make_provider(zone), make_provider(zone)
    services.archive_provider(gone.id, zone_id=zone.id, actor=ACTOR, reason="r")
    path = f"/v1/zones/{zone.id}/providers"
    for query, ids in (
        ("", [kept.id]),
        ("?archived=false", [kept.id]),
        ("?archived=true", [gone.id]),
        ("?archived=any", [gone.id, kept.id]),
    ):
        rows = api.get(path + query).json()
        assert [row["id"] for row in rows] == ids, query
        told_when = query in ("?archived=true", "?archived=any")
        assert all(("archived_at" in row) is told_when for row in rows)
    heading = text(api.get(f"{path}?archived=any&format=csv")).splitlines()[0]
    assert heading.endswith(",archived_at")


def test_rows_are_narrowed_to_a_window_of_time(api: Api, zone: Zone) -> None:
    first, second = make_provider(zone), make_provider(zone)
    path = f"/v1/zones/{zone.id}/providers"

    def ids(**window: Any) -> list[str]:
        asked = "&".join(
            f"{name}={at:%Y-%m-%dT%H:%M:%S.%fZ}" for name, at in window.items()
        )
        return [row["id"] for row in api.get(f"{path}?{asked}").json()]

    assert ids(created_since=second.created_at) == [second.id]
    assert ids(created_until=second.created_at) == [first.id]
    assert ids(created_since=first.created_at, created_until=first.created_at) == []
    changed = services.change_provider(
        first.id, zone_id=zone.id, actor=ACTOR, changes={"name": "later"}
    )
    assert ids(updated_since=changed.updated_at) == [first.id]
    assert ids(updated_until=changed.updated_at) == [second.id]


def test_zones_of_the_platform_are_in_no_list(api: Api) -> None:
    hidden = Zone.objects.create(name="x", slug=f"caracal-sys-{new_id()}")
    for query in ("", "&archived=any"):
        assert api.get(f"/v1/zones?slug={hidden.slug}{query}").json() == []


def test_tokens_of_a_zone_find_no_traits_in_files(zone: Zone) -> None:
    services.create_application(
        "a", zone_id=zone.id, actor=ACTOR, traits=["team:secret-ops"]
    )
    own = services.mint_admin_token("t", actor=ACTOR, scope="zone", zone_id=zone.id)
    api = Api(own.plain)
    for form in ("csv", "ndjson"):
        file = text(api.get(f"/v1/zones/{zone.id}/applications?format={form}"))
        assert "traits" not in file
        assert "secret-ops" not in file


# Files.


@pytest.mark.parametrize("begin", FORMULA)
def test_no_cell_of_a_file_is_taken_for_a_formula(
    api: Api, zone: Zone, begin: str
) -> None:
    name = f'{begin}HYPERLINK("http://x";"y")'
    Provider.objects.create(
        zone=zone, name=name, identifier="provider://f", kind="none"
    )
    path = f"/v1/zones/{zone.id}/providers"
    [row] = csv.DictReader(io.StringIO(text(api.get(f"{path}?format=csv")), newline=""))
    assert row["name"] == f"'{name}"
    [line] = text(api.get(f"{path}?format=ndjson")).splitlines()
    assert orjson.loads(line)["name"] == name


def test_cells_keep_quotes_lines_and_json(api: Api, zone: Zone) -> None:
    name = 'a "quoted", and\r\nbroken; name'
    row = Provider.objects.create(
        zone=zone,
        name=name,
        identifier="provider://q",
        kind="none",
        config_json={"a": [1, None]},
    )
    file = text(api.get(f"/v1/zones/{zone.id}/providers?format=csv"))
    [cells] = csv.DictReader(io.StringIO(file, newline=""))
    assert cells["name"] == name
    assert orjson.loads(cells["config_json"]) == {"a": [1, None]}
    assert cells["created_at"].startswith(f"{row.created_at:%Y-%m-%dT%H:%M:%S}")


def filled(zone: Zone, count: int) -> None:
    Provider.objects.bulk_create(
        (
            Provider(
                zone=zone, name=f"n{n % 7}", identifier=f"provider://{n}", kind="none"
            )
            for n in range(count)
        ),
        batch_size=2_000,
    )


def peak_of(api: Api, path: str) -> tuple[int, int]:
    """(lines, bytes of memory at the most) of a file that is read and forgotten."""
    answer = api.get(path)
    tracemalloc.start()
    lines = sum(part.count(b"\n") for part in answer.streaming_content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return lines, peak


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_file_has_every_row_in_memory_that_does_not_grow(api: Api, form: str) -> None:
    small, large = (services.create_zone(new_id(), actor=ACTOR) for _ in range(2))
    filled(small, 2 * BATCH)
    filled(large, 9 * BATCH + 17)
    query = f"providers?ordering=name&format={form}"
    headings = 1 if form == "csv" else 0
    peak_of(api, f"/v1/zones/{small.id}/{query}")
    few, little = peak_of(api, f"/v1/zones/{small.id}/{query}")
    many, much = peak_of(api, f"/v1/zones/{large.id}/{query}")
    assert (few, many) == (2 * BATCH + headings, 9 * BATCH + 17 + headings)
    assert much < little * 1.5


def test_what_comes_while_a_file_is_read_disturbs_nothing(api: Api, zone: Zone) -> None:
    filled(zone, BATCH + 5)
    before = set(Provider.objects.in_zone(zone.id).values_list("id", flat=True))
    parts = iter(
        api.get(f"/v1/zones/{zone.id}/providers?format=ndjson").streaming_content
    )
    lines = next(parts).splitlines()
    make_provider(zone)
    lines += b"".join(parts).splitlines()
    found = [orjson.loads(line)["id"] for line in lines]
    assert len(found) == len(set(found)) == len(before)
    assert set(found) == before


@pytest.mark.parametrize(
    ("form", "last"), [("csv", "EXPORT INCOMPLETE"), ("ndjson", "export_incomplete")]
)
def test_a_file_that_breaks_off_says_so(
    api: Api, zone: Zone, form: str, last: str
) -> None:
    filled(zone, BATCH + 5)
    answer = api.get(f"/v1/zones/{zone.id}/providers?format={form}")
    parts = iter(answer.streaming_content)
    first = [next(parts) for _ in range(2 if form == "csv" else 1)]

    def read_on() -> list[bytes]:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        return list(parts)

    with transaction.atomic(), connection.cursor() as cursor, Threads(1) as threads:
        cursor.execute("LOCK TABLE providers IN ACCESS EXCLUSIVE MODE")
        rest = threads.start(read_on).result(10)
    assert sum(part.count(b"\n") for part in first) >= BATCH
    assert last in b"".join(rest).decode().splitlines()[-1]


def test_an_export_that_cannot_be_recorded_does_not_happen(
    api: Api, zone: Zone, settings: Any
) -> None:
    settings.EXPORT_RECORDER = "caracal_site.tests.test_listings.refuse"
    answer = api.get(f"/v1/zones/{zone.id}/providers?format=csv")
    assert refusal(answer) == (503, "service_unavailable")


def refuse(*_args: Any, **_kwargs: Any) -> None:
    """A trail nobody can write to."""
    from caracal_site.errors import ServiceUnavailable

    raise ServiceUnavailable
