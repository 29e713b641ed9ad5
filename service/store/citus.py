"""More than one machine: the same tables, distributed by ledger with Citus.

Every table of a ledger has `ledger` as its first column and in every unique index, so that all of a ledger lives in one
place and no statement of the service crosses machines. What is not a ledger's alone (ledgers, keys) goes to every machine.
"""

from __future__ import annotations

from typing import NamedTuple

from service.store.database import Queryable


class Placement(NamedTuple):
    """Where a table goes: distributed by its ledger, or (`reference`) to every machine; `done` if it is there already."""

    table: str
    reference: bool
    done: bool


# Tables, with whether some unique index has no ledger in it.
_TABLES = """
    SELECT c.relname AS name,
           first.attname <> 'ledger' OR EXISTS (
               SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND NOT first.attnum = ANY(i.indkey)
           ) OR c.relname = 'ledgers' AS reference
    FROM pg_class c JOIN pg_attribute first ON first.attrelid = c.oid AND first.attnum = 1
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname <> 'alembic_version'
    ORDER BY reference DESC, name
"""
# A table that every machine has, and one of which each machine has some ledgers, beside the same ledgers of the others.
_EVERYWHERE = "SELECT create_reference_table($1::text::regclass)"
_BY_LEDGER = "SELECT create_distributed_table($1::text::regclass, 'ledger', colocate_with => $2)"
# The trigger that refuses to change history concerns its own rows only, which is what makes it safe on every machine.
_WITH_TRIGGERS = "SET citus.enable_unsafe_triggers TO on"
# An append runs where its ledger is: called elsewhere, each of its statements would cross machines.
_APPEND_BESIDE_EVENTS = (
    "SELECT create_distributed_function($1::text::regprocedure, 'for_ledger', colocate_with => 'events')"
)
_APPEND = """
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE proname = 'append_events' AND pronamespace = current_schema()::regnamespace
"""


async def placements(connection: Queryable) -> list[Placement]:
    """Return where each table belongs, reference tables first (others refer to them)."""
    there: set[str] = set()
    if await _version(connection):
        there = {row[0] for row in await connection.fetch("SELECT table_name::text FROM citus_tables")}
    rows = await connection.fetch(_TABLES)
    return [Placement(row["name"], row["reference"], row["name"] in there) for row in rows]


async def distribute(connection: Queryable) -> list[Placement]:
    """Distribute every table that is not yet; return what was to be done. RuntimeError without the extension."""
    if await _version(connection) is None:
        raise RuntimeError(
            "this database has no citus extension: install Citus on it, put citus into shared_preload_libraries, and run "
            "CREATE EXTENSION citus in it"
        )
    found = await placements(connection)
    await connection.execute(_WITH_TRIGGERS)
    colocated = "none"
    for one in found:
        if one.reference:
            if not one.done:
                await connection.execute(_EVERYWHERE, one.table)
        else:
            if not one.done:
                await connection.execute(_BY_LEDGER, one.table, colocated)
            colocated = one.table
    append = await connection.fetchval(_APPEND)
    await connection.execute(_APPEND_BESIDE_EVENTS, append)
    return found


async def _version(connection: Queryable) -> str | None:
    version: str | None = await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'citus'")
    return version
