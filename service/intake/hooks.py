"""What senders post: kept as it came, verified, and answered before anything is made of it.

The check is pure and takes microseconds, so that its verdict is stored with the raw bytes in one write. Whatever happens in
it, the bytes are stored before the answer: a fault of ours is found in the inbox and not in the sender's dead letters.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg
import msgspec

from service import telemetry
from service.intake.limits import Buckets, LookedUp
from service.intake.senders import KINDS
from service.intake.senders.authentication import authentication_of
from service.intake.senders.contract import Kind, RejectedError, Reply, Request, Screened, Source
from service.settings import Settings
from service.store import inbox, sources, vault
from service.store.vault import MasterKeyError, Vault

_log = telemetry.logger("hooks")
_TRUST_SECONDS = 2.0  # a changed source is in force at most this much later
_LONGEST_ID = 100  # characters; what is longer is no source and is not looked up
# Of what nobody vouches for, this much is kept: so many bytes of each, of one source so many per minute and at once. Whoever
# knows no more than a URL must not fill the disk.
_REJECTED_BYTES, _REJECTED_HEAD = 4_096, 4_096
_REJECTED_PER_MINUTE, _REJECTED_AT_ONCE = 6, 100
_PATH = "the secret in the URL is missing or wrong"


class TooManyError(RuntimeError):
    """More requests of a source than it may send; `wait` is in seconds."""

    def __init__(self, most: int, wait: float) -> None:
        super().__init__(f"this source may send {most} requests per minute: send it again later")
        self.wait = wait


class Hook(NamedTuple):
    """A source that may post: the stored row, what its kind needs to know of it, and the kind."""

    stored: sources.Stored
    source: Source
    kind: Kind
    problem: str | None = None  # why nothing can be translated: a mapping that this version does not take


def opened(stored: sources.Stored, vault: Vault, settings: Settings) -> Hook:
    """Return a stored source as its kind sees it; MasterKeyError if its secrets cannot be read."""
    kind = KINDS[stored.kind]
    secrets, credentials = stored.opened(vault)
    mapping, problem = msgspec.json.decode(stored.mapping), None
    try:
        mapping = kind.check_mapping(mapping)
    except ValueError as error:
        problem = f"the mapping does not fit: {error}"
        mapping = {
            **mapping,
            "authentication": authentication_of(kind, mapping),
        }  # what comes is verified all the same, and kept
    source = Source(
        id=stored.source, kind=stored.kind, name=stored.name, secrets=secrets,
        mapping=mapping, path_secret=stored.path_hash is not None,
        public_url=f"{(settings.public_url or '').rstrip('/')}/v1/hooks/{stored.source}", credentials=credentials,
        rate_per_minute=stored.rate_per_minute or settings.source_rate_per_minute,
    )  # fmt: skip
    return Hook(stored, source, kind, problem)


class Hooks:
    """The way in for senders' messages."""

    def __init__(
        self, pool: asyncpg.Pool, vault: Vault, settings: Settings, received: Callable[[], None] = lambda: None
    ) -> None:
        """`received` is called after something was stored that is to be translated."""
        self._pool = pool
        self._vault = vault
        self._settings = settings
        self._received = received
        # What was decrypted with success before: whoever asks for the service's health every second must not have a thousand
        # secrets decrypted each time.
        self._openable: set[bytes] = set()
        # A sender posts again and again: without this, each message would ask for its source and decrypt its secrets.
        self._known: LookedUp[Hook] = LookedUp(_TRUST_SECONDS)
        self._sent, self._rejected = Buckets(), Buckets()

    @staticmethod
    def now() -> datetime:
        """Return the moment at which something is received."""
        return datetime.now(UTC)

    async def find(self, identity: str) -> Hook | None:
        """Return the hook of an id, as it was a moment ago at the oldest; None if there is none."""
        if len(identity) > _LONGEST_ID:
            return None

        async def look() -> Hook | None:
            stored = await sources.one(self._pool, identity)
            return opened(stored, self._vault, self._settings) if stored else None

        return await self._known.get(identity.encode(), look)

    async def master_key(self) -> str:
        """Return "ok" if no source needs the master key, or it opens what is stored; else what is wrong with it."""
        count, tokens = await sources.locked(self._pool)
        if count and not self._vault.is_open:
            return f"missing: {count} source(s) need it; set {vault.NAME}"
        closed = 0
        self._openable &= tokens  # what is stored no longer need not be remembered
        for token in tokens - self._openable:
            try:
                self._vault.unlock(token)
                self._openable.add(token)
            except MasterKeyError:
                closed += 1
        return (
            f"wrong: {closed} secret(s) of sources are encrypted with another one; add that to {vault.NAME}"
            if closed
            else "ok"
        )

    def forget(self, identity: str) -> None:
        """Look a source up anew the next time: it was changed."""
        self._known.forget(identity.encode())

    async def receive(self, hook: Hook, request: Request, path_secret: str) -> Reply:
        """Take one request: a handshake is answered, a message stored, and answered by what its check says.

        What is rejected counts apart: it takes nothing of what the real sender may send. TooManyError says that it has sent all.
        """
        reason = _path_problem(hook, path_secret)
        if reason is None and (reply := hook.kind.handshake(request, hook.source)) is not None:
            return reply
        if reason is None and request.method not in ("POST", "PUT"):
            return Reply(405, {"allow": "POST"})
        reason = reason or self._verified(hook, request)
        try:
            kept = hook.kind.screened(request, hook.source)
        except Exception as error:  # noqa: BLE001  as in `_verified`
            _log.error("screening failed", source=hook.source.id, kind=hook.kind.name, error=type(error).__name__)
            kept, reason = Screened(request.body), reason or f"the check itself failed ({type(error).__name__})"
        if reason is None and kept.own is not None:
            self._charge(hook)
        if kept.own is not None:
            await self._keep(hook, request._replace(body=kept.own), reason)
        if kept.foreign is not None:
            await self._keep(hook, request._replace(body=kept.foreign), reason or kept.reason)
        return hook.kind.reply(request, reason is None)

    def _verified(self, hook: Hook, request: Request) -> str | None:
        """Return why a request is rejected, or None."""
        if not hook.source.secrets:
            return None if hook.source.path_secret else "this source has neither a secret nor a secret in its URL"
        try:
            hook.kind.verify(request, hook.source, datetime.now(UTC))
        except RejectedError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  a fault of ours must not lose the message, nor let it through
            _log.error("verification failed", source=hook.source.id, kind=hook.kind.name, error=type(error).__name__)
            return f"the check itself failed ({type(error).__name__})"
        return None

    def _charge(self, hook: Hook) -> None:
        """Take one request of what the sender may send."""
        most = hook.source.rate_per_minute
        if wait := self._sent.take(hook.source.id, most, time.monotonic()):
            raise TooManyError(most, wait)

    async def _keep(self, hook: Hook, request: Request, reason: str | None) -> None:
        counted, body = telemetry.DELIVERIES.labels(hook.kind.name, "rejected" if reason else "received"), request.body
        if reason is not None:
            if self._rejected.take(hook.source.id, _REJECTED_PER_MINUTE, time.monotonic(), _REJECTED_AT_ONCE):
                counted.inc()
                return
            request, body = _cut(request), request.body[:_REJECTED_BYTES]
        head = {"method": request.method, "url": request.url, "headers": request.headers, "query": request.query}
        sender_id = hook.kind.delivery_id(request)
        await inbox.put(
            self._pool, hook.stored.ledger, hook.stored.source, sender_id and sender_id[:200],
            len(request.body), self._vault.lock(msgspec.json.encode(head)), body, reason,
        )  # fmt: skip
        counted.inc()
        if reason is None:
            self._received()


def _cut(request: Request) -> Request:
    """Return a request with as much of its head as is kept of what is rejected."""
    left, headers = _REJECTED_HEAD, {}
    for name, value in request.headers.items():
        if (left := left - len(name) - len(value)) < 0:
            break
        headers[name] = value
    return request._replace(url=request.url[:_REJECTED_HEAD], headers=headers, query={})


def _path_problem(hook: Hook, path_secret: str) -> str | None:
    expected = hook.stored.path_hash
    if expected is None:
        return _PATH if path_secret else None
    return None if hmac.compare_digest(sources.path_hash(path_secret), expected) else _PATH


def request_of(delivery: inbox.Delivery, vault: Vault) -> Request:
    """Return a stored delivery as the request that it was."""
    head = msgspec.json.decode(vault.unlock(delivery.head or b""))
    return Request(
        head["method"], head["url"], head["headers"], head["query"], delivery.body or b"", delivery.received_at
    )  # fmt: skip
