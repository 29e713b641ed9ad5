"""Everything that a database holds, as text: what an erasure has to leave nothing in."""

from __future__ import annotations

import asyncpg


async def dumped(dsn: str, ledger: int | None = None) -> dict[str, str]:
    """Return all rows of each table, those of a ledger where they have one, with bytes as they would be read."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            """
            SELECT c.relname, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'ledger') AS own
            FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
            """
        )
        found = {}
        for name, own in tables:
            where = f"WHERE ledger = {ledger}" if own and ledger is not None else ""
            columns = await connection.fetch(
                "SELECT attname, atttypid::regtype::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 "
                "AND NOT attisdropped", name,
            )  # fmt: skip
            shown = [
                f"encode({column}, 'escape')" if kind == "bytea" else f'"{column}"::text' for column, kind in
                ((f'"{one}"' if kind == "bytea" else one, kind) for one, kind in columns)
            ]  # fmt: skip
            rows = await connection.fetch(f"SELECT concat_ws(' | ', {', '.join(shown)}) FROM {name} {where}")
            found[name] = "\n".join(row[0] for row in rows)
        return found
    finally:
        await connection.close()


async def holding(dsn: str, texts: list[str], ledger: int | None = None) -> dict[str, list[str]]:
    """Return by table which of some texts it holds."""
    found = await dumped(dsn, ledger)
    held = {table: [one for one in texts if one.lower() in content.lower()] for table, content in found.items()}
    return {table: several for table, several in held.items() if several}
