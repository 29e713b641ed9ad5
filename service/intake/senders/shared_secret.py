"""The two plain ways to prove where a message is from, for kinds whose senders choose: an HMAC of the body, or a token.

`authentication` of a mapping says which: {"scheme": "hmac", "header": "x-signature", "encoding": "hex", "prefix": ""}.
An HMAC of the body alone proves nothing about when: a repeated message is harmless because it is a duplicate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.intake.senders.contract import RejectedError, Request, Source
from service.intake.senders.signatures import check_any, check_secret, header, hmac_base64, hmac_hex

HMAC: dict[str, Any] = {"scheme": "hmac", "header": "x-signature", "encoding": "hex", "prefix": ""}
BEARER: dict[str, Any] = {**HMAC, "scheme": "token", "header": "authorization", "prefix": "Bearer "}
_DIGESTS = {"hex": hmac_hex, "base64": hmac_base64}


def check(authentication: Mapping[str, Any]) -> None:
    """Raise ValueError that names the key with an unfit value."""
    if authentication["scheme"] not in ("hmac", "token"):
        raise ValueError("authentication.scheme: expected hmac or token")
    if authentication["encoding"] not in _DIGESTS:
        raise ValueError("authentication.encoding: expected hex or base64")
    if not authentication["header"]:
        raise ValueError("authentication.header: expected the name of a header")


def verify(request: Request, source: Source) -> None:
    """Check the header against the source's secrets."""
    how = source.mapping["authentication"]
    given, prefix = header(request, how["header"]), how["prefix"]
    if given[: len(prefix)].lower() != prefix.lower():
        raise RejectedError(f"the header {how['header']} does not begin with {prefix!r}")
    given = given[len(prefix) :].strip()
    if how["scheme"] == "token":
        check_secret(given, source.secrets, f"the header {how['header']}")
        return
    digest = _DIGESTS[how["encoding"]]
    given = given.lower() if how["encoding"] == "hex" else given
    check_any([given], [digest(secret, request.body) for secret in source.secrets])


def sign(body: bytes, source: Source) -> dict[str, str]:
    """Return the header that `verify` accepts."""
    if not source.secrets:
        return {}
    how, secret = source.mapping["authentication"], source.secrets[0]
    value = secret if how["scheme"] == "token" else _DIGESTS[how["encoding"]](secret, body)
    return {how["header"].lower(): f"{how['prefix']}{value}"}
