"""What a kind of sender is: a few pure functions that verify, read and translate what one sort of system posts.

A message *states* something about records of its sender (a lead, a deal, an invoice). `read` takes a message apart into
statements. `translate` folds all statements of one record, in the sender's own order, into the events of that record.
Whenever a message arrives, the record is translated again from everything stated so far, and what comes out is
reconciled with what it gave before: the same is a duplicate, a changed one voids the old event, a vanished one too.
So messages may come late, twice, in parts and in any order, and a changed mapping is only another translation.

    verify(request) → read(request) → Statement … → translate(record, its statements) → Draft … → events

Everything here is pure: no clock, no network, no database. Only `fetch` (reading a record back) may ask a sender.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import httpx

from service.domain.calendar import Instant, parse_instant

# RejectedError        it is not from whom it says: never translated, kept shortly
# MalformedError       it cannot be understood: kept as failed, until the mapping or the message is corrected
# UnavailableError     the sender's API does not answer now: tried again later


class RejectedError(Exception):
    """A request that is not verified; the text says why, and never contains a secret or a signature."""


class MalformedError(ValueError):
    """What cannot be read or translated; the text says what was found where, and what to change."""


class UnavailableError(Exception):
    """A sender's API that gives no answer now; the delivery is tried again later."""


class Request(NamedTuple):
    """What a sender posted. `headers` and `query` have single values; names of headers are in lower case."""

    method: str
    url: str  # as the sender signed it: the configured public URL, path and query
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    received_at: datetime  # UTC


Credentials = Mapping[str, str]
Renewal = Callable[[Credentials], Awaitable[Credentials]]
# Gives a function the credentials as they are kept, and keeps what it returns before that is used; one at a time per source.
Renew = Callable[[Renewal], Awaitable[Credentials]]


class Source(NamedTuple):
    """One sending system of a ledger."""

    id: str
    kind: str
    name: str
    secrets: tuple[str, ...] = ()  # that requests are verified with, newest first
    mapping: Mapping[str, Any] = {}  # as `check_mapping` returned it
    public_url: str = ""  # the hook's URL as given to the sender
    path_secret: bool = False  # whether the URL itself is the secret; the service checks it
    credentials: Mapping[str, str] = {}  # for reading back: what `Kind.credentials` names
    rate_per_minute: int = 6_000  # how many requests it may send
    known: Mapping[str, Sequence[Any]] = {}  # the statements, in order, of the records that `Kind.lookups` names
    renew: Renew | None = None  # for `fetch`, where a sender's API gives new credentials for old ones


class Statement(NamedTuple):
    """What a message states about one record."""

    record: str  # "opportunity:OP-1": what is translated together
    key: str  # the same key twice is the same statement: delivery id + part, else record + transition + version
    at: str  # RFC 3339: when it happened in the sender's system
    order: str  # for statements of one instant: a version or sequence number, padded (`fields.padded`), else ""
    verb: str  # "created", "updated", "won", "deleted", …
    fields: dict[str, Any]  # JSON: what is stated, by the sender's own names; numbers are int or Decimal


class Ignored(NamedTuple):
    """A part of a message that states nothing for us, and why."""

    reason: str


class Unreadable(NamedTuple):
    """One of several parts of a message that cannot be read, and what to change; the others count nevertheless."""

    reason: str


class Wanted(NamedTuple):
    """A thin notification: what the record says is read back from the sender's API, which gives the statement."""

    record: str
    key: str
    at: str
    order: str
    verb: str
    url: str
    many: bool = False  # a whole collection: `fetch` gives a list of statements of any records, each with this key


class Draft(NamedTuple):
    """An event that a record gives. The service adds the identity: /sources/<name>, <record>/<key>."""

    key: str  # business key within the record: "placed", "amended/2026-03-01", "won"
    type: str
    time: str  # RFC 3339
    data: dict[str, Any]  # valid by the catalogue; what is None is left out, unless the catalogue takes null there
    subject: str | None = None
    source: str | None = None  # explicit identity, for kinds whose messages are CloudEvents already
    id: str | None = None
    extensions: Mapping[str, Any] = {}


class Waiting(NamedTuple):
    """What a record cannot give yet ("amount unknown"): listed, never guessed, until the message that says it comes."""

    reason: str
    amount: Mapping[str, str] | None = None  # the money that it is about, where that is known


