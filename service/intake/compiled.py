"""The catalogue, compiled: the usual event is decoded and checked in one pass of C.

`read` gives the row of bytes that are plainly a good event, and None for everything else, which then goes the general way:
extensions, payload versions, unknown fields, objects of any shape, numbers at the edge of what binary floats hold,
and a problem for every field. The types come from the catalogue's own kinds, and a property test holds both ways to
the same answer. `data` is kept as its sender wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple, Union

import msgspec
from msgspec import Meta

from service.domain import definitions, fields
from service.domain.calendar import FIRST_DAY, LAST_DAY, parse_instant, whole_seconds
from service.domain.catalogue import CATALOGUE, EventType
from service.domain.events import CURRENT_VERSION, MAX_SOURCE, newest_version
from service.domain.fields import MAX_ID, MAX_NUMBER, Kind
from service.domain.money import MINOR_DIGITS, RATE_PATTERN, whole_digits
from service.domain.personal import may_name
from service.intake.decoding import Limits, may_repeat
from service.store.rows import CORRECTABLE, REMEMBERED, Row, content_of

_BACKSLASH, _LINE_FEED, _RETURN, _MARK = b'\\\n\r"'  # as numbers: bytes are looked for much faster so
_DEEPEST = 3  # levels of objects and lists that the compiled types know: event, data, and what is in a field


def _money(least: str) -> Any:
    """Return a union with one structure per currency, so that the digits of the amount go with the currency."""
    structures = []
    for code, digits in MINOR_DIGITS.items():
        fraction = rf"(\.[0-9]{{1,{digits}}})?" if digits else ""
        amount = Annotated[str, Meta(pattern=rf"^{least}[0-9]{{1,{whole_digits(code)}}}{fraction}\Z")]
        structures.append(
            msgspec.defstruct(
                f"Money{least[:3]}{code}",
                [("amount", amount)],
                tag_field="currency",
                tag=code,
                forbid_unknown_fields=True,
                gc=False,
            )
        )
    return Union[tuple(structures)]  # noqa: UP007  made from a list


_EXACT = 2**53  # up to here binary floats tell whole numbers apart
_TINY, _HUGE = 1e-290, 1e290
_FIRST, _LAST = date.fromordinal(FIRST_DAY), date.fromordinal(LAST_DAY)


def _number(least: int | None = None, most: int | None = None) -> Any:
    """Return a type of numbers. What a float may only seem to be goes the general way: a bound itself, 0, extremes."""
    whole = Meta(ge=-_EXACT if least is None else least, le=_EXACT if most is None else most)
    return Annotated[int, whole] | Annotated[float, Meta(gt=least or _TINY, lt=most or _HUGE)]


_UTM = ("source", "medium", "campaign", "term", "content")
_ID = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
_TYPES: dict[int, Any] = {
    id(kind): made
    for kind, made in (
        (fields.ID, _ID),
        (fields.TEXT, str),
        (fields.MONEY, _money("-?")),
        (fields.MONEY_ABOVE_0, _money(r"(?=.*[1-9])")),
        (fields.DATE, date),
        (fields.CURRENCY, Literal[tuple(MINOR_DIGITS)]),
        (fields.RATE, Annotated[str, Meta(pattern=rf"^{RATE_PATTERN}\Z")]),
        (fields.BOOL, bool),
        (fields.NUMBER, _number()),
        (fields.NUMBER_0, _number(0, MAX_NUMBER)),
        (fields.COUNT, Annotated[int, Meta(ge=0, le=MAX_NUMBER)]),
        (fields.WHOLE, Annotated[int, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]),
        (fields.SHARE, _number(0, 1)),
        (fields.SCORE, _number(1, 5)),
        (fields.IDS, list[_ID]),
        (fields.TEXTS, list[str]),
        (definitions.CRITERIA, dict[_ID, bool]),
        (fields.NUMBER_OR_TEXT, _number() | str),
        (
            fields.UTM,
            msgspec.defstruct(
                "Utm",
                [(name, str | None, None) for name in _UTM],
                forbid_unknown_fields=True,
                omit_defaults=True,
                gc=False,
            ),
        ),
    )
}


def _type_of(kind: Kind) -> Any:
    """Return the type of a kind of field; None where only the general way can check it."""
    names = kind.schema.get("enum", ())
    listed = Literal[tuple(names)] if names and all(type(name) is str for name in names) else None
    return _TYPES.get(id(kind), listed)


class _Payload(NamedTuple):
    """How the data of one type is read, and which fields then have to be looked at beyond each by itself."""

    decode: Callable[[msgspec.Raw], object]
    days: Callable[[object], tuple[date | None, ...]] | None
    any_of: Callable[[object], tuple[object, ...]] | None
    entity: str | None
    ids: Callable[[object], tuple[object, ...]] | None  # of types that name people
    secrets: Callable[[object], tuple[object, ...]] | None
    tagged: bool


def payload_of(name: str, entry: EventType) -> _Payload | None:
    """Compile a type of the catalogue, without optional fields that go the general way; None where a required one does."""
    if entry.agrees is not None:
        return None  # fields that are held to each other: rare types
    members: list[Any] = []
    for field, kind in entry.required.items():
        made = _type_of(kind)
        if made is None:
            return None
        members.append((field, made | None if field in entry.nullable else made))
    for field, kind in entry.optional.items():
        if (made := _type_of(kind)) is not None:
            members.append((field, made | None, None))
    structure = msgspec.defstruct(
        name.title().replace(".", "").replace("_", ""),
        members,
        forbid_unknown_fields=True,
        omit_defaults=True,
        gc=False,
    )
    kinds = {**entry.required, **entry.optional}
    days = [field for field, kind in kinds.items() if kind is fields.DATE]
    personal = may_name(name, kinds)
    ids = [field for field, kind in kinds.items() if personal and kind is fields.ID]
    secrets = [field for field in entry.sealed if personal and _type_of(kinds[field]) is not None]
    return _Payload(
        msgspec.json.Decoder(structure).decode, _values(days), _values(entry.any_of), CORRECTABLE.get(name), _values(ids),
        _values(secrets), personal and "utm" in kinds,
    )  # fmt: skip


def _values(names: Sequence[str]) -> Callable[[object], tuple[Any, ...]] | None:
    """Return what gets the values of fields. One is asked for twice: of a single name no tuple would come."""
    return attrgetter(names[0], *names) if names else None


_PAYLOADS = {
    name: payload
    for name, entry in CATALOGUE.items()
    if newest_version(name) == CURRENT_VERSION and (payload := payload_of(name, entry)) is not None
}


class _Envelope(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The attributes of an event without extensions and of the first payload version."""

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
    source: Annotated[str, Meta(min_length=1, max_length=MAX_SOURCE)]
    type: str
    time: str
    data: msgspec.Raw
    subject: Annotated[str, Meta(min_length=1, max_length=MAX_SOURCE)] | None = None
    datacontenttype: Literal["application/json"] | None = None


