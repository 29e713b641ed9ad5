"""A row of the log: an event as it is stored, and the bytes of it that COPY takes and the hash chain covers.

`content` is everything of an event that comes from outside, field by field, each with its length before it: the binary form
in which PostgreSQL takes rows by COPY. The server adds ledger, position and recorded_at when the row is numbered.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from service.domain import personal
from service.domain.calendar import parse_instant
from service.domain.events import Event, lifted, newest_version
from service.domain.personal import Parts
from service.store import copying

_T = TypeVar("_T")

# The events that later events can correct, with the field of their own id.
CORRECTABLE = {"order.placed": "order_id", "invoice.posted": "invoice_id", "campaign.cost_booked": "cost_entry_id"}
REMEMBERED = {"stage.defined": "stage.defined"}  # registers that are found by this

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_MOST_REMEMBERED = 4096
_ROWS_AT_ONCE = 500  # the database begins with these while the next are put together

_json = msgspec.json.Encoder(decimal_format="number")
_sorted = msgspec.json.Encoder(decimal_format="number", order="sorted")
_exact = msgspec.json.Decoder(float_hook=Decimal)


class Row(msgspec.Struct, frozen=True, gc=False):
    """An event as it is stored. `data` and `extensions` are JSON; `entity` names what later events correct, or its register.

    `seals` tells that it may say more of people than figures need, which is sealed before it is stored (`sealing`); `whole` is
    what it said before that.
    """

    micros: int
    version: int
    source: str
    id: str
    type: str
    time: str
    rest: str
    subject: str | None
    dataschema: str | None
    data: bytes
    extensions: bytes | None
    entity: str | None
    content: bytes
    seals: bool = False
    whole: Whole | None = None


class Whole(msgspec.Struct, frozen=True, gc=False):
    """An event before it was sealed, for a comparison with what is stored: `key` opens that; None: some of it is erased."""

    data: bytes
    subject: str | None
    key: bytes | None


def row_of(event: Event) -> Row:
    """Return the row of a valid event."""
    field = CORRECTABLE.get(event.type)
    known = field is not None and event.version <= newest_version(event.type)
    entity = f"{event.type}:{lifted(event)[field]}" if known and field else REMEMBERED.get(event.type)
    columns = (
        event.instant.micros, event.version, event.source, event.id, event.type, event.time, event.instant.rest,
        event.subject, event.dataschema, encode_json(event.data), encode_json(event.extensions) if event.extensions else None,
    )  # fmt: skip
    return Row(*columns, entity, content_of(*columns), bool(personal.persons(event.type, event.data)))


def encode_json(value: object) -> bytes:
    """Write JSON as it is stored: compact, decimals with every digit."""
    return _json.encode(value)


def fingerprint_of(event: Event) -> bytes:
    """Return a digest of what two events have to agree in to be the same: type, instant, subject and data."""
    content = (event.type, event.instant.micros, event.instant.rest, event.subject, event.data)
    return hashlib.blake2b(_sorted.encode(content), digest_size=16).digest()


def open_fingerprint(event_type: str, time: str, shown: Parts) -> bytes:
    """Return a digest of what stays open of an event that names people: it tells a repeat when the rest is erased."""
    content = (event_type, *parse_instant(time), shown.subject, shown.data)
    return hashlib.blake2b(_sorted.encode(content), digest_size=16, person=b"open").digest()


_UNSTATED = bytes(4) + copying.NULL + copying.NULL  # rest, subject and dataschema of most events
_instant_and_version = struct.Struct(">iqih").pack
_before_position = struct.Struct(">hiii").pack


class _Memo(dict[_T, bytes]):
    """What a function gives, kept for what comes again. Looking it up costs half of what a call of any kind would.

    When it is full it begins anew: events whose sources all differ must not fill the memory, and to find out which entry was
    used least would cost more than making some again.
    """

    def __init__(self, make: Callable[[_T], bytes]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, value: _T) -> bytes:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        self[value] = made = self._make(value)
        return made


_length: _Memo[int] = _Memo(copying.length)
_repeated: _Memo[str] = _Memo(copying.text)  # texts that many events share


def content_of(
    micros: int, version: int, source: str, identity: str, event_type: str, time: str, rest: str, subject: str | None,
    dataschema: str | None, data: bytes, extensions: bytes | None,
) -> bytes:  # fmt: skip
    """Return the bytes of everything that is stored of an event but what the server adds."""
    named, stated, between = identity.encode(), time.encode(), _UNSTATED
    if rest or subject is not None or dataschema is not None:
        between = copying.text(rest) + _optional(subject) + _optional(dataschema)
    return b"".join((  # ten pieces, which is what `join` takes without setting memory aside
        _instant_and_version(8, micros, 2, version), _repeated[source], _length[len(named)], named, _repeated[event_type],
        _length[len(stated)], stated, between + _length[len(data)], data,
        copying.NULL if extensions is None else copying.field(extensions),
    ))  # fmt: skip


def _optional(value: str | None) -> bytes:
    return copying.NULL if value is None else copying.text(value)


COPIED = (
    "ledger", "position", "recorded_at", "entity", "micros", "version", "source", "id", "type", "time", "rest", "subject",
    "dataschema", "data", "extensions",
)  # fmt: skip


def copied(rows: Sequence[Row], ledger: int, first: int, moment: datetime) -> Iterator[bytes]:
    """Yield what COPY takes in binary form for the columns COPIED, the rows numbered from `first`: some rows at a time."""
    before = _before_position(len(COPIED), 4, ledger, 8)
    after = copying.bigint(8, (moment - _POSTGRES_EPOCH) // MICROSECOND)
    without_entity, parts = after + copying.NULL, [copying.START]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        for position, row in enumerate(rows[start : start + _ROWS_AT_ONCE], first + start):
            then = without_entity if row.entity is None else after + copying.text(row.entity)
            parts += (before, position.to_bytes(8, "big"), then, row.content)
        yield b"".join(parts)
        parts = []
    yield copying.END


def same_json(one: bytes, other: bytes) -> bool:
    """Tell whether two JSON texts have equal values: 1, 1.0 and 1e0 are the same number, 1 and true are not."""
    return one == other or _same(_exact.decode(one), _exact.decode(other))


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return {type(one), type(other)} == {int, Decimal} and bool(one == other)
    if type(one) is dict:
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if type(one) is list:
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