class Reply(NamedTuple):
    """What the sender is answered."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Screened(NamedTuple):
    """A body as it is kept: no secret in it, and what is not of the sender apart from what is."""

    own: bytes | None  # translated, if the request is verified
    foreign: bytes | None = None  # rejected: listed, counted and kept shortly, whatever becomes of the rest
    reason: str = ""  # why


def as_it_came(request: Request, _: Source) -> Screened:
    """Most bodies hold no secret, and are of one sender."""
    return Screened(request.body)


def default_reply(_: Request, accepted: bool) -> Reply:
    """Answer 202, or 401 to what was not verified: senders that retry are served by both."""
    if accepted:
        return Reply(202)
    return Reply(401, {"content-type": "text/plain"}, b"the request could not be verified; check the secret\n")


def no_handshake(_: Request, __: Source) -> Reply | None:
    """Most senders just post."""
    return None


def no_delivery_id(_: Request) -> str | None:
    """Many senders number their messages anew with each attempt, or not at all."""
    return None


def not_verified(_: Request, __: Source, ___: datetime) -> None:
    """Refuse: a kind without a way of its own needs `authentication`, in the mapping or as its usual one."""
    raise RejectedError("nothing says how this source authenticates: name `authentication` in its mapping")


def as_json(_: bytes, __: Source, ___: datetime) -> dict[str, str]:
    """Most senders post JSON."""
    return {"content-type": "application/json"}


def no_lookups(_: str, __: Sequence[Statement], ___: Source) -> Collection[str]:
    """Most records say themselves all that their events need."""
    return ()


def nothing_said(_: str, __: Sequence[Statement], ___: Source) -> str:
    """Some records speak of nothing that concerns a ledger."""
    return "what it states gives no event"


Fetched = Statement | Ignored | list[Statement | Ignored]
Fetch = Callable[[Wanted, Source, httpx.AsyncClient], Awaitable[Fetched]]


class Kind(NamedTuple):
    """A sort of sending system."""

    name: str
    about: str  # one line for lists: which system, which of its interfaces
    check_mapping: Callable[[Mapping[str, Any]], dict[str, Any]]  # with defaults; ValueError names the key
    read: Callable[[Request, Source], Sequence[Statement | Ignored | Wanted | Unreadable]]  # MalformedError
    translate: Callable[[str, Sequence[Statement], Source], list[Draft | Waiting]]  # MalformedError; in order
    unsaid: Callable[[str, Sequence[Statement], Source], str] = (
        nothing_said  # why a record gives nothing, and what would
    )
    # How messages are verified, one of three, the first that there is: `authentication` in the mapping, `authentication`
    # here (its shape is in the module of that name), or `verify`. It is only asked where the source has secrets.
    authentication: Mapping[str, Any] = {}  # what the mapping's `authentication` is, where it says nothing else
    verify: Callable[[Request, Source, datetime], None] = not_verified  # RejectedError
    sign: Callable[[bytes, Source, datetime], dict[str, str]] = as_json  # headers of a POST to public_url that verify
    # Other records that this one is translated with (a deal's campaign, for its code): given in `Source.known`, and
    # whenever one of them is spoken of, this one is translated again.
    lookups: Callable[[str, Sequence[Statement], Source], Collection[str]] = no_lookups
    handshake: Callable[[Request, Source], Reply | None] = no_handshake  # answered before the inbox
    reply: Callable[[Request, bool], Reply] = default_reply
    screened: Callable[[Request, Source], Screened] = as_it_came  # what is kept of the body
    delivery_id: Callable[[Request], str | None] = no_delivery_id  # the sender's own, where repeats keep it
    fetch: Fetch | None = None  # reads a Wanted back; may raise UnavailableError, MalformedError or httpx.HTTPError
    credentials: tuple[str, ...] = ()  # what `fetch` needs: "token", or "client_id" and "client_secret"


def in_order(statements: Iterable[Statement]) -> list[Statement]:
    """Return the statements of a record as its sender made them, however they arrived; each key once.

    Of two with one key the later one counts, by (at, order), then by content: arrival never decides.
    """
    kept: dict[str, tuple[tuple[Instant, str, str, str], Statement]] = {}
    for one in statements:
        rank = (parse_instant(one.at), one.order, one.key, repr((one.verb, sorted(one.fields.items(), key=repr))))
        if one.key not in kept or kept[one.key][0] < rank:
            kept[one.key] = (rank, one)
    return [one for _, one in sorted(kept.values(), key=lambda pair: pair[0])]


def states(statements: Iterable[Statement]) -> Iterator[tuple[Statement, dict[str, Any]]]:
    """Give each statement with the record as it stands after it: what is not stated stays as it was."""
    state: dict[str, Any] = {}
    for one in statements:
        state = {**state, **one.fields}
        yield one, state
