"""Signatures of Standard Webhooks (standardwebhooks.com): HMAC-SHA256 (v1) or Ed25519 (v1a) over "id.timestamp.body".

The three headers are `webhook-id`, `webhook-timestamp` and `webhook-signature`; some senders have another first word
("svix"). A shared secret is base64 behind whsec_, a public key behind whpk_, a private one (to sign with) behind whsk_.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from service.intake.senders.contract import RejectedError, Request
from service.intake.senders.signatures import check_any, check_fresh, header, hmac_base64

Options = Mapping[str, Any]


def verify(request: Request, secrets: Sequence[str], how: Options, now: datetime) -> None:
    """Accept if one of the signatures fits one of the secrets, and the time is of these minutes."""
    identity, timestamp, given = (
        header(request, f"{how['headers']}-{one}") for one in ("id", "timestamp", "signature")
    )
    check_fresh(timestamp, now, tolerance=how["tolerance"])
    signed = b"%b.%b.%b" % (identity.encode(), timestamp.encode(), request.body)
    pairs = [one.partition(",")[::2] for one in given.split()]
    try:
        keys = [key_of(secret) for secret in secrets]
    except ValueError:
        raise RejectedError("the secret of this source is not base64 behind whsec_: set it again") from None
    shared = [hmac_base64(key, signed) for key in keys if isinstance(key, bytes)]
    public = [key for key in keys if not isinstance(key, bytes)]
    if not any(_fits(key, signature, signed) for key in public for version, signature in pairs if version == "v1a"):
        check_any([signature for version, signature in pairs if version == "v1"], shared)


def _fits(key: Ed25519PrivateKey | Ed25519PublicKey, signature: str, signed: bytes) -> bool:
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    try:
        public.verify(base64.b64decode(signature, validate=True), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def key_of(secret: str) -> bytes | Ed25519PrivateKey | Ed25519PublicKey:
    """Return the key of a secret: shared behind whsec_, public behind whpk_, private (to sign with) behind whsk_."""
    try:
        raw = base64.b64decode(secret.removeprefix("whsec_").removeprefix("whpk_").removeprefix("whsk_"), validate=True)
        if secret.startswith("whpk_"):
            return Ed25519PublicKey.from_public_bytes(raw)
        return Ed25519PrivateKey.from_private_bytes(raw[:32]) if secret.startswith("whsk_") else raw
    except (binascii.Error, ValueError):
        raise ValueError(
            'expected base64 behind whsec_, as `echo "whsec_$(openssl rand -base64 24)"` makes it'
        ) from None


def sign(request: Request, secret: str, how: Options, now: datetime) -> dict[str, str]:
    """Sign; the id is made of the body, so that sending it again is a repeat."""
    identity, timestamp = f"msg_{uuid.uuid5(uuid.NAMESPACE_OID, request.body.hex()).hex}", str(int(now.timestamp()))
    signed, key = b"%b.%b.%b" % (identity.encode(), timestamp.encode(), request.body), key_of(secret)
    if isinstance(key, Ed25519PrivateKey):
        signature = f"v1a,{base64.b64encode(key.sign(signed)).decode()}"
    elif isinstance(key, bytes):
        signature = f"v1,{hmac_base64(key, signed)}"
    else:
        raise ValueError("a public key (whpk_) verifies, and cannot sign")  # noqa: TRY004  a value, not a type
    return {f"{how['headers']}-{name}": value for name, value in zip(
        ("id", "timestamp", "signature"), (identity, timestamp, signature), strict=True,
    )}  # fmt: skip
