"""The catalogue, compiled: the usual event is decoded and checked in one pass of C.

`read` gives the event of bytes that are plainly good, and None for everything else, which then goes the general way (limits,
extensions, payload versions, and a problem for every field). The types come from the catalogue's own kinds, and a property
test holds both ways to the same answer.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, Union

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.domain import catalogue
from service.domain.calendar import NO_DATE, parse_instant
from service.domain.catalogue import CATALOGUE, MAX_ID, EventType, Kind
from service.domain.events import CURRENT_VERSION, MAX_SOURCE, Event, newest_version
from service.domain.money import MINOR_DIGITS, whole_digits
from service.intake.decoding import Limits, number_of

NO_DATE_BYTES = NO_DATE.encode()
_json = msgspec.json.Decoder(float_hook=number_of)


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
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
            msgspec.defstruct(f"Money{least[:3]}{code}", [("amount", amount)], tag_field="currency", tag=code)
        )
    return Union[tuple(structures)]  # noqa: UP007  made from a list


def _number(least: int, most: int | None) -> Any:
    bounds = Meta(ge=least) if most is None else Meta(ge=least, le=most)
    return Annotated[int, bounds] | Annotated[float, bounds]


_ID = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
_TEXT_OR_NONE = str | None
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
        (catalogue.OBJECT, dict[str, Any]),
        (catalogue.NUMBER, int | float),
        (catalogue.NUMBER_0, _number(0, None)),
        (catalogue.COUNT, Annotated[int, Meta(ge=0)]),
        (catalogue.SHARE, _number(0, 1)),
        (catalogue.SCORE, _number(1, 5)),
        (catalogue.IDS, list[_ID]),
        (catalogue.TEXTS, list[str]),
        (catalogue.NUMBER_OR_TEXT, int | float | str),
        (
            catalogue.UTM,
            msgspec.defstruct(
                "Utm", [(name, _TEXT_OR_NONE, None) for name in ("source", "medium", "campaign", "term", "content")]
            ),
        ),
    )
}


def _type_of(kind: Kind) -> Any:
    made = _TYPES.get(id(kind))
    return Literal[tuple(kind.schema["enum"])] if made is None else made


def _decoder(name: str, entry: EventType) -> msgspec.json.Decoder[Any]:
    fields: list[Any] = []
    for field, kind in entry.required.items():
        fields.append((field, _type_of(kind) | None if field in entry.nullable else _type_of(kind)))
    for field, kind in entry.optional.items():
        fields.append((field, _type_of(kind) | None | UnsetType, UNSET))
    return msgspec.json.Decoder(msgspec.defstruct(name.title().replace(".", "").replace("_", ""), fields))


_envelope = msgspec.json.Decoder(_Envelope)
# What needs more than a look at each field goes the general way: groups of fields, and payloads with newer versions.
_DATA = {
    name: _decoder(name, entry)
    for name, entry in CATALOGUE.items()
    if not entry.any_of and newest_version(name) == CURRENT_VERSION
}


def read(raw: bytes, limits: Limits) -> Event | None:
    """Return the event of bytes that are plainly a good one, else None."""
    if (
        len(raw) > limits.string
        or raw.count(b"{") + raw.count(b"[") > limits.depth
        or b"\\u0000" in raw
        or NO_DATE_BYTES in raw
    ):
        return None
    try:
        envelope = _envelope.decode(raw)
        _DATA[envelope.type].decode(envelope.data)
        data, instant = _json.decode(envelope.data), parse_instant(envelope.time)
    except (msgspec.MsgspecError, KeyError, ValueError, RecursionError):
        return None
    return Event(
        envelope.source, envelope.id, envelope.type, envelope.time, instant, envelope.subject, None, CURRENT_VERSION, data, {}
    )  # fmt: skip
