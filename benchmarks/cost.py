"""What a million events cost: bytes by table, bytes of write-ahead log, and seconds."""

from __future__ import annotations

from statistics import median

from benchmarks import projection, setting
from benchmarks.setting import Effort, Stage
from benchmarks.table import Row, markdown

_SIZES = """
    SELECT c.relname AS name, pg_relation_size(c.oid) AS rows, pg_indexes_size(c.oid) AS indexes,
           pg_total_relation_size(c.oid) - pg_relation_size(c.oid) - pg_indexes_size(c.oid) AS rest
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'ledger' AND a.attnum = 1
    WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND pg_total_relation_size(c.oid) > 0
    ORDER BY pg_total_relation_size(c.oid) DESC
"""
_SOME = 0.5  # bytes per event from which a table is named


def storage(events: int, effort: Effort) -> str:
    """Return the table of bytes per event, of a ledger that is alone in its database and was never rebuilt."""
    with setting.database() as dsn:
        stage = Stage(dsn, *setting.new_ledger(dsn), effort)
        before = _wal(dsn)
        list(projection.grow(stage, events))
        return _storage(stage, _wal(dsn) - before)


def _wal(dsn: str) -> int:
    """Return how many bytes of write-ahead log were ever written."""
    return int(setting.ask(dsn, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")[0][0])


def _storage(stage: Stage, wal_bytes: int) -> str:
    lines, total = [], 0.0
    for name, *parts in setting.ask(stage.dsn, _SIZES):
        bytes_each = [part / stage.sent for part in parts]
        total += sum(bytes_each)
        if sum(bytes_each) >= _SOME:
            lines.append((name, *(f"{one:,.0f}" for one in (*bytes_each, sum(bytes_each)))))
    lines.append(("all tables", "", "", "", f"{total:,.0f}"))
    lines.append(("write-ahead log", "", "", "", f"{wal_bytes / stage.sent:,.0f}"))
    return markdown(("bytes per event", "rows", "indexes", "rest", "together"), lines)


def seconds(rows: list[Row], size: int) -> str:
    """Return the table of seconds per million events."""
    rates = {row.what: median(row.ours) for row in rows if row.size == size and row.unit == "/s"}
    wanted = (
        ("taking in, one event per request, 64 connections", "single posts, 64 connections"),
        ("taking in, NDJSON", "bulk NDJSON"),
        ("projecting, live", "live projection"),
        ("rebuilding", "rebuild"),
    )
    lines = [(name, f"{1e6 / rates[what]:,.0f}") for name, what in wanted if what in rates]
    return markdown((f"seconds per million events, at {size:,}", ""), lines)
