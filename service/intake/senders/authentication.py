"""How a message proves where it is from, chosen apart from what it looks like: any scheme with any kind of sender.

`authentication` in a mapping names a scheme; without it, a kind's own way holds (`Kind.verify`, or `Kind.authentication`):

    hmac               an HMAC of what `signed` says, in a header (or a part of one), or in the body itself
    hash               a plain hash, where the sender mixes the secret into the text: `signed` has to have {secret}
    token              the secret itself, in a header, in the query, or in the body
    bearer, basic      the secret in Authorization; of Basic it is "user:password"
    standard-webhooks  three headers, as standardwebhooks.com says, with a shared secret (v1) or a public key (v1a)
    message-signature  HTTP message signatures, RFC 9421
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from service.intake.senders import message_signatures, signed_texts, webhook_signatures
from service.intake.senders.contract import Kind, RejectedError, Request, Screened, Source
from service.intake.senders.fields import with_defaults
from service.intake.senders.signatures import check_secret, header

Options = Mapping[str, Any]
_WHERE = {"header": "x-signature", "field": None, "prefix": ""}
_SIGNED = {
    **_WHERE, "part": None, "encoding": "hex", "algorithm": "sha256", "signed": "{body}", "key": "text", "timestamp": None,
    "unit": "seconds", "tolerance": 300,
}  # fmt: skip
_TOKEN = {"header": "authorization", "query": None, "field": None, "prefix": ""}
DEFAULTS: dict[str, dict[str, Any]] = {
    "hmac": _SIGNED,
    "hash": {name: value for name, value in _SIGNED.items() if name != "key"} | {"signed": None},
    "token": _TOKEN,
    "bearer": {**_TOKEN, "prefix": "Bearer "},
    "basic": {},
    "standard-webhooks": {"headers": "webhook", "tolerance": 300},  # or "svix": svix-id and so on
    "message-signature": {
        "algorithm": "hmac-sha256",
        "components": ["content-digest"],
        "key": "text",
        "tolerance": 300,
    },
}
_FORMER = ("encoding",)  # what mappings of tokens might name once, to no effect
_CHOICES = {"encoding": tuple(signed_texts.ENCODINGS), "key": tuple(signed_texts.KEYS), "unit": signed_texts.UNITS}


def apart(kind: Kind) -> Kind:
    """Return a kind whose mapping may have `authentication`: what is chosen there holds in place of the kind's own way."""

    def check_mapping(mapping: Options) -> dict[str, Any]:
        given = mapping.get("authentication")
        checked = kind.check_mapping({name: value for name, value in mapping.items() if name != "authentication"})
        if given is None and not kind.authentication:
            return checked
        return {**checked, "authentication": check(given or {}, kind.authentication)}

    def verify(request: Request, source: Source, now: datetime) -> None:
        if how := source.mapping.get("authentication"):
            _VERIFIERS[how["scheme"]](request, source.secrets, how, now)
        else:
            kind.verify(request, source, now)

    def sign(body: bytes, source: Source, now: datetime) -> dict[str, str]:
        own = kind.sign(body, source, now)
        how = source.mapping.get("authentication")
        if how is None or not source.secrets:
            return own
        request = Request("POST", source.public_url, own, {}, body, now)
        return {**own, **_SIGNERS[how["scheme"]](request, source.secrets[0], how, now)}

    def screened(request: Request, source: Source) -> Screened:
        kept = kind.screened(request, source)
        how = source.mapping.get("authentication") or {}
        if how.get("scheme") not in ("token", "bearer") or not how["field"] or kept.own is None:
            return kept
        body = kept.own  # the secret itself stands in it
        for secret in source.secrets:
            body = body.replace(secret.encode(), b"***")
        return kept._replace(own=body)

    return kind._replace(check_mapping=check_mapping, verify=verify, sign=sign, screened=screened)


def authentication_of(kind: Kind, mapping: Options) -> dict[str, Any] | None:
    """Return how messages are authenticated by a mapping whose rest may not fit; None is the kind's own way."""
    given = mapping.get("authentication")
    if given is None and not kind.authentication:
        return None
    try:
        return check(given or {}, kind.authentication)
    except ValueError:
        return None


