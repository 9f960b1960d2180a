"""A token endpoint on this machine: a real server, with a certificate of its own."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET6
from typing import Any
from urllib.parse import parse_qs

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = ["127.0.0.0/8", "::1/128"]
MAY_SIGN = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request the endpoint got; ``name`` is what the client asked for by SNI."""

    path: str
    headers: Mapping[str, str]
    form: dict[str, str]
    name: str | None


@dataclass
class Endpoint:
    """Answers every POST with ``status`` and ``body``, or as ``answer`` does.

    ``ended`` is set when the test is over, so that no answer outlasts it.
    """

    port: int
    ca_file: Path
    status: int = 200
    body: Any = field(default_factory=lambda: {"access_token": "issued-token"})
    headers: dict[str, str] = field(default_factory=dict)
    answer: Callable[[BaseHTTPRequestHandler], None] | None = None
    asked: list[Asked] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def url(self, host: str = "localhost", path: str = "/token") -> str:
        return f"https://{host}:{self.port}{path}"

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


class Server(ThreadingHTTPServer):
    """Serves one endpoint from a thread of its own."""

    daemon_threads = True
    endpoint: Endpoint

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        if ":" in address:
            self.address_family = AF_INET6
        super().__init__((address, 0), _Handler)
        ca_file, chain = _certificates(folder)
        self._names: dict[Any, str | None] = {}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        context.sni_callback = self._named
        # The handshake is left to the thread of each connection.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )
        self.endpoint = Endpoint(self.server_address[1], ca_file)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def _named(self, sock: ssl.SSLObject, name: str | None, _: Any) -> None:
        self._names[sock] = name

    def name_asked_for(self, sock: Any) -> str | None:
        return self._names.get(sock)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that hangs up is what some tests are about."""

    def stop(self) -> None:
        self.endpoint.ended.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        form = parse_qs(self.rfile.read(length).decode(), strict_parsing=True)
        endpoint = self.server.endpoint
        endpoint.asked.append(
            Asked(
                self.path,
                dict(self.headers.items()),
                {name: values[0] for name, values in form.items()},
                self.server.name_asked_for(self.connection),
            )
        )
        if endpoint.answer is not None:
            endpoint.answer(self)
            return
        self.send_response(endpoint.status)
        for name, value in endpoint.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(endpoint.content)))
        self.end_headers()
        self.wfile.write(endpoint.content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: tests look at what was asked."""


def _certificates(folder: Path) -> tuple[Path, Path]:
    """An authority, and a key with a certificate of it for this machine's names."""
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)

    def signed(public: Any, extensions: list[tuple[x509.ExtensionType, bool]]) -> Any:
        building = x509.CertificateBuilder(
            issuer_name=issuer,
            subject_name=issuer if len(extensions) > 1 else x509.Name([]),
            public_key=public,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(days=1),
            not_valid_after=now + timedelta(days=1),
        )
        for extension, is_critical in extensions:
            building = building.add_extension(extension, critical=is_critical)
        return building.sign(authority, hashes.SHA256())

    root = signed(
        authority.public_key(),
        [(x509.BasicConstraints(ca=True, path_length=0), True), (MAY_SIGN, True)],
    )
    addresses = [x509.IPAddress(ip_address(text)) for text in ("127.0.0.1", "::1")]
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses])
    leaf = signed(key.public_key(), [(names, True)])
    ca_file, chain = folder / "ca.pem", folder / "chain.pem"
    pem = serialization.Encoding.PEM
    ca_file.write_bytes(root.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(private + leaf.public_bytes(pem))
    return ca_file, chain