_envelope = msgspec.json.Decoder(_Envelope).decode
_encode = msgspec.json.Encoder().encode
_MARKS, _MARKS_MORE = 22, 4  # quotation marks: of an envelope's six names and five texts; of a name and a text more


def read(raw: bytes, limits: Limits) -> Row | None:
    """Return the row of bytes that are plainly a good event, else None."""
    escaped = _BACKSLASH in raw
    if len(raw) > limits.string or limits.depth < _DEEPEST or (escaped and b"\\u0000" in raw):
        return None
    try:
        envelope = _envelope(raw)
        event_type, time = envelope.type, envelope.time
        payload = _PAYLOADS[event_type]
        data = payload.decode(envelope.data)
        micros, rest = whole_seconds(time), ""
        if micros is None:
            micros, rest = parse_instant(time)
    except (msgspec.MsgspecError, KeyError, ValueError, RecursionError):
        return None
    # A name that stands twice is in `raw` only, with its quotation marks. So are nulls, which are looked at closer.
    marks = _MARKS + _MARKS_MORE * ((envelope.subject is not None) + (envelope.datacontenttype is not None))
    odd = raw.count(_MARK) != marks + _encode(data).count(_MARK) or (escaped and b"\\u0022" in raw)
    if odd and may_repeat(raw):
        return None
    if payload.days and _outside(payload.days(data)):
        return None
    if payload.any_of and set(payload.any_of(data)) == {None}:
        return None
    kept = bytes(envelope.data)
    if _LINE_FEED in raw or _RETURN in raw:  # white space in JSON; wherever the log is written out an event is one line
        kept = kept.replace(b"\n", b" ").replace(b"\r", b" ")
    source, identity, subject = envelope.source, envelope.id, envelope.subject
    entity = f"{event_type}:{getattr(data, payload.entity)}" if payload.entity else REMEMBERED.get(event_type)
    content = content_of(
        micros, CURRENT_VERSION, source, identity, event_type, time, rest, subject, None, kept, None
    )  # fmt: skip
    return Row(
        micros, CURRENT_VERSION, source, identity, event_type, time, rest, subject, None, kept, None, entity, content,
        payload.ids is not None and _seals(payload, data, subject),
    )  # fmt: skip


def _seals(payload: _Payload, data: object, subject: str | None) -> bool:
    """Tell whether an event that names people says more of them than figures need."""
    if subject is not None and payload.ids is not None and subject not in payload.ids(data):
        return True
    if payload.secrets is not None and any(one is not None for one in payload.secrets(data)):
        return True
    return payload.tagged and _says_more(data.utm)  # type: ignore[attr-defined]


def _says_more(utm: Any) -> bool:
    return utm is not None and not (utm.campaign is utm.term is utm.content is None)


def _outside(days: Sequence[date | None]) -> bool:
    """Tell whether any of these days is one that no figure is reported by."""
    for day in days:  # noqa: SIM110  a generator costs twice as much
        if day is not None and not _FIRST <= day <= _LAST:
            return True
    return False
