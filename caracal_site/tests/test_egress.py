"""Requests to addresses somebody else chose, against a server on this machine."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from caracal_site import egress
from caracal_site.checks import check_egress
from caracal_site.testing.endpoint import LOOPBACK, Endpoint, Server


def post(url: str, **fields: str) -> egress.Reply:
    return egress.post_form(url, fields or {"a": "b"}, {}, seconds=10)


def test_a_host_name_is_asked_under_its_name(endpoint: Endpoint) -> None:
    reply = post(endpoint.url(path="/a b/é?x=1&y=ü"), a="1 2", b="é&")
    assert (reply.status, reply.body) == (200, endpoint.content)
    (asked,) = endpoint.asked
    assert asked.name == "localhost"
    assert asked.headers["Host"] == f"localhost:{endpoint.port}"
    assert asked.path == "/a%20b/%C3%A9?x=1&y=%C3%BC"
    assert asked.form == {"a": "1 2", "b": "é&"}
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_an_address_is_asked_as_it_is(endpoint: Endpoint) -> None:
    assert post(endpoint.url("127.0.0.1")).status == 200
    assert endpoint.asked[0].headers["Host"] == f"127.0.0.1:{endpoint.port}"


@pytest.fixture
def sixth(tmp_path: Path, settings: Any) -> Iterator[Endpoint]:
    try:
        server = Server(tmp_path, "::1")
    except OSError:
        pytest.skip("there is no IPv6 here")
    settings.EGRESS_CA_FILE = str(server.endpoint.ca_file)
    settings.EGRESS_ALLOWED_NETWORKS = LOOPBACK
    yield server.endpoint
    server.stop()


def test_an_address_of_ipv6_is_asked_in_brackets(sixth: Endpoint) -> None:
    assert post(sixth.url("[::1]")).status == 200
    assert sixth.asked[0].headers["Host"] == f"[::1]:{sixth.port}"


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]"),
        *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "169.254.169.254", "10.0.0.1"),
        *("[fe80::1]", "[febf::1]", "[64:ff9b::7f00:1]", "0", "198.18.0.1"),
    ],
)
def test_what_is_not_public_is_not_asked_however_it_is_spelled(
    endpoint: Endpoint, settings: Any, host: str
) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = []
    with pytest.raises(egress.AddressRefused):
        post(endpoint.url(host))
    assert endpoint.asked == []


class Resolver:
    """Name service that changes its mind: one answer after the other."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.count = 0

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.count += 1
        found = self.answers.pop(0)
        family = socket.AF_INET
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port)) for address in found
        ]


def test_the_address_that_was_checked_is_the_one_that_is_asked(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(["127.0.0.1"], ["10.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    assert post(endpoint.url()).status == 200
    assert resolver.count == 1


def test_one_address_that_is_not_public_spoils_all(
    endpoint: Endpoint, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.1/32"]
    monkeypatch.setattr(socket, "getaddrinfo", Resolver(["127.0.0.1", "10.0.0.1"]))
    with pytest.raises(egress.AddressRefused):
        post(endpoint.url())
    assert endpoint.asked == []


def test_a_dead_address_does_not_keep_from_the_next(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Resolver(["127.0.0.9", "127.0.0.1"]))
    assert post(endpoint.url()).status == 200


def test_a_name_nobody_has_is_unknown() -> None:
    with pytest.raises(egress.NameUnknown):
        post("https://no-such-host.invalid/token")
    with pytest.raises(egress.NameUnknown):
        post(f"https://{'a' * 64}.example.com/token")


def test_redirects_are_not_followed(endpoint: Endpoint) -> None:
    endpoint.status, endpoint.body = 307, b""
    endpoint.headers = {"Location": endpoint.url(path="/elsewhere")}
    assert post(endpoint.url()).status == 307
    assert [asked.path for asked in endpoint.asked] == ["/token"]


def test_a_certificate_of_an_unknown_authority_is_refused(
    endpoint: Endpoint, settings: Any
) -> None:
    settings.EGRESS_CA_FILE = ""
    with pytest.raises(egress.CertificateRefused):
        post(endpoint.url())
    assert endpoint.asked == []


def test_a_certificate_for_another_name_is_refused(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Resolver(["127.0.0.1"]))
    with pytest.raises(egress.CertificateRefused):
        post(endpoint.url("idp.example.com"))
    assert endpoint.asked == []


def test_a_proxy_of_the_environment_is_not_used(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert post(endpoint.url()).status == 200


@pytest.mark.parametrize(
    ("length", "fits"), [(egress.MAX_BYTES, True), (egress.MAX_BYTES + 1, False)]
)
def test_an_answer_has_a_size(endpoint: Endpoint, length: int, fits: bool) -> None:
    endpoint.body = b"x" * length
    if fits:
        assert len(post(endpoint.url()).body) == length
    else:
        with pytest.raises(egress.TooLarge):
            post(endpoint.url())


def silent(endpoint: Endpoint, handler: BaseHTTPRequestHandler) -> None:
    endpoint.ended.wait(30)


def dripping_head(endpoint: Endpoint, handler: BaseHTTPRequestHandler) -> None:
    """Each byte in time, all of them never."""
    while not endpoint.ended.wait(0.02):
        handler.wfile.write(b"H")


def dripping_body(endpoint: Endpoint, handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "60000")
    handler.end_headers()
    while not endpoint.ended.wait(0.02):
        handler.wfile.write(b"x")


@pytest.mark.parametrize("behaviour", [silent, dripping_head, dripping_body])
def test_one_deadline_covers_an_answer_however_slow(
    endpoint: Endpoint, behaviour: Any
) -> None:
    endpoint.answer = lambda handler: behaviour(endpoint, handler)
    begun = time.monotonic()
    with pytest.raises(egress.TooSlow):
        egress.post_form(endpoint.url(), {"a": "b"}, {}, seconds=0.5)
    assert time.monotonic() - begun < 5


def test_a_handshake_that_never_ends_is_too_slow(settings: Any) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = LOOPBACK
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://127.0.0.1:{mute.getsockname()[1]}/"
        with pytest.raises(egress.TooSlow):
            egress.post_form(url, {}, {}, seconds=0.3)


def test_what_is_no_http_is_broken(endpoint: Endpoint) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"nonsense\r\n\r\n")

    endpoint.answer = answer
    with pytest.raises(egress.Broken):
        post(endpoint.url())


def test_a_closed_port_is_broken(settings: Any) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = LOOPBACK
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(egress.Broken):
        post(f"https://127.0.0.1:{port}/")


@pytest.mark.parametrize("url", ["http://localhost/", "https:///x", "localhost"])
def test_only_https_is_asked(url: str) -> None:
    with pytest.raises(ValueError, match="not an https URL"):
        post(url)


def test_a_file_of_authorities_that_is_gone_breaks_one_request_only(
    endpoint: Endpoint, settings: Any
) -> None:
    settings.EGRESS_CA_FILE = "/no/such/file"
    with pytest.raises(egress.Broken):
        post(endpoint.url())


def test_a_network_that_is_none_is_told_at_the_start(settings: Any) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = ["10.0.0.0/8", "intranet"]
    (told,) = check_egress()
    assert "intranet" in told.msg
