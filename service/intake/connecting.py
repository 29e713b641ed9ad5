"""What a source may be given, checked in one place for the API and the command line (pure).

An empty secret is what a shell variable that is not set leaves behind: with it, anybody could post.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from service.intake.senders import KINDS
from service.intake.senders.authentication import check_secret_of

SHORTEST_SECRET, LONGEST_SECRET = 8, 4096
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"
_MADE = "is the shell variable set? `openssl rand -hex 24` makes a good one"


class UnfitError(ValueError):
    """A part of a source that cannot be so: `field` says which, `expected` what belongs there. Never tells a secret."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field, self.expected = field, expected


def check(
    kind: str,
    secrets: Sequence[str] | None,
    credentials: Mapping[str, str] | None,
    mapping: Mapping[str, object] | None,
    *,
    name: str | None = None,
    before: Mapping[str, object] | None = None,
) -> None:
    """Raise UnfitError for the first part that does not fit. `before` is the mapping that holds if there is no new one."""
    if kind not in KINDS:
        raise UnfitError("kind", f"one of {', '.join(KINDS)}")
    if name is not None and re.fullmatch(NAME, name) is None:
        raise UnfitError("name", "1 to 80 letters, digits, dots, dashes and underscores, the first a letter or digit")
    try:
        checked = KINDS[kind].check_mapping(mapping if mapping is not None else before or {})
    except ValueError as error:
        if mapping is not None or name is not None:
            raise UnfitError("mapping", str(error)) from None
        checked = {}  # a mapping of an earlier release that no longer fits is told where it is used
    for number, secret in enumerate(secrets or ()):
        _check_secret(secret, f"secrets.{number}", checked.get("authentication"))
    for given, value in (credentials or {}).items():
        if given not in KINDS[kind].credentials:
            known = ", ".join(KINDS[kind].credentials)
            expected = f"one of {known} for {kind}" if known else f"none: the kind {kind} reads nothing back"
            raise UnfitError(f"credentials.{given}", expected)
        if not 0 < len(value.strip()) <= LONGEST_SECRET:
            raise UnfitError(f"credentials.{given}", f"1 to {LONGEST_SECRET} characters; is the shell variable set?")


def _check_secret(secret: str, field: str, authentication: Mapping[str, object] | None) -> None:
    if not SHORTEST_SECRET <= len(secret.strip()) <= LONGEST_SECRET:
        raise UnfitError(field, f"{SHORTEST_SECRET} to {LONGEST_SECRET} characters; {_MADE}")
    try:
        check_secret_of(secret, authentication)
    except ValueError as error:
        raise UnfitError(field, str(error).removeprefix("expected ")) from None