def check(given: Any, usual: Options) -> dict[str, Any]:
    """Complete `authentication`; `usual` is the kind's own. ValueError names the key that does not fit."""
    if not isinstance(given, Mapping):
        raise ValueError("authentication: expected an object with a scheme")  # noqa: TRY004  as every mapping error
    scheme = given.get("scheme", usual.get("scheme", "hmac"))
    if scheme not in DEFAULTS:
        raise ValueError(f"authentication.scheme: expected one of {', '.join(DEFAULTS)}, got {scheme}")
    # The kind's own options hold where no scheme is named, and the place of its proof for a token that is named without one.
    placed = scheme == "token" and not given.keys() & {"header", "query", "field"}
    same = usual if placed or "scheme" not in given else {}
    same = {name: value for name, value in same.items() if name in DEFAULTS[scheme]}
    former = _FORMER if scheme == "token" else ()
    rest = {**same, **{name: value for name, value in given.items() if name != "scheme" and name not in former}}
    how = {"scheme": scheme, **with_defaults(rest, DEFAULTS[scheme], where="authentication.")}
    for name, choices in _CHOICES.items():
        _one_of(how, name, choices)
    _one_of(how, "algorithm", message_signatures.ALGORITHMS if scheme == "message-signature" else signed_texts.HASHES)
    if how.get("tolerance", 1) < 1:
        raise ValueError(f"authentication.tolerance: expected seconds, 1 or more, got {how['tolerance']}")
    if "header" in how and not (how["header"] or how["field"]):
        raise ValueError("authentication.header: expected the name of a header, or a field of the body")
    if scheme in ("hmac", "hash"):
        how |= _signed(how)
    components = how.get("components", ["content-digest"])
    if not all(isinstance(one, str) for one in components) or "content-digest" not in components:
        raise ValueError('authentication.components: expected names such as "@method", and "content-digest" among them')
    return {**how, "key_of": signed_texts.KEYS[how.get("key", "text")]}


def _signed(how: Options) -> dict[str, Any]:
    """Return the templates of what is signed and of when; it has to cover the body, else any body would pass."""
    texts = {name: how[name] for name in ("signed", "timestamp")}
    read = {
        f"{name}_by": signed_texts.template(text, f"authentication.{name}") if text else None
        for name, text in texts.items()
    }
    if not any(slot.partition(".")[0] in ("body", "sha256") for _, slot in read["signed_by"] or ()):
        raise ValueError(
            'authentication.signed: expected a text with {body}, a member of it, or {sha256}, such as "{body}"'
        )
    if how["scheme"] == "hash" and "{secret}" not in how["signed"]:
        raise ValueError('authentication.signed: expected a text with {secret}, as in "{secret}{body}"')
    return read


def check_secret_of(secret: str, how: Options | None) -> None:
    """Raise ValueError if a secret cannot be one of the scheme."""
    match how and how["scheme"]:
        case "hmac":
            signed_texts.key_of(secret, how or {})
        case "basic" if not secret.partition(":")[2]:
            raise ValueError('expected "user:password"; is the shell variable of the password set?')
        case "standard-webhooks":
            webhook_signatures.key_of(secret)
        case "message-signature":
            message_signatures.check_key(secret, (how or {})["algorithm"])


def _one_of(how: Options, name: str, choices: Sequence[str]) -> None:
    if name in how and how[name] not in choices:
        raise ValueError(f"authentication.{name}: expected one of {', '.join(choices)}, got {how[name]}")


def _verify_token(request: Request, secrets: Sequence[str], how: Options, _: datetime) -> None:
    where, text = signed_texts.sent(request, how)
    given = next(signed_texts.stripped([text], how["prefix"]), None)
    if given is None:
        raise RejectedError(f"{where} does not begin with {how['prefix']!r}")
    check_secret(given, secrets, where)


def _sign_token(_: Request, secret: str, how: Options, __: datetime) -> dict[str, str]:
    return {} if how["field"] else {how["header"].lower(): f"{how['prefix']}{secret}"}


def _verify_basic(request: Request, secrets: Sequence[str], _: Options, __: datetime) -> None:
    scheme, _space, text = header(request, "authorization").partition(" ")
    try:
        given = base64.b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        given = ""
    if scheme.lower() != "basic" or not given:
        raise RejectedError("the header Authorization does not have user and password (Basic)")
    check_secret(given, secrets, "user and password")


def _sign_basic(_: Request, secret: str, __: Options, ___: datetime) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}


_VERIFIERS: dict[str, Callable[[Request, Sequence[str], Options, datetime], None]] = {
    "hmac": signed_texts.verify, "hash": signed_texts.verify, "token": _verify_token, "bearer": _verify_token,
    "basic": _verify_basic, "standard-webhooks": webhook_signatures.verify, "message-signature": message_signatures.verify,
}  # fmt: skip
_SIGNERS: dict[str, Callable[[Request, str, Options, datetime], dict[str, str]]] = {
    "hmac": signed_texts.sign, "hash": signed_texts.sign, "token": _sign_token, "bearer": _sign_token, "basic": _sign_basic,
    "standard-webhooks": webhook_signatures.sign, "message-signature": message_signatures.sign,
}  # fmt: skip
