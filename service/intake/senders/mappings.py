"""What kinds check in their mappings alike; ValueError names the key and says what belongs there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from service.domain.catalogue import shown
from service.intake.senders.fields import zone


def check_zone(mapping: Mapping[str, Any], key: str = "timezone") -> None:
    """Check that an IANA time zone is named."""
    try:
        zone(mapping[key])
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def check_url(mapping: Mapping[str, Any], key: str, expected: str) -> None:
    """Check that the URL of an API is one; `expected` says what the key wants, with an example."""
    try:
        parts = urlsplit(mapping[key])
        good = parts.scheme in ("http", "https") and parts.hostname
    except ValueError:  # a bracket that is not closed
        good = None
    if not good:
        raise ValueError(f"{key}: expected {expected}, got {shown(mapping[key])}")


def check_choice(mapping: Mapping[str, Any], key: str, *choices: str) -> None:
    """Check that one of a few words is named."""
    if mapping[key] not in choices:
        raise ValueError(f"{key}: expected {' or '.join(choices)}, got {shown(mapping[key])}")


def check_campaigns(mapping: Mapping[str, Any], key: str = "campaigns") -> None:
    """Check that a table gives a campaign for each of the sender's names."""
    for name, ours in mapping[key].items():
        if not isinstance(ours, str) or not ours:
            raise ValueError(f"{key}.{name}: expected a campaign_id, got {shown(ours)}")
