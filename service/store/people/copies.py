"""Copies of what was said of people, outside of the log: found by their ids and addresses, and removed or cut short.

Each table says in `docs/privacy.md` what becomes of it. What figures are made of holds open fields only and needs none of this.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from service.domain import personal
from service.domain.personal import Parts
from service.store.database import Connection, Queryable
from service.store.log.stored_events import COLUMNS, Stored
from service.store.quarantine import Refused
from service.store.rows import encode_json, open_fingerprint

CUT = "erased"
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_named = msgspec.json.Decoder(float_hook=str).decode  # a number that nothing holds is no reason to find nobody
_UNREADABLE = (  # a number as nothing holds it, too
    msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError,
)  # fmt: skip
_EMAIL = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;]+")
_PHONE = re.compile(r"\+?[\d][\d ()/.\-]{5,24}\d")
_OWN = re.compile(
    r"handles|(e[-_]?)?mails?|e[-_]?mail[-_]?address|(tele|mobile[-_]?)?phones?|(tele)?phone[-_]?number|mobile|tel",
    re.IGNORECASE,
)
_SHORTEST = 5  # characters of an id or address that is looked for in what cannot be read otherwise
# Fields of senders' systems that say who somebody is, or hold what somebody has written.
_PERSONAL = re.compile(
    r"name$|e-?mail|phone|mobile|fax|street|address|city$|zip|postal|postcode|birth|salutation|title$|twitter|linkedin|facebook"
    r"|instagram|handle|note|comment|description|message|body$|subject$|website|company$",
    re.IGNORECASE,
)

# What may name somebody: what has an escape has to be read to be sure.
_EVENTS = f"""
    SELECT {COLUMNS} FROM events e WHERE ledger = $1 AND (
        strpos(e.data::text, '\\') > 0 OR EXISTS (SELECT FROM unnest($2::text[]) AS u WHERE strpos(e.data::text, u) > 0)
    ) ORDER BY position
"""
_HOLDS = "EXISTS (SELECT FROM unnest($2::bytea[]) AS n WHERE position(n IN {}) > 0)"
_TELLS = "EXISTS (SELECT FROM unnest($2::text[]) AS n WHERE strpos({}, n) > 0)"

_DRAFTS = f"""
    SELECT source, record, key, issue, event, position IS NULL AND problem IS NULL FROM drafts
    WHERE ledger = $1 AND (strpos(event::text, '\\') > 0 OR {_TELLS.format("event::text")})
"""
_CUT_DRAFT = """
    UPDATE drafts SET event = $6, fingerprint = $7, problem = CASE WHEN problem IS NULL THEN NULL ELSE 'erased' END
    WHERE ledger = $1 AND source = $2 AND record = $3 AND key = $4 AND issue = $5
"""
_MENTIONING = f"SELECT DISTINCT source, record FROM statements WHERE ledger = $1 AND {_TELLS.format('fields::text')}"
_STATEMENTS = """
    SELECT source, record, delivery, key, digest, fields FROM statements s
    JOIN unnest($2::text[], $3::text[]) AS r (source, record) USING (source, record) WHERE s.ledger = $1
    ORDER BY source, record, delivery, key, digest FOR UPDATE OF s
"""
_CUT_STATEMENT = """
    UPDATE statements SET fields = $7, digest = $8
    WHERE ledger = $1 AND source = $2 AND record = $3 AND delivery = $4 AND key = $5 AND digest = $6
"""
# The records that speak of somebody who is erased, so that what comes of them later goes too; locked in one order by all.
_KNOWN = "SELECT source, record FROM records WHERE ledger = $1 AND erased = $2"
_MARK = """
    UPDATE records r SET erased = $2 FROM (
        SELECT ledger, source, record FROM records
        JOIN unnest($3::text[], $4::text[]) AS n (source, record) USING (source, record)
        WHERE ledger = $1 ORDER BY record FOR UPDATE OF records
    ) c WHERE r.ledger = c.ledger AND r.source = c.source AND r.record = c.record
"""
_LATER = """
    SELECT DISTINCT r.ledger, r.erased FROM records r JOIN statements s USING (ledger, source, record)
    JOIN deliveries d ON d.ledger = s.ledger AND d.delivery = s.delivery
    WHERE r.erased IS NOT NULL AND d.body IS NOT NULL AND NOT (d.state = 'received' AND d.next_try IS NOT NULL)
"""
_CUT_REASONS = f"""
    UPDATE records SET reasons = '["erased"]' WHERE ledger = $1 AND {_TELLS.format("reasons::text")}
