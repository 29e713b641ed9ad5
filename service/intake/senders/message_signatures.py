"""HTTP message signatures (RFC 9421) with a digest of the body (RFC 9530): what is covered, and whether it fits a key.

    Signature-Input: sig1=("@method" "@target-uri" "content-digest");created=1772445000;keyid="shop"
    Signature:       sig1=:…:
    Content-Digest:  sha-256=:…:

A key is the secret of `hmac-sha256`, or a public key in PEM of the asymmetric algorithms; a private one signs, too.
Components with parameters are not understood, but for `@query-param`; a signature that covers one is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from service.intake.senders.contract import RejectedError, Request
from service.intake.senders.signatures import check_fresh, header

ALGORITHMS = ("hmac-sha256", "ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512", "rsa-v1_5-sha256")
_MEMBER = re.compile(r'\s*([a-z*][a-z0-9_.*-]*)=((?:"(?:[^"\\]|\\.)*"|[^",])*)(?:,|$)')
_INPUT = re.compile(r'\((?P<covered>(?:"(?:[^"\\]|\\.)*"|[^()"])*)\)(?P<parameters>.*)', re.DOTALL)
_COVERED = re.compile(r'\s*"([^"\\]+)"((?:;[a-z*][^\s;"]*(?:"[^"\\]*")?)*)')
_PARAMETER = re.compile(r';\s*([a-z*][a-z0-9_.*-]*)=(?:"([^"\\]*)"|([^;"\s]+))')
_QUERY_NAME = re.compile(r';name="([^"\\]*)"')
_BYTES = re.compile(r":([A-Za-z0-9+/=]*):")
_DIGESTS = {"sha-256": "sha256", "sha-512": "sha512"}
_LONGEST = 4096  # characters; a signature of RSA has less than a thousand
_P256 = 32  # bytes of each of the two numbers of a signature


class Input(NamedTuple):
    """What a signature says of itself: the components that it covers, its parameters, and both as they were written."""

    covered: Sequence[tuple[str, str]]  # name and parameters
    parameters: Mapping[str, str]
    text: str


def verify(request: Request, secrets: Sequence[str], how: Mapping[str, Any], now: datetime) -> None:
    """Accept if one of the signatures covers what has to be covered, is of these minutes, and fits one of the keys."""
    inputs = dict(_members(header(request, "signature-input")))
    signatures = dict(_members(header(request, "signature")))
    refused = RejectedError("Signature and Signature-Input have no signature in common")
    for label, text in inputs.items():
        if label in signatures:
            try:
                _verify(request, _input(text), _bytes(signatures[label]), secrets, how, now)
            except RejectedError as error:
                refused = error
            else:
                return
    raise refused


def sign(request: Request, secret: str, how: Mapping[str, Any], now: datetime) -> dict[str, str]:
    """Return the headers that `verify` accepts."""
    digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    headers = {"content-digest": f"sha-256=:{digest}:"}
    covered = " ".join(f'"{one}"' for one in how["components"])
    text = f'({covered});created={int(now.timestamp())};alg="{how["algorithm"]}"'
    base = _base(request._replace(headers={**request.headers, **headers}), _input(text))
    signature = base64.b64encode(_signature(how, secret, base)).decode()
    return {**headers, "signature-input": f"sig1={text}", "signature": f"sig1=:{signature}:"}


def check_key(secret: str, algorithm: str) -> None:
    """Raise ValueError if a secret is no key of the algorithm."""
    if algorithm != "hmac-sha256" and not isinstance(_public(secret), _KEYS[algorithm]):
        raise ValueError(f"expected a public key in PEM for {algorithm}")


def _verify(
    request: Request, given: Input, signature: bytes, secrets: Sequence[str], how: Mapping[str, Any], now: datetime
) -> None:
    names = [name for name, _ in given.covered]
    if missing := [one for one in how["components"] if one not in names]:
        raise RejectedError(f"the signature does not cover {', '.join(missing)}")
    if given.parameters.get("alg", how["algorithm"]) != how["algorithm"]:
        raise RejectedError(f"the signature is made with another algorithm than {how['algorithm']}")
    check_fresh(given.parameters.get("created", ""), now, tolerance=how["tolerance"])
    expires = given.parameters.get("expires", "")
    if expires.isdigit() and int(expires) < now.timestamp():
        raise RejectedError("the signature has expired")
    if "content-digest" in names:
        _check_digest(request)
    base = _base(request, given)
    if not any([_fits(how, secret, signature, base) for secret in secrets]):  # noqa: C419  all are compared
        raise RejectedError("the signature does not fit any secret of this source")


def _check_digest(request: Request) -> None:
    known = [(_DIGESTS[name], text) for name, text in _members(header(request, "content-digest")) if name in _DIGESTS]
    if not known:
        raise RejectedError("Content-Digest has neither sha-256 nor sha-512")
    for algorithm, text in known:
        if not hmac.compare_digest(hashlib.new(algorithm, request.body).digest(), _bytes(text)):
            raise RejectedError("Content-Digest does not fit the body")


def _members(text: str) -> Iterator[tuple[str, str]]:
    """Yield the members of a dictionary (RFC 8941) with their values as they are written."""
    if len(text) > _LONGEST:
        raise RejectedError(f"a header of the signature has more than {_LONGEST} characters")
    for match in _MEMBER.finditer(text):
        yield match[1], match[2].strip()


def _input(text: str) -> Input:
    match = _INPUT.fullmatch(text)
    if match is None:
        raise RejectedError("Signature-Input has no list of components")
    covered = [(one[1], one[2]) for one in _COVERED.finditer(match["covered"])]
    parameters = {one[1]: one[2] if one[2] is not None else one[3] for one in _PARAMETER.finditer(match["parameters"])}
    return Input(covered, parameters, text)


def _bytes(text: str) -> bytes:
    """Return a byte sequence, which stands in base64 between colons."""
    match = _BYTES.fullmatch(text)
    try:
        return base64.b64decode(match[1] if match else ":", validate=True)
    except (binascii.Error, ValueError):
        raise RejectedError("a signature or a digest is not base64 between colons") from None


def _base(request: Request, given: Input) -> bytes:
    """Return what is signed (RFC 9421, section 2.5)."""
    lines = [f'"{name}"{more}: {_component(request, name, more)}' for name, more in given.covered]
    if len(set(given.covered)) < len(given.covered):
        raise RejectedError("the signature covers a component twice")
    return "\n".join([*lines, f'"@signature-params": {given.text}']).encode()


def _component(request: Request, name: str, more: str) -> str:
    parts = urlsplit(request.url)
    if name == "@query-param" and (match := _QUERY_NAME.fullmatch(more)):
        values = [
            value for one, value in parse_qsl(parts.query, keep_blank_values=True) if quote(one, safe="") == match[1]
        ]
        if len(values) != 1:
            raise RejectedError(f"the query does not have one parameter {match[1]}, which the signature covers")
        return quote(values[0], safe="")
    if more:
        raise RejectedError(f"the signature covers {name} with parameters, which is not understood here")
    derived = {
        "@method": request.method, "@target-uri": request.url, "@authority": parts.netloc.lower(),
        "@scheme": parts.scheme.lower(), "@path": parts.path or "/", "@query": f"?{parts.query}",
        "@request-target": (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    }  # fmt: skip
    if name in derived:
        return derived[name]
    if name.startswith("@") or name not in request.headers:
        raise RejectedError(f"the signature covers {name}, which the request does not have")
    return request.headers[name].strip()


# An algorithm's key, how it signs, and how it verifies (raising InvalidSignature).
_KEYS: dict[str, Any] = {
    "ed25519": ed25519.Ed25519PublicKey, "ecdsa-p256-sha256": ec.EllipticCurvePublicKey,
    "rsa-pss-sha512": rsa.RSAPublicKey, "rsa-v1_5-sha256": rsa.RSAPublicKey,
}  # fmt: skip
_PSS = padding.PSS(padding.MGF1(hashes.SHA512()), 64)


def _fits(how: Mapping[str, Any], secret: str, signature: bytes, base: bytes) -> bool:
    algorithm = how["algorithm"]
    if algorithm == "hmac-sha256":
        return hmac.compare_digest(_signature(how, secret, base), signature)
    try:
        check_key(secret, algorithm)
        _VERIFIERS[algorithm](_public(secret), signature, base)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _verify_ecdsa(key: Any, signature: bytes, base: bytes) -> None:
    if len(signature) != 2 * _P256:
        raise InvalidSignature
    numbers = (int.from_bytes(signature[:_P256], "big"), int.from_bytes(signature[_P256:], "big"))
    key.verify(utils.encode_dss_signature(*numbers), base, ec.ECDSA(hashes.SHA256()))


_VERIFIERS: dict[str, Callable[[Any, bytes, bytes], None]] = {
    "ed25519": lambda key, signature, base: key.verify(signature, base),
    "ecdsa-p256-sha256": _verify_ecdsa,
    "rsa-pss-sha512": lambda key, signature, base: key.verify(signature, base, _PSS, hashes.SHA512()),
    "rsa-v1_5-sha256": lambda key, signature, base: key.verify(signature, base, padding.PKCS1v15(), hashes.SHA256()),
}


def _signature(how: Mapping[str, Any], secret: str, base: bytes) -> bytes:
    if how["algorithm"] == "hmac-sha256":
        return hmac.new(how["key_of"](secret), base, hashlib.sha256).digest()
    key: Any = serialization.load_pem_private_key(secret.encode(), None)
    match how["algorithm"]:
        case "ed25519":
            signature: bytes = key.sign(base)
        case "ecdsa-p256-sha256":
            numbers = utils.decode_dss_signature(key.sign(base, ec.ECDSA(hashes.SHA256())))
            signature = b"".join(one.to_bytes(_P256, "big") for one in numbers)
        case "rsa-pss-sha512":
            signature = key.sign(base, _PSS, hashes.SHA512())
        case _:
            signature = key.sign(base, padding.PKCS1v15(), hashes.SHA256())
    return signature


def _public(pem: str) -> Any:
    """Return the public key of a PEM text, or that of a private one; ValueError if it is none."""
    try:
        if "PRIVATE KEY" in pem:
            return serialization.load_pem_private_key(pem.encode(), None).public_key()
        return serialization.load_pem_public_key(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("expected a key in PEM") from None
