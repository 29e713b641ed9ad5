"""A signature over a text that the mapping describes: HMAC or hash, in a header, in a part of one, or in the body itself.

`signed` is a text with {body}, {body.a.b} (a member as it was written), {method}, {url}, {path}, {header.name}, {part.name}
(of a header such as "t=…,v1=…"), {sha256} (of the body, hexadecimal) and {secret}. A signature without a time proves nothing
about when: a message that is posted again is harmless, because it is a duplicate.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from service.domain.calendar import parse_instant
from service.intake.senders.contract import RejectedError, Request
from service.intake.senders.signatures import check_any, check_fresh, header

Options = Mapping[str, Any]
Template = Sequence[tuple[str, str]]  # (constant, slot) …
HASHES = ("sha256", "sha1", "sha384", "sha512")
KEYS: dict[str, Callable[[str], bytes]] = {  # how the secret writes the key
    "text": lambda secret: secret.encode(),
    "base64": lambda secret: base64.b64decode(secret, validate=True),
    "hex": bytes.fromhex,
}
ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": lambda raw: base64.b64encode(raw).decode(),
    "base64url": lambda raw: base64.urlsafe_b64encode(raw).decode(),
}
UNITS = ("seconds", "milliseconds", "iso")
_SLOT = re.compile(r"\{([^{}]*)\}")
_SLOTS = ("body", "method", "url", "path", "sha256", "secret")
_PARTS = re.compile(r"[\s,;]+")
_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])


def template(text: str, key: str) -> Template:
    """Read a text with slots; ValueError names the `key` of one that is unknown."""
    pieces = _SLOT.split(text)
    for slot in pieces[1::2]:
        name, _, rest = slot.partition(".")
        if slot not in _SLOTS and not (name in ("body", "header", "part") and rest):
            known = ", ".join(f"{{{one}}}" for one in (*_SLOTS, "body.field", "header.name", "part.name"))
            raise ValueError(f"{key}: expected one of {known}, got {{{slot}}}")
    return list(zip(pieces[::2], [*pieces[1::2], ""], strict=True))


def _filled(template: Template, request: Request, parts: Mapping[str, Sequence[str]], secret: str = "") -> bytes:
    written = []
    for constant, slot in template:
        written += [constant.encode(), _value(slot, request, parts, secret) if slot else b""]
    return b"".join(written)


def _value(slot: str, request: Request, parts: Mapping[str, Sequence[str]], secret: str) -> bytes:
    name, _, rest = slot.partition(".")
    match name:
        case "body":
            return _member(request.body, rest) if rest else request.body
        case "header":
            return header(request, rest).encode()
        case "part":
            return next(iter(parts.get(rest, ())), "").encode()
    values = {
        "method": request.method, "url": request.url, "secret": secret,
        "path": "/" + request.url.partition("://")[2].partition("/")[2],
        "sha256": hashlib.sha256(request.body).hexdigest(),
    }  # fmt: skip
    return values[name].encode()


def _member(body: bytes, path: str) -> bytes:
    """Return a member of a JSON body: a text without its quotes, else as it was written, spaces and all."""
    raw = msgspec.Raw(body)
    try:
        for name in path.split("."):
            raw = _RAW.decode(raw)[name]
        return msgspec.json.decode(raw, type=str).encode() if bytes(raw)[:1] == b'"' else bytes(raw)
    except (msgspec.DecodeError, KeyError, ValueError, RecursionError):
        raise RejectedError(f"the body has no {path}, which the check needs") from None


def verify(request: Request, secrets: Sequence[str], how: Options, now: datetime) -> None:
    """Accept if one of the signatures fits one of the secrets, and the time, where there is one, is of these minutes."""
    given, parts = _given(request, how)
    if how["timestamp_by"]:
        _check_time(_filled(how["timestamp_by"], request, parts).decode(errors="replace"), how, now)
    if how["encoding"] == "hex":
        given = [one.lower() for one in given]
    try:
        expected = [_digest(request, parts, secret, how) for secret in secrets]
    except ValueError as error:
        raise RejectedError(f"the secret of this source does not fit: {error}; set it again") from None
    check_any(given, expected)


def sign(request: Request, secret: str, how: Options, now: datetime) -> dict[str, str]:
    """Return the headers; a signature in the body has to be there already."""
    stamp = {"seconds": str(int(now.timestamp())), "milliseconds": str(int(now.timestamp() * 1000))}
    at = stamp.get(how["unit"], now.isoformat().replace("+00:00", "Z"))
    times = {slot for _, slot in how["timestamp_by"] or ()}
    slots = [slot for _, slot in (*how["signed_by"], *(how["timestamp_by"] or ())) if "." in slot]
    unique = uuid.uuid5(uuid.NAMESPACE_OID, request.body.hex()).hex
    values = {slot: at if slot in times else unique for slot in slots if not slot.startswith("body.")}
    headers = {slot[7:].lower(): value for slot, value in values.items() if slot.startswith("header.")}
    parts = {slot[5:]: value for slot, value in values.items() if slot.startswith("part.")}
    if how["field"]:
        return headers
    signed = request._replace(headers={**request.headers, **headers})
    digest = _digest(signed, {name: [value] for name, value in parts.items()}, secret, how)
    if how["part"]:
        digest = ",".join(f"{name}={value}" for name, value in {**parts, how["part"]: digest}.items())
    return {**headers, how["header"].lower(): f"{how['prefix']}{digest}"}


def _given(request: Request, how: Options) -> tuple[list[str], Mapping[str, Sequence[str]]]:
    """Return the signatures that a request carries, and the parts of the header that has them."""
    where, text = sent(request, how)
    parts: dict[str, list[str]] = {}
    several = [one for one in _PARTS.split(text) if one]
    for one in several if how["part"] else ():
        name, _, value = one.partition("=")
        parts.setdefault(name, []).append(value)
    if how["part"]:
        several = parts.get(how["part"], [])
    found = list(stripped(several, how["prefix"] if not how["part"] else ""))
    if not found:
        wanted = f"{how['part']}=" if how["part"] else how["prefix"]
        raise RejectedError(f"{where} has no signature that begins with {wanted!r}")
    return found, parts


def sent(request: Request, how: Options) -> tuple[str, str]:
    """Return where the proof is, and the proof: in a field of the body, in the query, or in a header."""
    if how["field"]:
        return f"the field {how['field']}", _member(request.body, how["field"]).decode(errors="replace")
    query = how.get("query")
    if query and how["header"].lower() not in request.headers and query in request.query:
        return f"the query's {query}", how["prefix"] + request.query[query]
    if query and how["header"].lower() not in request.headers:
        raise RejectedError(f"the header {how['header']}, or {query} in the query, is missing")
    return f"the header {how['header']}", header(request, how["header"])


def stripped(several: Sequence[str], prefix: str) -> Iterator[str]:
    """Yield what stands behind a prefix, whose case does not matter."""
    for one in several:
        if one[: len(prefix)].lower() == prefix.lower():
            yield one[len(prefix) :].strip()


def _digest(request: Request, parts: Mapping[str, Sequence[str]], secret: str, how: Options) -> str:
    signed = _filled(how["signed_by"], request, parts, secret)
    if how["scheme"] == "hash":
        raw = hashlib.new(how["algorithm"], signed).digest()
    else:
        raw = hmac.new(key_of(secret, how), signed, how["algorithm"]).digest()
    return ENCODINGS[how["encoding"]](raw)


def key_of(secret: str, how: Options) -> bytes:
    """Return the key that a secret writes; ValueError if it does not."""
    try:
        key: bytes = how["key_of"](secret)
    except (binascii.Error, ValueError):
        raise ValueError(f"expected a key written as {how['key']}") from None
    return key


def _check_time(text: str, how: Options, now: datetime) -> None:
    if how["unit"] == "iso":
        try:
            text = str(parse_instant(text)[0] // 1_000_000)
        except ValueError:
            raise RejectedError("the timestamp is no time such as 2026-03-01T09:30:00Z") from None
    check_fresh(text, now, tolerance=how["tolerance"], unit=0.001 if how["unit"] == "milliseconds" else 1.0)