"""
# Deliveries that speak of records, or hold an address. One that is still to be translated is left for later: it may hold others'.
_DELIVERIES = f"""
    SELECT delivery, state = 'received' AND next_try IS NOT NULL FROM deliveries d WHERE ledger = $1 AND (body IS NOT NULL AND (
        {_HOLDS.format("body")}
        OR delivery IN (SELECT s.delivery FROM statements s JOIN unnest($3::text[], $4::text[]) AS r (source, record)
                        USING (source, record) WHERE s.ledger = $1)
    ) OR reason IS NOT NULL AND {_HOLDS.format("convert_to(reason, 'UTF8')")})
    ORDER BY delivery FOR UPDATE
"""
_CUT_DELIVERIES = """
    UPDATE deliveries SET head = NULL, body = NULL, next_try = NULL, leased_until = NULL,
        reason = CASE WHEN reason IS NULL AND state <> 'failed' THEN NULL ELSE 'erased' END,
        state = CASE WHEN state IN ('failed', 'received') THEN 'discarded' ELSE state END
    WHERE ledger = $1 AND delivery = ANY($2)
"""
_ITEMS = f"""
    SELECT item, body, problem FROM quarantine WHERE ledger = $1 AND ({_HOLDS.format("body")}
        OR {_HOLDS.format("convert_to(problem::text, 'UTF8')")} OR position('\\\\'::bytea IN body) > 0)
    ORDER BY item FOR UPDATE
"""
_CUT_ITEM = f"""
    UPDATE quarantine SET body = '', problem = $3, fingerprint = $4, settled_at = coalesce(settled_at, now()), id = NULL,
        state = CASE WHEN state = 'waiting' THEN 'dismissed' ELSE state END, dismissal = coalesce(dismissal, '{CUT}'),
        source = CASE WHEN source LIKE '%@%' THEN NULL ELSE source END
    WHERE ledger = $1 AND item = $2
"""
_CUT_ERRORS = f"UPDATE set_aside SET error = '{CUT}' WHERE ledger = $1 AND {_TELLS.format('error')}"


class Person(NamedTuple):
    """Whom to look for: the position of their erasure, their names as keys have them, their ids, and their addresses.

    The addresses are those that can still be read: with their keys, they are gone.
    """

    position: int
    names: frozenset[str]
    ids: Sequence[str]
    addresses: Sequence[str]

    @property
    def texts(self) -> list[str]:
        """What they are found by in what cannot be read otherwise."""
        several = (form for one in self.addresses for form in {one, one.lower(), encode_json(one).decode()[1:-1]})
        return sorted({one for one in several if len(one) >= _SHORTEST})


async def later(connection: Queryable) -> list[tuple[int, int]]:
    """Return the erasures, as (ledger, position), of whose people something has come since by a sender."""
    return [(row[0], row[1]) for row in await connection.fetch(_LATER)]


async def events_of(connection: Connection, ledger: int, names: Iterable[str]) -> list[Stored]:
    """Return the events that name people; only within a transaction. The whole log is looked through."""
    wanted = {*names}
    ids = sorted({one.partition(":")[2] for one in wanted})
    found = []
    async for row in connection.cursor(_EVENTS, ledger, ids, prefetch=500):
        event = Stored(*row)
        if not wanted.isdisjoint(personal.persons(event.type, _decode(event.data))):
            found.append(event)
    return found


def addresses_in(event: Stored) -> Iterator[str]:
    """Yield the addresses that an event states of whom it is about: not those of an owner or of whoever else is named in it."""
    for name, value in _decode(event.data).items():
        if _OWN.fullmatch(name):
            several = value.values() if type(value) is dict else value if type(value) is list else [value]
            yield from (one for one in several if type(one) is str)
    if event.subject and (_EMAIL.fullmatch(event.subject) or _PHONE.fullmatch(event.subject)):
        yield event.subject


async def removed(connection: Connection, ledger: int, person: Person) -> tuple[dict[str, int], bool]:
    """Remove the copies of what is said of a person; return how many there were by table, and whether some are to come.

    Deliveries are locked first: whoever translates them locks them before all else.
    """
    texts = person.texts
    known = [*person.ids, *texts]
    records, drafts, waits = set(), [], False
    for source, record, key, issue, event, due in await connection.fetch(_DRAFTS, ledger, known):
        given = _decode(event)
        if not person.names.isdisjoint(personal.persons(given["type"], given["data"])):
            records.add((source, record))
            waits = waits or due
            if not due:
                drafts.append((source, record, key, issue, given))
    records |= {tuple(row) for row in await connection.fetch(_KNOWN, ledger, person.position)}
    if texts:
        records |= {tuple(row) for row in await connection.fetch(_MENTIONING, ledger, texts)}
    sources, names = [one[0] for one in records], [one[1] for one in records]
    raw = [one.encode() for one in texts]
    rows = await connection.fetch(_DELIVERIES, ledger, raw, sources, names)
    await connection.execute(_MARK, ledger, person.position, sources, names)
    waits = waits or any(row[1] for row in rows)
    deliveries = [row[0] for row in rows if not row[1]]
    await connection.execute(_CUT_DELIVERIES, ledger, deliveries)
    counts = {"deliveries": len(deliveries)}
    counts["statements"] = await _cut_statements(connection, ledger, sources, names, person)
    for source, record, key, issue, given in drafts:
        await connection.execute(
            _CUT_DRAFT, ledger, source, record, key, issue, *_cut_event(given)
        )  # fmt: skip
    counts["drafts"] = len(drafts)
    counts["records"] = _number(await connection.execute(_CUT_REASONS, ledger, texts))
    counts["quarantine"] = await _cut_items(connection, ledger, person)
    counts["set_aside"] = _number(await connection.execute(_CUT_ERRORS, ledger, texts))
    return counts, waits


async def _cut_statements(
    connection: Connection, ledger: int, sources: Sequence[str], names: Sequence[str], person: Person
) -> int:
    """Put a sign in the place of what statements say of a person: what events are made of stays, so that these stay the same."""
    done = 0
    for source, record, delivery, key, digest, fields in await connection.fetch(_STATEMENTS, ledger, sources, names):
        cut = encode_json(without(_decode(fields), person)).decode()
        if cut != fields:
            await connection.execute(
                _CUT_STATEMENT, ledger, source, record, delivery, key, digest, cut, os.urandom(len(digest))
            )  # fmt: skip
            done += 1
    return done


def without(value: Any, person: Person, field: str = "") -> Any:
    """Return what was stated, with signs in the place of what says who somebody is; their ids stay."""
    if type(value) is dict:
        return {name: without(one, person, f"{name}") for name, one in value.items()}
    if type(value) is list:
        return [without(one, person, field) for one in value]
    if type(value) is not str or not value or value in person.ids:
        return value
    if _EMAIL.fullmatch(value):
        return f"{CUT}@{CUT}.invalid"
    if _PERSONAL.search(field) or any(one in value for one in person.texts) or _EMAIL.search(value):
        return "+000000000" if _PHONE.fullmatch(value) else CUT
    return value


def _cut_event(given: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return what stays open of an event that a record gave, and a fingerprint of that."""
    attributes = {name: given[name] for name in personal.ATTRIBUTES if name in given}
    extensions = {
        name: one for name, one in given.items() if name not in attributes and name not in ("data", "subject")
    }
    shown, hidden = personal.divide(given["type"], Parts(given["data"], given.get("subject"), extensions))
    subject = {} if shown.subject is None else {"subject": shown.subject}
    left = personal.gone(shown, personal.told(hidden.data))
    event = {**attributes, **subject, "data": left.data, **left.extensions}
    return encode_json(event).decode(), open_fingerprint(given["type"], given["time"], shown)


