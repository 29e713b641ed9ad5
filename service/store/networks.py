"""Networks that a key may be used from, or that a proxy stands in."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def checked(addresses: Iterable[str]) -> list[str]:
    """Return addresses as networks, each once; ValueError says which one is none."""
    found = []
    for one in addresses:
        try:
            found.append(str(ip_network(one.strip())))
        except ValueError:
            raise ValueError(
                f"addresses: expected one as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32, got {one[:80]}"
            ) from None
    return list(dict.fromkeys(found))


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Tell whether an address is in one of some networks; what is no address is in none."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found  # as a socket for both says it
    return any(found.version == one.version and found in one for one in networks)


def of(addresses: Iterable[str]) -> tuple[Network, ...]:
    """Return networks as they are stored."""
    return tuple(map(ip_network, addresses))
