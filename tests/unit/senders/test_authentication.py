"""How messages prove where they are from, apart from what they look like: every scheme, and any of them with any kind."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from service.intake.senders import KINDS
from service.intake.senders.authentication import check_secret_of
from service.intake.senders.contract import RejectedError, Request, Source
from tests.support.stories.generic import MAPPING

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
SECRET, OLD = "a-secret-0123456789", "the-old-secret-01234"
WEBHOOK = "whsec_YS1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NTY3ODk="
BODY = b'{"Content": {"Topic":"SalesInvoices",  "Key": "1"}, "HashCode": "%s", "id": "7"}'
URL = "https://ledger.example.com/v1/hooks/src_x?a=1"


def source(*secrets: str, kind: str = "generic", **how: Any) -> Source:
    mapping = {**(MAPPING if kind == "generic" else {}), "authentication": how}
    return Source("s", kind, "shop", secrets or (SECRET, OLD), KINDS[kind].check_mapping(mapping), URL)


def request(body: bytes = b"{}", headers: Mapping[str, str] | None = None, **query: str) -> Request:
    return Request("POST", URL, headers or {}, query, body, NOW)


def verify(one: Request, at: Source, now: datetime = NOW) -> None:
    KINDS[at.kind].verify(one, at, now)


def refused(one: Request, at: Source, now: datetime = NOW) -> str:
    with pytest.raises(RejectedError) as error:
        verify(one, at, now)
    assert not any(secret in str(error.value) for secret in at.secrets)
    return str(error.value)


def pem(key: Any) -> tuple[str, str]:
    """Return a private key and its public one as PEM."""
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


PROXY = {"scheme": "hmac", "header": "X-Proxy"}
SCHEMES: list[tuple[str, dict[str, Any]]] = [
    (SECRET, {"scheme": "hmac"}),
    (SECRET, {"scheme": "hmac", "header": "X-Sum", "encoding": "base64", "algorithm": "sha512", "prefix": "sha512="}),
    (SECRET, {"scheme": "hmac", "part": "v1", "signed": "{part.t}.{body}", "timestamp": "{part.t}"}),
    (SECRET, {"scheme": "hmac", "signed": "{method}\n{url}\n{header.x-time}\n{sha256}", "timestamp": "{header.x-time}",
              "unit": "milliseconds"}),
    (SECRET, {"scheme": "hmac", "signed": "{header.x-time}{body}", "timestamp": "{header.x-time}", "unit": "iso"}),
    (base64.b64encode(b"key" * 9).decode(), {"scheme": "hmac", "key": "base64", "encoding": "base64url"}),
    (SECRET, {"scheme": "hash", "signed": "{secret}{body}"}),
    (SECRET, {"scheme": "token", "header": "X-Api-Key"}), (SECRET, {"scheme": "bearer"}),
    (f"shop:{SECRET}", {"scheme": "basic"}), (WEBHOOK, {"scheme": "standard-webhooks"}),
    (WEBHOOK, {"scheme": "standard-webhooks", "headers": "svix"}), (SECRET, {"scheme": "message-signature"}),
    (SECRET, {"scheme": "message-signature", "components": ["@method", "@target-uri", "content-digest", "content-type"]}),
]  # fmt: skip


@pytest.mark.parametrize(("secret", "how"), SCHEMES, ids=lambda one: str(one)[:60])
@pytest.mark.parametrize("kind", ["generic", "erpnext", "hubspot", "business-central", "standard-webhooks"])
def test_any_scheme_goes_with_any_kind(kind: str, secret: str, how: dict[str, Any]) -> None:
    at = source(secret, kind=kind, **how)
    headers = KINDS[kind].sign(b'{"a": 1}', at, NOW)
    signed = request(b'{"a": 1}', {name.lower(): value for name, value in headers.items()})
    verify(signed, at)
    refused(signed, at._replace(secrets=(secret.replace("0123", "9876") if "0123" in secret else "bm8=",)))
    refused(request(signed.body), at)
    if how["scheme"] not in ("token", "bearer", "basic"):
        refused(signed._replace(body=b'{"a": 2}'), at)
    if "timestamp" in how or how["scheme"] in ("standard-webhooks", "message-signature"):
        refused(signed, at, NOW + timedelta(seconds=301))
        verify(signed, at, NOW + timedelta(seconds=299))


def test_the_generic_kind_checks_standard_webhooks_and_refuses_what_was_changed_on_the_way() -> None:
    # The example of the Standard Webhooks specification.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }  # fmt: skip
    at, then = source(secret, scheme="standard-webhooks"), datetime.fromtimestamp(1614265330, UTC)
    verify(request(b'{"test": 2432232314}', headers), at, then)
    assert "does not fit" in refused(request(b'{"test": 2432232315}', headers), at, then)


def test_an_asymmetric_webhook_signature_is_checked_with_the_public_key() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    raw = serialization.Encoding.Raw
    private = key.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    public = key.public_key().public_bytes(raw, serialization.PublicFormat.Raw)
    secrets = [f"whsk_{base64.b64encode(private).decode()}", f"whpk_{base64.b64encode(public).decode()}"]
    signer, receiver = (source(one, scheme="standard-webhooks") for one in secrets)
    headers = KINDS["generic"].sign(b"{}", signer, NOW)
    assert headers["webhook-signature"].startswith("v1a,")
    verify(request(b"{}", headers), receiver)
    refused(request(b"[]", headers), receiver)
    refused(request(b"{}", {**headers, "webhook-signature": "v1a,AAAA v1a,!"}), receiver)


def test_a_hash_inside_the_body_is_over_the_text_of_a_member_as_it_was_written() -> None:
    content = b'{"Topic":"SalesInvoices",  "Key": "1"}'
    digest = hmac.new(SECRET.encode(), content, "sha256").hexdigest().upper().encode()
    at = source(scheme="hmac", field="HashCode", signed="{body.Content}")
    verify(request(BODY % digest), at)
    refused(request((BODY % digest).replace(b'"1"', b'"2"')), at)
    refused(request(BODY % b""), at)
    assert "the body has no HashCode" in refused(request(b"{}"), at)
    plain = source(scheme="hash", field="HashCode", signed="{body.id}:{secret}", algorithm="sha1")
    verify(request(BODY % hashlib.sha1(f"7:{SECRET}".encode()).hexdigest().encode()), plain)  # noqa: S324
    verify(request(json.dumps({"hook": {"token": OLD}}).encode()), source(scheme="token", field="hook.token"))


def test_the_old_secret_holds_beside_the_new_one_until_it_is_taken_away() -> None:
    at = source(scheme="hmac", prefix="sha256=")
    headers = KINDS["generic"].sign(b"{}", at._replace(secrets=(OLD,)), NOW)
    verify(request(b"{}", headers), at)
    refused(request(b"{}", headers), at._replace(secrets=(SECRET,)))
    several = {"x-signature": f"sha256=00, {headers['x-signature']}"}
    verify(request(b"{}", several), at)


def test_user_and_password_are_checked_as_they_come() -> None:
    at = source(f"shop:{SECRET}", scheme="basic")
    verify(request(b"{}", {"authorization": "basic " + base64.b64encode(f"shop:{SECRET}".encode()).decode()}), at)
    for wrong in ("", "Basic", "Basic !", f"Bearer {SECRET}", "Basic " + base64.b64encode(b"shop:").decode()):
        refused(request(b"{}", {"authorization": wrong}), at)


HOST = Request(
    "POST", "https://example.com/foo?param=Value&Pet=dog",
    {
        "host": "example.com", "date": "Tue, 20 Apr 2021 02:07:55 GMT", "content-type": "application/json",
        "content-length": "18",
        "content-digest": "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
    },
    {}, b'{"hello": "world"}', NOW,
)  # fmt: skip
THEN = datetime.fromtimestamp(1618884473, UTC)


def signed_as(text: str, signature: str) -> Request:
    label = text.partition("=")[0]
    return HOST._replace(
        headers={**HOST.headers, "signature-input": text, "signature": f"{label}=:{signature}:"}
    )  # fmt: skip


def covering(at: Source, *components: str) -> Source:
    """Return a source of which other components have to be covered than a mapping may say: the examples sign no body."""
    return at._replace(mapping={"authentication": {**at.mapping["authentication"], "components": components}})


def test_the_examples_of_rfc_9421_verify() -> None:
    shared = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
    at = covering(source(shared, scheme="message-signature", key="base64"), "@authority")
    text = 'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'
    example = signed_as(text, "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=")
    verify(example, at, THEN)
    refused(example._replace(headers={**example.headers, "date": "Tue, 20 Apr 2021 02:07:56 GMT"}), at, THEN)
    public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----"
    at = covering(source(public, scheme="message-signature", algorithm="ed25519"), "@method")
    text = (
        'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;'
        'keyid="test-key-ed25519"'
    )
    signature = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    verify(signed_as(text, signature), at, THEN)
    refused(signed_as(text, signature)._replace(method="PUT"), at, THEN)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("ed25519", ed25519.Ed25519PrivateKey.generate()), ("ecdsa-p256-sha256", ec.generate_private_key(ec.SECP256R1())),
        ("rsa-pss-sha512", rsa.generate_private_key(65537, 2048)), ("rsa-v1_5-sha256", rsa.generate_private_key(65537, 2048)),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)  # fmt: skip
def test_a_message_signature_is_checked_with_a_public_key(algorithm: str, key: Any) -> None:
    private, public = pem(key)
    how: dict[str, Any] = {
        "scheme": "message-signature",
        "algorithm": algorithm,
        "components": ["content-digest", "@query"],
    }
    signer, receiver = source(private, **how), source(public, **how)
    headers = KINDS["generic"].sign(b"{}", signer, NOW)
    verify(request(b"{}", headers), receiver)
    refused(request(b"[]", headers), receiver)
    refused(request(b"{}", {**headers, "signature": "sig1=:AAAA:"}), receiver)
    refused(request(b"{}", headers), source(pem(ed25519.Ed25519PrivateKey.generate())[1], **how))
    check_secret_of(public, receiver.mapping["authentication"])
    with pytest.raises(ValueError, match="PEM"):
        check_secret_of(SECRET, receiver.mapping["authentication"])


def test_a_message_signature_has_to_cover_what_the_mapping_says_and_nothing_that_is_not_there() -> None:
    at = source(scheme="message-signature", components=["@method", "content-digest"])
    headers = KINDS["generic"].sign(b"{}", at, NOW)
    assert "does not cover" in refused(
        request(b"{}", headers), source(scheme="message-signature", components=["@target-uri", "content-digest"])
    )
    text = headers["signature-input"]
    for other in (
        text.replace("@method", "x-none"), text.replace('"@method"', '"@method";req'), text.replace("hmac-sha256", "ed25519"),
        text.replace(";created=", ";made="), text + ";expires=1", "sig2=()", "nonsense", "", "a=" * 30_000 + '"',
    ):  # fmt: skip
        refused(request(b"{}", {**headers, "signature-input": other}), at)
    refused(request(b"{}", {**headers, "content-digest": "md5=:AAAA:"}), at)


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ({"scheme": "magic"}, "authentication.scheme"), ({"algorithm": "md5"}, "authentication.algorithm"),
        ({"encoding": "rot13"}, "authentication.encoding"), ({"signed": "{bdy}"}, r"authentication\.signed: .*\{bdy\}"),
        ({"signed": ""}, "authentication.signed"), ({"scheme": "hash", "signed": "{body}"}, "{secret}"),
        ({"scheme": "message-signature", "components": ["@method"]}, "content-digest"),
        ({"signed": "{header.x-time}"}, "a text with {body}"), ({"hedder": "x"}, "did you mean header"),
        ({"tolerance": 0}, "authentication.tolerance"),
        ({"scheme": "message-signature", "components": [1]}, "authentication.components"), ({"header": ""}, "header"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(how: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        source(**how)


def test_a_secret_that_the_scheme_cannot_use_is_refused() -> None:
    for secret, how in (
        ("no-colon-in-it", {"scheme": "basic"}), ("user-without-password:", {"scheme": "basic"}),
        ("whsec_!", {"scheme": "standard-webhooks"}),
        ("no base64", {"scheme": "hmac", "key": "base64"}), ("xyz", {"scheme": "hmac", "key": "hex"}),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="expected"):
            check_secret_of(secret, source(**how).mapping["authentication"])


def test_a_token_is_looked_for_where_the_kind_has_its_proof_unless_the_mapping_says_where() -> None:
    old = {"scheme": "token", "encoding": "hex"}  # as mappings had it before there were other schemes
    verify(request(b"{}", {"x-signature": SECRET}), source(**old))
    verify(request(b"{}", {"authorization": f"Bearer {SECRET}"}), source(kind="cloudevents", **old))
    verify(request(b"{}", code=SECRET), source(kind="dataverse", header="x-key"))
    verify(request(b"{}", {"x-key": SECRET}), source(kind="dataverse", header="x-key"))
    verify(request(b"{}", {"x-key": SECRET}), source(scheme="token", header="x-key"))


@pytest.mark.parametrize("kind", [*KINDS])
def test_a_scheme_that_is_named_begins_with_its_own_defaults_whatever_the_kind_does(kind: str) -> None:
    """As a proxy signs that knows nothing of the kind: in a header, in hexadecimal."""
    signature = hmac.new(SECRET.encode(), b"{}", "sha256").hexdigest()
    at = source(kind=kind, **PROXY)
    verify(request(b"{}", {"x-proxy": signature}), at)
    refused(request(b"{ }", {"x-proxy": signature}), at)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_is_sent_is_refused_and_never_a_fault(data: st.DataObject) -> None:
    secret, how = data.draw(st.sampled_from(SCHEMES))
    at = source(secret, **how)
    signed = {name.lower(): value for name, value in KINDS["generic"].sign(b"{}", at, NOW).items()}
    pieces = st.sampled_from(
        [*"\"'(),;:=@ *%\x00é", "sig1", "created", "content-digest", "v1", "t", "1772445600", "AAAA", "=="]
    )
    name = data.draw(st.sampled_from([one for one in signed if one != "content-type"]))
    value = "".join(data.draw(st.lists(pieces, max_size=30)))
    if value.strip() == signed[name]:
        return
    refused(request(b"{}", {**signed, name: value}), at)
    cut = data.draw(st.integers(0, len(signed[name]) - 1))
    refused(request(b"{}", {**signed, name: signed[name][:cut]}), at)
