"""An OpenID provider, over real HTTP, that can also lie: whoever comes to it is signed in as whom the test says."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

CLIENT, SECRET = "ledger", "the-clients-secret"


class OpenIdProvider:
    """Signs in whoever `subject` is. `changes` are made to the claims of a token, `sign` makes it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.subject, self.groups = "ada", ["finance"]
        self.changes: dict[str, Any] = {}
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        self.rotate()

    def rotate(self) -> None:
        """Take a new key, and publish no other."""
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = secrets.token_hex(4)

    @property
    def public_pem(self) -> bytes:
        """The public key as anybody can have it."""
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def jwks(self) -> dict[str, Any]:
        """Return the keys as they are published."""
        jwk = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**jwk, "kid": self.kid, "use": "sig", "alg": "RS256"}]}

    def signed(self, claims: dict[str, Any]) -> str:
        """Sign a token as it should be."""
        return jwt.encode(claims, self.key, "RS256", {"kid": self.kid})

    def configuration(self) -> dict[str, Any]:
        """Return what it says of itself."""
        return {
            "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys", "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }  # fmt: skip

    def authorize(self, query: dict[str, str]) -> str:
        """Return where a browser is sent back to."""
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = secrets.token_hex(8)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], 'iss': self.url})}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """Return a token for a code; None if it is refused. A code holds once."""
        query = self.codes.pop(form.get("code", ""), None)
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        )
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        good = query and challenge == query["code_challenge"] and form["redirect_uri"] == query["redirect_uri"]
        if not query or not good or authorization != basic:
            return None
        now = int(time.time())
        claims = {
            "iss": self.url, "sub": self.subject, "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": query["nonce"],
            "groups": self.groups,
        }  # fmt: skip
        return {"access_token": "none", "token_type": "Bearer", "id_token": self.sign({**claims, **self.changes})}


@contextmanager
def openid_provider() -> Iterator[OpenIdProvider]:
    """Run a provider as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            provider.asked.append(url.path)
            if url.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", provider.authorize({k: v[0] for k, v in parse_qs(url.query).items()}))
                self.end_headers()
                return
            self._answer(provider.jwks() if url.path == "/keys" else provider.configuration())

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            found = provider.token({k: v[0] for k, v in form.items()}, self.headers.get("Authorization", ""))
            self._answer(found or {"error": "invalid_grant"}, 200 if found else 400)

        def _answer(self, body: Any, status: int = 200) -> None:
            sent = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = OpenIdProvider(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
