"""Times and days as files write them. What has no zone of its own is in the zone of the mapping, else of the ledger.

A zone that stands in a cell is read or refused, never dropped: offsets (+01:00), Z, UTC, GMT, and names such as
Europe/Berlin. Abbreviations (CET, EST) mean different things to different people, so a mapping has to say which offset they
are. Nothing depends on the zone of the machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

ISO = "2026-03-01T09:30:00+01:00 (ISO 8601)"
_OF_THE_MACHINE = {"localtime", "Factory"}
_NAME = re.compile(r"[A-Za-z]+(?:[/_+-][A-Za-z0-9_+-]+)*")
_LITERAL = re.compile(r"(?<=%[SfMHIpT])( ?)(?:Z|UTC|GMT)$")
_UTC = {"Z", "UTC", "GMT"}
_MARK = "\x1f"  # stands for the name of the zone while the rest is read


class ZoneError(ValueError):
    """A zone in a cell that cannot be read; the text says what can."""


def zone_named(name: object) -> ZoneInfo:
    """Return an IANA time zone; ValueError if there is none of that name, or if it is the machine's."""
    if not isinstance(name, str) or name in _OF_THE_MACHINE or name not in _zones():
        raise ValueError("an IANA time zone such as Europe/Berlin")
    return ZoneInfo(name)


@lru_cache(maxsize=1)  # the names are looked for in the file system
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) | {"UTC"}


def offset_named(text: str) -> tzinfo:
    """Return the zone of an offset ("+01:00"), UTC or an IANA name; ValueError if it is none of these."""
    if re.fullmatch(r"[+-]\d\d:\d\d", text, re.ASCII):
        return datetime.strptime(text, "%z").tzinfo or UTC
    return UTC if text in _UTC else zone_named(text)


def check_format(form: str) -> str:
    """Return a format of dates or times as it will be read; ValueError says what is wrong with it."""
    if not re.search(r"%[YyGcx]", form):
        raise ValueError("a format with the year in it, such as %d.%m.%Y")
    try:
        datetime.strptime("", form.replace("%Z", ""))  # noqa: DTZ007  only to see whether the directives are known
    except ValueError as error:
        if "does not match" not in str(error) and "unconverted" not in str(error):
            raise ValueError(f"a format such as %d.%m.%Y %H:%M ({error})") from None
    # A Z or UTC at the end is a zone, however the format spells it: dropping it would move the time.
    return _LITERAL.sub(r"\1%Z", form)


def moment(text: str, form: str | None, zones: Mapping[str, tzinfo] | None = None) -> datetime:
    """Return the time that a cell states, with a zone if it states one; ValueError if it is written otherwise."""
    if form is None:
        return _iso(text, zones or {})
    if "%Z" not in form:
        return datetime.strptime(text, form)  # noqa: DTZ007  without a zone of its own it is in the mapping's
    for name in reversed(list(_NAME.finditer(text))):
        without = f"{text[: name.start()]}{_MARK}{text[name.end() :]}"
        try:
            found = datetime.strptime(without, form.replace("%Z", _MARK))  # noqa: DTZ007
        except ValueError:
            continue
        return found.replace(tzinfo=_zone(name[0], zones or {}))
    raise ValueError(f"a time written as {form}")


def _iso(text: str, zones: Mapping[str, tzinfo]) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        rest, _, name = text.rpartition(" ")
        if not rest or not _NAME.fullmatch(name):
            raise
        found = datetime.fromisoformat(rest)
        if found.tzinfo is not None:
            raise
        return found.replace(tzinfo=_zone(name, zones))


def _zone(name: str, zones: Mapping[str, tzinfo]) -> tzinfo:
    if name in zones:
        return zones[name]
    if name.upper() in _UTC:
        return UTC
    if "/" in name and name in _zones():
        return zone_named(name)
    raise ZoneError(
        f"an offset such as +01:00, UTC, or a zone such as Europe/Berlin instead of {name}, which is not the same "
        f'everywhere (the mapping can say it: zones: {{{name}: "+01:00"}})'
    )


def instant(text: str, form: str | None, zone: tzinfo, zones: Mapping[str, tzinfo] | None = None) -> str:
    """Return RFC 3339 in UTC of a time that is in `zone` unless it states its own.

    The hour that a clock change repeats is taken as its first. Written in UTC, since very old local offsets have seconds
    that RFC 3339 has not.
    """
    found = moment(text, form, zones)
    found = found if found.tzinfo else found.replace(tzinfo=zone)
    return found.astimezone(UTC).isoformat().replace("+00:00", "Z")


def day(text: str, form: str | None, zone: tzinfo) -> str:
    """Return the day (YYYY-MM-DD) of a date, or of a time: that of an instant is the day in `zone`."""
    found = moment(text, form)
    local: date = (found.astimezone(zone) if found.tzinfo else found).date()
    return local.isoformat()