async def _cut_items(connection: Connection, ledger: int, person: Person) -> int:
    """Empty what was kept because it could not be taken and speaks of a person."""
    marks = [encode_json(one) for one in person.ids] + [one.encode() for one in person.texts]
    done = 0
    for item, body, problem in await connection.fetch(_ITEMS, ledger, marks):
        if speaks_of(body, person) or any(one in problem for one in person.texts):
            await connection.execute(_CUT_ITEM, ledger, item, cut_problem(_decode(problem)), os.urandom(32))
            done += 1
    return done


def speaks_of(body: bytes, person: Person) -> bool:
    """Tell whether an item names a person, or holds an address of theirs."""
    if any(one.encode() in body for one in person.texts):
        return True
    try:
        return not person.names.isdisjoint(_people_of(body))
    except _UNREADABLE:
        return any(encode_json(one) in body for one in person.ids if len(one) >= _SHORTEST)


def people_of(body: bytes) -> list[str]:
    """Return whom an item names, as far as that can be read."""
    try:
        return _people_of(body)
    except _UNREADABLE:
        return []


def _people_of(body: bytes) -> list[str]:
    event = _named(body)
    return personal.persons(event["type"], event["data"])


def emptied(item: Refused) -> Refused:
    """Return an item without what is said in it; each stays one of its own."""
    problem = msgspec.json.decode(cut_problem(item.problem))
    return item._replace(body=b"erased " + os.urandom(8).hex().encode(), problem=problem, id=None)


def cut_problem(problem: Mapping[str, Any]) -> str:
    """Return a problem without what came: where it was, and what was expected, stay."""
    errors = [{**one, "got": CUT} for one in problem.get("errors", ())]
    return encode_json({**problem, "detail": CUT, **({"errors": errors} if errors else {})}).decode()


def _number(done: str) -> int:
    return int(done.rpartition(" ")[2])
