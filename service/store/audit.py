"""The audit log: who did what to a ledger's keys, sources, sessions, grants, read models and quarantine; never what events say.

    with audit.acting(Actor("cli:ada@host")): ...                         # whoever acts, for as long as the block lasts
    await audit.note(connection, ledger, "key.created", key_id, name=…)   # in the transaction of what was done

What changes something notes it in the same transaction, so that neither is there without the other. Who acts is a variable of
the context: the front door sets it for a request, the command line for a command. The database refuses to change an entry.
"""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, NamedTuple

from service.store.database import Queryable

_LONGEST = 500  # characters of an object
# What is noted.
ACTIONS = {
    "ledger.created": "a ledger was made",
    "key.created": "an API key was made", "key.changed": "an API key was changed", "key.revoked": "an API key was revoked",
    "key.first_used": "an API key was used for the first time",
    "source.created": "a system was connected", "source.changed": "a connected system was changed",
    "source.deleted": "a connected system was closed", "delivery.discarded": "a delivery was taken out",
    "model.published": "an attribution model was published", "subject.erased": "a person was erased",
    "rebuild.begun": "a rebuild was begun", "rebuild.pause": "a rebuild was paused", "rebuild.resume": "a rebuild was resumed",
    "rebuild.cancel": "a rebuild was given up", "rebuild.apply": "a rebuild was made to serve",
    "generation.rolled_back": "the generation before was made to serve", "generation.pruned": "old generations were dropped",
    "quarantine.dismissed": "items of the quarantine were dismissed",
    "grant.created": "scopes were granted", "grant.revoked": "a grant was taken back",
    "bi.granted": "a role of the database was granted the views", "bi.revoked": "that grant was taken back",
    "session.created": "somebody signed in", "session.moved": "somebody went on to another ledger",
    "session.ended": "a session was ended", "session.refused": "signing in was refused",
}  # fmt: skip

# The next number of a ledger's entries. The row stays locked until the commit, so that entries are seen in their order.
_NOTE = """
    WITH number AS (
        INSERT INTO audit_numbers AS n (ledger, last) VALUES ($1, 1)
        ON CONFLICT (ledger) DO UPDATE SET last = n.last + 1 RETURNING last
    )
    INSERT INTO audit_entries (ledger, entry, actor, action, object, address, request_id, details)
    SELECT $1, last, $2, $3, $4, $5, $6, $7 FROM number
"""

_LISTED = """
    SELECT entry, at, actor, action, object, address, request_id, details FROM audit_entries
    WHERE ledger = $1 AND entry < $2 AND action = coalesce($4, action) AND actor = coalesce($5, actor)
    ORDER BY entry DESC LIMIT $3
"""


class Actor(NamedTuple):
    """Whoever does something: a key, a signed-in person, an operator at the command line, or the service itself."""

    name: str
    address: str | None = None
    request_id: str | None = None


class Entry(NamedTuple):
    """What somebody did."""

    entry: int
    at: datetime
    actor: str
    action: str
    object: str | None
    address: str | None
    request_id: str | None
    details: dict[str, Any]


_SERVICE = Actor("service")
ACTOR: ContextVar[Actor] = ContextVar("actor", default=_SERVICE)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Have what the block does be noted as done by an actor."""
    before = ACTOR.set(actor)
    try:
        yield
    finally:
        ACTOR.reset(before)


def operator() -> Actor:
    """Return who sits at the command line, as the system knows them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a uid without a name
        name = "unknown"
    return Actor(f"cli:{name}@{socket.gethostname()}")


async def note(connection: Queryable, ledger: int, action: str, about: object = None, /, **details: Any) -> None:
    """Note what the actor of this context does to a ledger. `connection` is that of the transaction which does it."""
    if action not in ACTIONS:
        raise ValueError(f"{action} is no action that is audited")
    actor = ACTOR.get()
    shown = None if about is None else str(about).replace("\x00", "\ufffd")[:_LONGEST]
    told = json.dumps({name: value for name, value in details.items() if value is not None}, default=str)
    await connection.execute(_NOTE, ledger, actor.name, action, shown, actor.address, actor.request_id, told)


async def listed(
    connection: Queryable, ledger: int, before: int, limit: int, action: str | None = None, actor: str | None = None
) -> list[Entry]:
    """Return entries of a ledger, newest first, before the one of a number."""
    rows = await connection.fetch(_LISTED, ledger, before, limit, action, actor)
    return [Entry(**{**dict(row), "details": json.loads(row["details"])}) for row in rows]
