"""Where requests may go that somebody else chose the address of."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal_site.addresses import is_reachable, networks

REFUSED = [
    *(str(IPv4Address(0)), "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255"),
    *("127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1"),
    *("172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1"),
    *("198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:7f00:1"),
    *("::ffff:8.8.8.8", "::ffff:0808:0808", "::ffff:0:8.8.8.8"),
    *("64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1"),
    *("2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1"),
    *("2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1"),
    *("3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo"),
    *("fe90::1", "fea0::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1"),
    *("", "localhost", "1.2.3", "example.com"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1"),
    *("172.32.0.1", "192.0.1.1", "198.17.255.255", "198.20.0.0", "223.255.255.255"),
    *("2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888", "2003::1"),
]


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_the_public_internet_is_refused(address: str) -> None:
    assert not is_reachable(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_open(address: str) -> None:
    assert is_reachable(address)


def test_what_is_allowed_is_open_and_nothing_beside_it() -> None:
    allowed = networks(("10.1.0.0/16", "fd00::/8"))
    assert is_reachable("10.1.2.3", allowed)
    assert is_reachable("fd12::1", allowed)
    assert not is_reachable("10.2.0.1", allowed)
    assert not is_reachable("::ffff:10.1.2.3", allowed)


def test_allowing_a_translator_does_not_open_what_lies_behind_it() -> None:
    allowed = networks(("64:ff9b::/96", "::ffff:0:0/96", "2002::/16"))
    assert is_reachable("64:ff9b::8.8.8.8", allowed)
    assert is_reachable("::ffff:8.8.8.8", allowed)
    assert is_reachable("2002:808:808::1", allowed)
    for address in ("64:ff9b::127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::1"):
        assert not is_reachable(address, allowed)


@given(st.ip_addresses(network="0.0.0.0/0"))
def test_no_private_address_of_ipv4_is_open_in_any_form(address: IPv4Address) -> None:
    if address.is_private or address.is_multicast or address.is_reserved:
        assert not is_reachable(str(address))
    number = int(address)
    for form in (
        IPv6Address((0xFFFF << 32) + number),
        IPv6Address((0x64FF9B << 96) + number),
        IPv6Address((0x2002 << 112) + (number << 80)),
        IPv6Address(number),
    ):
        assert not is_reachable(str(form))


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_open_in_ipv6(address: IPv6Address) -> None:
    inside = address in IPv6Network("2000::/3")
    assert not is_reachable(str(address)) or (inside and not address.is_private)


def test_networks_are_read_as_they_are_written() -> None:
    assert networks(("10.0.0.0/8",)) == (IPv4Network("10.0.0.0/8"),)
    with pytest.raises(ValueError, match="host bits"):
        networks(("10.0.0.1/8",))
