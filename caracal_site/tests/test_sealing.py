"""Sealed values open only where they belong and as they were (D28)."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from caracal_site import receipts, sealing
from caracal_site.checks import check_previous_keys
from caracal_site.errors import IdempotencyKeyConflict, InvalidIdempotencyKey


@given(plain=st.binary(max_size=200), identity=st.text(max_size=40))
def test_what_is_sealed_opens_under_its_identity(plain: bytes, identity: str) -> None:
    sealed = sealing.seal(plain, identity)
    assert sealing.unseal(sealed, identity) == plain
    assert sealing.unseal(memoryview(sealed), identity) == plain  # type: ignore[arg-type]
    with pytest.raises(sealing.SealBroken):
        sealing.unseal(sealed, identity + "x")


@given(data=st.data())
def test_every_changed_byte_breaks_the_seal(data: st.DataObject) -> None:
    sealed = bytearray(sealing.seal(b"secret", "row"))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(sealing.SealBroken):
        sealing.unseal(bytes(sealed), "row")


@pytest.mark.parametrize("length", [0, 1, 12, 13, 28])
def test_a_value_cut_short_is_a_broken_seal(length: int) -> None:
    with pytest.raises(sealing.SealBroken):
        sealing.unseal(sealing.seal(b"secret", "row")[:length], "row")


def test_another_key_does_not_open(settings: Settings) -> None:
    sealed = sealing.seal(b"secret", "row")
    settings.ZONE_KEK = "ab" * 16 + "cd" * 16
    with pytest.raises(sealing.SealBroken):
        sealing.unseal(sealed, "row")


def test_what_was_sealed_under_a_previous_key_opens_and_is_known_as_such(
    settings: Settings,
) -> None:
    sealed, previous = sealing.seal(b"secret", "row"), settings.ZONE_KEK
    assert sealing.is_current(sealed)
    settings.ZONE_KEK = "ab" * 16 + "cd" * 16
    settings.ZONE_KEK_PREVIOUS = ["12" * 16 + "34" * 16, previous]
    assert sealing.unseal(sealed, "row") == b"secret"
    assert not sealing.is_current(sealed)
    assert sealing.is_current(sealing.seal(b"secret", "row"))
    with pytest.raises(sealing.SealBroken):
        sealing.unseal(sealed, "another row")


def test_what_was_sealed_without_the_name_of_a_key_opens(settings: Settings) -> None:
    key, nonce = bytes.fromhex(settings.ZONE_KEK)[:32], b"n" * 12
    plain = ChaCha20Poly1305(key).encrypt(nonce, b"secret", b"row")
    sealed = b"\x01" + nonce + plain
    assert sealing.unseal(sealed, "row") == b"secret"
    settings.ZONE_KEK_PREVIOUS = [settings.ZONE_KEK]
    settings.ZONE_KEK = "ab" * 16 + "cd" * 16
    assert sealing.unseal(sealed, "row") == b"secret"
    with pytest.raises(sealing.SealBroken):
        sealing.unseal(sealed, "another row")


def test_a_previous_key_that_is_none_is_told_at_the_start(settings: Settings) -> None:
    settings.ZONE_KEK_PREVIOUS = ["ab" * 32]
    assert check_previous_keys() == []
    settings.ZONE_KEK_PREVIOUS = ["ab" * 32, "short"]
    (told,) = check_previous_keys()
    assert "ZONE_KEK_PREVIOUS" in told.msg
    assert "short" not in told.msg


def test_the_same_is_never_sealed_the_same() -> None:
    assert sealing.seal(b"secret", "row") != sealing.seal(b"secret", "row")


def test_credentials_are_long_and_their_digests_keyed_by_purpose(
    settings: Settings,
) -> None:
    first, second = sealing.new_credential("cs_"), sealing.new_credential("cs_")
    assert first != second
    assert len(first) == len("cs_") + 43
    digest = sealing.digest("a", first)
    assert len(digest) == 32
    assert digest not in (sealing.digest("b", first), sealing.digest("a", second))
    settings.CREDENTIAL_HMAC_KEY = "ab" * 16 + "cd" * 16
    assert sealing.digest("a", first) != digest


def test_equality_takes_text_and_bytes() -> None:
    assert sealing.same("é", "é".encode())
    assert not sealing.same("a", b"b")


def test_a_receipt_opens_for_its_caller_route_and_key_only() -> None:
    sealed = receipts.seal("caller", "route", "key", '{"a": 1}')
    kept = receipts.judge("caller", "route", "key", "f", "f", 201, sealed)
    assert (kept.status, kept.body) == (201, '{"a": 1}')
    with pytest.raises(sealing.SealBroken):
        receipts.judge("caller", "route", "other", "f", "f", 201, sealed)
    with pytest.raises(IdempotencyKeyConflict):
        receipts.judge("caller", "route", "key", "f", "g", 201, sealed)


@pytest.mark.parametrize(
    ("header", "key"),
    [(None, None), ("", None), ("  ", None), (" a ", "a"), ("x" * 255, "x" * 255)],
)
def test_a_key_is_trimmed(header: str | None, key: str | None) -> None:
    assert receipts.key_of(header) == key


@pytest.mark.parametrize("header", ["x" * 256, "é", "a\x00b", "a\nb", "a\x7f"])
def test_a_strange_key_is_refused(header: str) -> None:
    with pytest.raises(InvalidIdempotencyKey):
        receipts.key_of(header)


def test_bodies_are_the_same_when_their_json_is() -> None:
    same = receipts.fingerprint_of({"a": 1, "b": [1, 2]})
    assert same == receipts.fingerprint_of({"b": [1, 2], "a": 1})
    assert same != receipts.fingerprint_of({"a": 1, "b": [2, 1]})


def test_a_fingerprint_does_not_let_a_secret_in_the_body_be_guessed(
    settings: Settings,
) -> None:
    """Bodies hold secrets people chose; a fingerprint is of use with the key only."""
    before = receipts.fingerprint_of({"client_secret": "summer"})
    settings.CREDENTIAL_HMAC_KEY = "ab" * 16 + "cd" * 16
    assert receipts.fingerprint_of({"client_secret": "summer"}) != before
