"""Which network addresses a request may go to that somebody else chose: pure.

The public internet, and what the operator allows besides. Everything is refused that
is not known to be public: private, shared, loopback, link-local and metadata
addresses, multicast, benchmarks, documentation, and every form of IPv6 address that
stands for one of IPv4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NOT_PUBLIC_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# All of IPv6 that is given out to the public. Loopback, mapped, NAT64, unique local,
# link-local, site-local and multicast addresses lie outside.
PUBLIC_6 = IPv6Network("2000::/3")
NOT_PUBLIC_6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
# IPv6 addresses that end in an IPv4 address: compatible, mapped, translated, NAT64.
ENDING_IN_IPV4 = tuple(
    IPv6Network(text)
    for text in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)


def is_reachable(address: str, allowed: Iterable[Network] = ()) -> bool:
    """Whether a request may go to ``address``.

    An address that stands for another may be reached when both may be: allowing the
    prefix of a NAT64 gateway does not open the loopback behind it.
    """
    networks = tuple(allowed)
    try:
        faces = list(_faces(ip_address(address.partition("%")[0])))
    except ValueError:
        return False
    return all(
        _is_public(face) or any(face in network for network in networks)
        for face in faces
    )


@lru_cache
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """The networks an operator wrote down. Raises ValueError."""
    return tuple(ip_network(text) for text in texts)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_4)
    if address not in PUBLIC_6:
        return False
    return not any(address in network for network in NOT_PUBLIC_6)


def _faces(address: Address) -> Iterator[Address]:
    """The address and every IPv4 address it stands for."""
    yield address
    if isinstance(address, IPv4Address):
        return
    is_own = address in (IPv6Address("::"), IPv6Address("::1"))
    if any(address in network for network in ENDING_IN_IPV4) and not is_own:
        yield IPv4Address(address.packed[12:])
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
