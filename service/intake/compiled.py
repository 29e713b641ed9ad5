"""The catalogue, compiled: the usual event is decoded and checked in one pass of C.

`read` gives the row of bytes that are plainly a good event, and None for everything else, which then goes the general way:
extensions, payload versions, unknown fields, objects of any shape, numbers at the edge of what binary floats hold,
and a problem for every field. The types come from the catalogue's own kinds, and a property test holds both ways to
the same answer. `data` is kept as its sender wrote it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal, NamedTuple, Union

import msgspec
from msgspec import Meta

from service.domain import catalogue
from service.domain.calendar import NO_DATE, parse_instant, whole_seconds
from service.domain.catalogue import CATALOGUE, MAX_ID, EventType, Kind
from service.domain.events import CURRENT_VERSION, MAX_SOURCE, newest_version
from service.domain.money import MINOR_DIGITS, whole_digits
from service.intake.decoding import Limits
from service.store.rows import CORRECTABLE, Row, content_of

NO_DATE_BYTES = NO_DATE.encode()
_DEEPEST = 3  # levels of objects and lists that the compiled types know: event, data, and what is in a field


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


def _number(least: int | None = None, most: int | None = None) -> Any:
    """Return a type of numbers. What a float may only seem to be goes the general way: a bound itself, 0, extremes."""
    whole = Meta(ge=-_EXACT if least is None else least, le=_EXACT if most is None else most)
    return Annotated[int, whole] | Annotated[float, Meta(gt=least or _TINY, lt=most or _HUGE)]


_ID = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
_TYPES: dict[int, Any] = {
    id(kind): made
    for kind, made in (
        (catalogue.ID, _ID),
        (catalogue.TEXT, str),
        (catalogue.MONEY, _money("-?")),
        (catalogue.MONEY_ABOVE_0, _money(r"(?=.*[1-9])")),
        (catalogue.DATE, date),
        (catalogue.CURRENCY, Literal[tuple(MINOR_DIGITS)]),
        (catalogue.RATE, Annotated[str, Meta(pattern=r"^(?=.*[1-9])[0-9]{1,15}(\.[0-9]{1,18})?\Z")]),
        (catalogue.BOOL, bool),
        (catalogue.NUMBER, _number()),
        (catalogue.NUMBER_0, _number(0)),
        (catalogue.COUNT, Annotated[int, Meta(ge=0, le=_EXACT)]),
        (catalogue.SHARE, _number(0, 1)),
        (catalogue.SCORE, _number(1, 5)),
        (catalogue.IDS, list[_ID]),
        (catalogue.TEXTS, list[str]),
        (catalogue.NUMBER_OR_TEXT, _number() | str),
        (
            catalogue.UTM,
            msgspec.defstruct(
                "Utm",
                [(name, str | None, None) for name in ("source", "medium", "campaign", "term", "content")],
                forbid_unknown_fields=True,
                gc=False,
            ),
        ),
    )
}


def _type_of(kind: Kind) -> Any:
    made = _TYPES.get(id(kind))
    return Literal[tuple(kind.schema["enum"])] if made is None else made


class _Payload(NamedTuple):
    """How the data of one type is read, and what then has to be looked at beyond each field by itself."""

    decode: Callable[[msgspec.Raw], Any]
    any_of: tuple[str, ...]
    dated: bool
    entity: str | None


def _payload(name: str, entry: EventType) -> _Payload:
    fields: list[Any] = []
    for field, kind in entry.required.items():
        made = _type_of(kind)
        fields.append((field, made | None if field in entry.nullable else made))
    for field, kind in entry.optional.items():
        if kind is not catalogue.OBJECT:
            fields.append((field, _type_of(kind) | None, None))
    structure = msgspec.defstruct(
        name.title().replace(".", "").replace("_", ""), fields, forbid_unknown_fields=True, gc=False
    )
    dated = catalogue.DATE in (*entry.required.values(), *entry.optional.values())
    return _Payload(msgspec.json.Decoder(structure).decode, entry.any_of, dated, CORRECTABLE.get(name))


_envelope = msgspec.json.Decoder(_Envelope).decode
_PAYLOADS = {
    name: _payload(name, entry)
    for name, entry in CATALOGUE.items()
    if catalogue.OBJECT not in entry.required.values() and newest_version(name) == CURRENT_VERSION
}


def read(raw: bytes, limits: Limits) -> Row | None:
    """Return the row of bytes that are plainly a good event, else None."""
    if len(raw) > limits.string or limits.depth < _DEEPEST or (b"\\" in raw and b"\\u0000" in raw):
        return None
    try:
        envelope = _envelope(raw)
        payload = _PAYLOADS[envelope.type]
        data = payload.decode(envelope.data)
        micros, rest = whole_seconds(envelope.time), ""
        if micros is None:
            micros, rest = parse_instant(envelope.time)
    except (msgspec.MsgspecError, KeyError, ValueError, RecursionError):
        return None
    if (payload.dated and NO_DATE_BYTES in raw) or (
        payload.any_of and all(getattr(data, name) is None for name in payload.any_of)
    ):
        return None
    # A line break in JSON is white space; one event is one line wherever the log is written out.
    kept = bytes(envelope.data).replace(b"\n", b" ").replace(b"\r", b" ")
    columns = (
        micros, CURRENT_VERSION, envelope.source, envelope.id, envelope.type, envelope.time, rest, envelope.subject, None,
        kept, None,
    )  # fmt: skip
    entity = None if payload.entity is None else f"{envelope.type}:{getattr(data, payload.entity)}"
    return Row(*columns, entity, content_of(*columns))
