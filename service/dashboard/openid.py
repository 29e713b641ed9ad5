"""OpenID Connect (Core 1.0, code flow): who somebody is, by a provider that is set with issuer, client id and client secret.

    provider = Provider(issuer, client_id, client_secret)
    url = await provider.begin(redirect_uri, state, nonce, verifier)        # where the browser is sent
    identity = await provider.finish(code, redirect_uri, nonce, verifier)   # what it came back with, proven

PKCE (RFC 7636) ties the code to the browser that asked, `state` the answer to the question, `nonce` the token to both. A token is
believed only as signed by a key that the provider publishes, by an asymmetric algorithm that it says it uses: neither `none`, nor
an HMAC that takes its public key for a secret. Keys that are not known are looked for once more: providers change them.
"""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import jwt

from service.store.sessions import Identity

_ASYMMETRIC = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
_CLAIMS = ["exp", "iat", "iss", "aud", "sub"]
_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
_KNOWN_SECONDS = 3600.0  # that what a provider says of itself is believed without asking again
_PATIENCE = 2.0  # seconds between looks for keys that were not there
_LEEWAY = 60  # seconds that clocks may differ
_MOST_BYTES = 1_048_576
_MOST_GROUPS = 500
_LONGEST = 300  # characters of a subject or group


class RefusedError(Exception):
    """What the provider or the browser brought proves nothing; the text says why, for the log and the page."""


class Provider:
    """A provider, and what it has told of itself."""

    def __init__(self, issuer: str, client_id: str, client_secret: str) -> None:
        host = urlsplit(issuer)
        if host.scheme != "https" and host.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("CAMPAIGN_LEDGER_OIDC_ISSUER: expected https, for what it says is believed")
        self.issuer = issuer
        self._client_id, self._client_secret = client_id, client_secret
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, trust_env=False)
        self._told: dict[str, Any] = {}
        self._told_until = 0.0
        self._keys: list[dict[str, Any]] = []
        self._keys_since = -_PATIENCE

    async def aclose(self) -> None:
        """Let its connections go."""
        await self._http.aclose()

    async def begin(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Return where to send a browser that wants to sign in."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code", "client_id": self._client_id, "redirect_uri": redirect_uri, "scope": "openid email profile",
            "state": state, "nonce": nonce, "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        endpoint = str((await self._configuration())["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def finish(self, code: str, redirect_uri: str, nonce: str, verifier: str) -> Identity:
        """Return who a code is for; raises RefusedError."""
        told = await self._configuration()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        basic: httpx.BasicAuth | None = httpx.BasicAuth(self._client_id, self._client_secret)
        if "client_secret_basic" not in told.get("token_endpoint_auth_methods_supported", ["client_secret_basic"]):
            form |= {"client_id": self._client_id, "client_secret": self._client_secret}
            basic = None
        answer = await self._asked("POST", str(told["token_endpoint"]), data=form, auth=basic)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise RefusedError("the provider gave no id_token")
        claims = await self._proven(token, told)
        if claims.get("nonce") != nonce:
            raise RefusedError("the token was made for another sign-in (nonce)")
        groups = claims.get("groups", [])
        named = groups if isinstance(groups, list) else [groups]
        known = tuple(one for one in named[:_MOST_GROUPS] if isinstance(one, str) and 0 < len(one) <= _LONGEST)
        return Identity(self.issuer.rstrip("/"), str(claims["sub"])[:_LONGEST], known)

    async def _proven(self, token: str, told: dict[str, Any]) -> dict[str, Any]:
        """Return the claims of a token, once its signature and what it says of itself hold."""
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg", "")
            if algorithm not in _ASYMMETRIC & set(told.get("id_token_signing_alg_values_supported", ["RS256"])):
                raise RefusedError(
                    f"the token is signed by {str(algorithm)[:20]!r}, which is not believed of this provider"
                )
            key = jwt.PyJWK(await self._key(header.get("kid"), algorithm), algorithm)
            claims = jwt.decode(
                token, key, algorithms=[algorithm], audience=self._client_id, issuer=self.issuer, leeway=_LEEWAY,
                options={"require": _CLAIMS},
            )  # fmt: skip
        except jwt.PyJWTError as error:
            raise RefusedError(f"the token does not hold: {error}") from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != self._client_id:
            raise RefusedError("the token was made for another client (azp)")
        return claims

    async def _key(self, kid: str | None, algorithm: str) -> dict[str, Any]:
        """Return the key that a token names, or the only one that fits; asks the provider again for one that is not known."""
        for again in (False, True):
            if again and time.monotonic() - self._keys_since >= _PATIENCE:
                self._keys_since = time.monotonic()
                answer = await self._asked("GET", str((await self._configuration())["jwks_uri"]))
                self._keys = [one for one in answer.get("keys", []) if isinstance(one, dict)]
            fitting = [one for one in self._keys if _fits(one, algorithm) and (kid is None or one.get("kid") == kid)]
            if len(fitting) == 1:
                return fitting[0]
        raise RefusedError("the token is signed by a key that the provider does not publish")

    async def _configuration(self) -> dict[str, Any]:
        """Return what the provider says of itself; it has to call itself as it is set here."""
        if self._told_until <= time.monotonic():
            told = await self._asked("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if told.get("issuer") != self.issuer:
                raise RefusedError(
                    f"the provider calls itself {str(told.get('issuer'))[:200]}, and {self.issuer} is set"
                )
            missing = [one for one in ("authorization_endpoint", "token_endpoint", "jwks_uri") if not told.get(one)]
            if missing:
                raise RefusedError(f"the provider does not tell its {', '.join(missing)}")
            self._told, self._told_until = told, time.monotonic() + _KNOWN_SECONDS
        return self._told

    async def _asked(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        """Return the JSON object that the provider answers; raises RefusedError."""
        try:
            async with self._http.stream(method, url, headers={"Accept": "application/json"}, **more) as response:
                body = b""
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > _MOST_BYTES:
                        raise RefusedError("the provider answers too much")
                response.raise_for_status()
                answer = httpx.Response(200, content=body).json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            status = f" {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else ""
            raise RefusedError(f"the provider's answer cannot be used ({type(error).__name__}{status})") from None
        if not isinstance(answer, dict):
            raise RefusedError("the provider does not answer a JSON object")
        return answer


def _fits(key: dict[str, Any], algorithm: str) -> bool:
    """Tell whether a published key may have signed by an algorithm."""
    kind = {"R": "RSA", "P": "RSA", "E": "EC"}[algorithm[0]] if algorithm != "EdDSA" else "OKP"
    return key.get("kty") == kind and key.get("use", "sig") == "sig" and key.get("alg", algorithm) == algorithm
