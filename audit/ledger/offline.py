#!/usr/bin/env python3
"""Verifies an exported ledger with nothing but the file and the public key.

    python3 offline.py LEDGER.ndjson PUBLIC-KEY.pem

Needs Python 3.11 and the package ``cryptography``, and nothing of Caracal. The first
line of the file says what it is and what came before its first row, then every line is
a row, the last one is the signed head. Every row is hashed again, has to follow the one
before, and all of them together have to give the root that was signed.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

FORMAT = "caracal-ledger-1"
TITLE = "caracal audit head 1"
SIGNED = ("zone_id", "tree_size", "content_sha256", "root_hash", "signed_at")
VALUES = (
    "id",
    "zone_id",
    "event_type",
    "request_id",
    "decision",
    "policy_set_id",
    "policy_set_version_id",
    "manifest_sha",
    "evaluation_status",
)
DOCUMENTS = ("determining_policies_json", "diagnostics_json", "metadata_json")
FAULTS_KEPT = 100


@dataclass
class Report:
    """What was found in a file."""

    rows: int = 0
    removed: int = 0
    zone_id: str = ""
    signed_at: str = ""
    faults: list[str] = field(default_factory=list)
    broken: int = 0

    def add(self, sentence: str) -> None:
        self.broken += 1
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append(sentence)


class Tree:
    """A Merkle tree (RFC 6962) that grows at its right side."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    def add(self, content: bytes) -> None:
        hashed = hashlib.sha256(b"\x00" + content).digest()
        level = 0
        while self.size >> level & 1:
            hashed = hashlib.sha256(b"\x01" + self.peaks.pop() + hashed).digest()
            level += 1
        self.peaks.append(hashed)
        self.size += 1

    def root(self) -> bytes:
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = hashlib.sha256(b"\x01" + peak + root).digest()
        return root


def head_message(head: Mapping[str, Any]) -> bytes:
    """What is signed of a head: its members, one a line, under a title."""
    return "\n".join([TITLE, *(str(head[name]) for name in SIGNED), ""]).encode()


def key_id_of(public_key: bytes) -> str:
    return hashlib.sha256(public_key).hexdigest()[:16]


def verify_head(head: Mapping[str, Any], public_key: bytes) -> None:
    """Raises InvalidSignature, or KeyError or ValueError for what is no head."""
    signature = bytes.fromhex(head["signature"])
    Ed25519PublicKey.from_public_bytes(public_key).verify(signature, head_message(head))


def content_of(record: Mapping[str, Any]) -> bytes:
    """The hash of a row: its values, each followed by 0x1F, then its time in
    nanoseconds (``occurred_at_ns``). JSON is the text that was hashed."""
    parts = [(record[name] or "").replace("\x1f", "\\u001f") for name in VALUES]
    parts += [record[name] or "null" for name in DOCUMENTS]
    message = "\x1f".join([*parts, record["occurred_at_ns"]])
    return hashlib.sha256(message.encode()).digest()


def verify_lines(lines: Iterable[str], public_key: bytes) -> Report:
    """What is wrong with an exported ledger, in constant memory."""
    report, tree = Report(), Tree()
    head: dict[str, Any] | None = None
    first: dict[str, Any] | None = None
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            if first is None:
                first = _opening(entry)
                report.zone_id = first["zone_id"]
            elif "head" in entry:
                head = dict(entry["head"])
            elif head is not None:
                report.add(f"line {number}: there is something after the head")
            else:
                _row(entry, tree, report)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            report.add(f"line {number}: cannot be read ({error!r})")
            if first is None:
                return report
    _close(report, tree, head, public_key)
    return report


def _opening(entry: Any) -> dict[str, Any]:
    if entry["format"] != FORMAT:
        raise ValueError(f"not a {FORMAT} file")
    return dict(entry)


def _row(entry: Mapping[str, Any], tree: Tree, report: Report) -> None:
    seq, content = int(entry["seq"]), bytes.fromhex(entry["content_sha256"])
    expected = tree.size + 1
    if seq > expected:
        report.add(f"#{seq}: {seq - expected} missing before it")
    elif seq < expected:
        report.add(f"#{seq}: stands where #{expected} should")
    record = entry["record"]
    if record is None:
        report.removed += 1
    elif content_of(record) != content:
        report.add(f"#{seq} ({record['id']}): was altered")
    elif record["zone_id"] != report.zone_id:
        report.add(f"#{seq} ({record['id']}): is of another zone")
    report.rows += 1
    tree.add(content)


def _close(
    report: Report, tree: Tree, head: Mapping[str, Any] | None, public_key: bytes
) -> None:
    if head is None:
        report.add("the signed head is missing: the file was cut off")
        return
    try:
        verify_head(head, public_key)
    except (InvalidSignature, KeyError, TypeError, ValueError):
        report.add("the head was not signed with this key")
        return
    report.signed_at = str(head["signed_at"])
    if head["zone_id"] != report.zone_id:
        report.add("the head is of another zone")
    if head["tree_size"] != tree.size:
        report.add(f"{tree.size} rows, but {head['tree_size']} were signed")
    elif head["root_hash"] != tree.root().hex():
        report.add("these are not the rows that were signed")


def public_key_of(pem: bytes) -> bytes:
    """The raw key of a PEM file. Raises ValueError."""
    key = load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 key")
    return key.public_bytes_raw()


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write("usage: offline.py LEDGER.ndjson PUBLIC-KEY.pem\n")
        return 2
    key = public_key_of(Path(arguments[1]).read_bytes())
    with Path(arguments[0]).open(encoding="utf-8") as lines:
        report = verify_lines(lines, key)
    state = f"BROKEN ({report.broken} faults)" if report.broken else "intact"
    sys.stdout.write(
        f"zone {report.zone_id}: {state}, {report.rows} rows"
        f" ({report.removed} removed by retention), signed {report.signed_at}\n"
    )
    for sentence in report.faults:
        sys.stdout.write(f"  {sentence}\n")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
