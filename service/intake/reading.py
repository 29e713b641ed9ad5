"""From a delivery to statements: the kind reads it, and what it only points at is read back from the sender's API."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from traceback import extract_tb
from typing import Any, NamedTuple

import httpx
import msgspec

from service import telemetry
from service.domain.calendar import parse_instant
from service.domain.catalogue import shown
from service.intake.decoding import number_of
from service.intake.hooks import Hook
from service.intake.outgoing import SpentError
from service.intake.senders.contract import (
    Fetched,
    Ignored,
    MalformedError,
    Request,
    Statement,
    UnavailableError,
    Unreadable,
    Wanted,
)
from service.store.rows import encode_json
from service.store.statements import Stated

_log = telemetry.logger("translator")
_LONGEST = 300  # characters of a record's name and of a key: they are indexed
_MOST_REASONS = 5
_decoder = msgspec.json.Decoder(float_hook=number_of)


class Reading(NamedTuple):
    """What a delivery states; why parts of it state nothing; and what went wrong."""

    stated: list[Stated]
    ignored: list[str]
    problems: list[str]


class Api:
    """A sender's API during one turn: once it does not answer, or has had its turn, it is not asked again until the next."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._silent: str | None = None
        self.spent = False

    async def fetched(self, hook: Hook, wanted: Wanted) -> Fetched:
        """Read back what a notification points at."""
        if hook.kind.fetch is None:
            raise MalformedError(f"{wanted.record} would have to be read back, which {hook.kind.name} cannot")
        if self._silent:
            raise UnavailableError(self._silent)
        try:
            return await hook.kind.fetch(wanted, hook.source, self._client)
        except SpentError:
            self.spent = True
            raise
        except (UnavailableError, httpx.TransportError) as error:
            self._silent = f"the system's API does not answer: {type(error).__name__}: {error}"
            raise


async def read(
    hook: Hook, delivery: int, request: Request, before: Collection[Stated], api: Api | None = None
) -> Reading | None:
    """Read a delivery; without an API, None for one that needs it.

    What was read back `before` is not asked for again: the sender's record has moved on since.
    """
    reading = Reading([], [], [])
    if hook.problem:
        reading.problems.append(hook.problem)
        return reading
    try:
        parts = hook.kind.read(request, hook.source)
    except MalformedError as error:
        reading.problems.append(str(error))
        return reading
    except Exception as error:  # noqa: BLE001  a fault of a kind must not stop the others' messages
        reading.problems.append(fault(hook, "reading this", error))
        return reading
    for part in parts:
        if isinstance(part, Unreadable):
            reading.problems.append(part.reason)
            continue
        if isinstance(part, Wanted) and (there := _there(part, before)):
            reading.stated.extend(there)
            continue
        try:
            if not isinstance(part, Wanted):
                got: Fetched = part
            elif api is None:
                return None
            else:
                got = await api.fetched(hook, part)
            several = got if isinstance(got, list) else [got]
            stated = [as_stated(one, delivery) for one in several if not isinstance(one, Ignored)]  # all, or none
            reading.stated.extend(stated)
            reading.ignored.extend(one.reason for one in several if isinstance(one, Ignored))
        except (MalformedError, UnavailableError) as error:
            reading.problems.append(str(error))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reading.problems.append(f"reading back failed: {type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001  as above
            reading.problems.append(fault(hook, "reading back", error))
    return reading


def _there(wanted: Wanted, before: Collection[Stated]) -> list[Stated]:
    """Return what was read back before for a notification."""
    return [one for one in before if one.key == wanted.key and (wanted.many or one.record == wanted.record)]


def as_stated(one: Statement, delivery: int) -> Stated:
    """Return a statement as it is stored; MalformedError if it cannot be."""
    for what, value in (("record", one.record), ("key", one.key)):
        if not 0 < len(value) <= _LONGEST or "\x00" in value:
            raise MalformedError(f"{what}: expected 1 to {_LONGEST} characters, got {shown(value)}")
    try:
        parse_instant(one.at)
    except ValueError as error:
        raise MalformedError(f"time of {one.record}: expected {error}, got {shown(one.at)}") from None
    fields = encode_json(one.fields)
    digest = hashlib.sha256(b"\x00".join((one.at.encode(), one.order.encode(), one.verb.encode(), fields))).digest()
    return Stated(one.record, delivery, one.key, digest, one.at, one.order, one.verb, fields.decode())


def as_statement(stated: Stated) -> Statement:
    """Return a stored statement as its kind made it."""
    fields: dict[str, Any] = _decoder.decode(stated.fields)
    return Statement(stated.record, stated.key, stated.at, stated.order, stated.verb, fields)


def reasons(texts: Collection[str]) -> str | None:
    """Return several reasons as one text, each once."""
    several = list(dict.fromkeys(texts))
    more = len(several) - _MOST_REASONS
    return "; ".join(several[:_MOST_REASONS] + ([f"and {more} more"] if more > 0 else [])) or None


def fault(hook: Hook, what: str, error: Exception) -> str:
    """Log where a kind has a fault, and say so; neither with what was in the message, which may be secret."""
    place = extract_tb(error.__traceback__)[-1]
    at = f"{place.filename}:{place.lineno} in {place.name}"
    _log.error(
        "a kind of sender has a fault", kind=hook.kind.name, source=hook.source.id, error=type(error).__name__, at=at
    )
    return f"{what} failed: {type(error).__name__} in {hook.kind.name}, which is a fault of ours; the log says more"
