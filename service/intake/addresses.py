"""Which addresses and ports the service asks by itself: public ones and the usual two, and what the operator names.

Of IPv6 only global unicast is public, without the ranges that carry an IPv4 address or stand for something else: what is
written as `::127.0.0.1`, `::ffff:127.0.0.1`, `::ffff:0:127.0.0.1`, NAT64, 6to4 or Teredo may lead into one's own network.
"""

from __future__ import annotations

import ipaddress
import re

USUAL_PORTS = {"http": 80, "https": 443}
_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s/:\[\]@]+)(?::(\d{1,5}))?", re.ASCII)
_UNICAST = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(one)
    for one in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32", "3fff::/20",  # for documentation
        "2002::/16",  # 6to4
        "192.88.99.0/24",  # its relays
        "192.0.0.0/24",  # protocol assignments: DS-Lite, NAT64 discovery
    )
)  # fmt: skip


def is_public(address: str) -> bool:
    """Whether an address, as the resolver gives it, may be asked by anybody's configuration."""
    if "%" in address:  # of one interface
        return False
    found = ipaddress.ip_address(address)
    if found.version == 6 and found not in _UNICAST:  # noqa: PLR2004  the version of IP
        return False
    special = any(found.version == one.version and found in one for one in _NOT_PUBLIC)
    return found.is_global and not found.is_multicast and not found.is_reserved and not special


def host_and_port(entry: str) -> tuple[str, int | None]:
    """Return a host as URLs have it and a port, or None for the usual ports; ValueError if it is neither."""
    match = _HOST_AND_PORT.fullmatch(entry)
    if match is None:
        raise ValueError(
            f"CAMPAIGN_LEDGER_PRIVATE_HOSTS: expected crm.internal, crm.internal:8443 or [fd00::1]:8443, got {entry}"
        )
    host, port = match.groups()
    return host.strip("[]").lower(), int(port) if port else None
