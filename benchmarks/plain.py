"""The plain way for comparison: normalised tables without history, with the indexes one would give them, and GROUP BY.

The tables are filled from the log, so that they hold the same business. They know no corrections, no lateness and no
earlier moment: it is the least that a report per campaign can cost when it is worked out on reading.
"""

from __future__ import annotations

import asyncpg

_TABLES = {
    "costs": ("campaign.cost_booked", "data->>'campaign_id' AS campaign, (data->>'cost_date')::date AS day, {amount} AS amount"),
    "leads": (
        "lead.captured",
        "data->>'lead_id' AS lead, data->>'campaign_id' AS campaign, data->>'channel' AS channel, time::timestamptz::date AS day",
    ),
    "opportunities": (
        "opportunity.opened",
        "data->>'opportunity_id' AS opportunity, data->'lead_ids'->>0 AS lead, time::timestamptz::date AS day",
    ),
    "orders": (
        "order.placed",
        """data->>'order_id' AS order_id, data->>'opportunity_id' AS opportunity, time::timestamptz::date AS day,
        {net_value} AS amount""",
    ),
    "invoices": (
        "invoice.posted",
        """data->>'invoice_id' AS invoice, data->>'order_id' AS order_id, (data->>'posting_date')::date AS day,
        {net_amount} AS amount, {cogs} AS cogs""",
    ),
}  # fmt: skip
_MONEY = {name: f"(data->'{name}'->>'amount')::numeric" for name in ("amount", "net_value", "net_amount", "cogs")}
_INDEXES = (
    "CREATE UNIQUE INDEX ON plain.leads (lead)", "CREATE UNIQUE INDEX ON plain.opportunities (opportunity)",
    "CREATE UNIQUE INDEX ON plain.orders (order_id)", "CREATE UNIQUE INDEX ON plain.invoices (invoice)",
    "CREATE INDEX ON plain.opportunities (lead)", "CREATE INDEX ON plain.orders (opportunity)",
    "CREATE INDEX ON plain.invoices (order_id)",
    *(f"CREATE INDEX ON plain.{name} (day)" for name in _TABLES),
)  # fmt: skip

ROI = """
    WITH sold AS (
        SELECT o.order_id, o.day, o.amount, l.campaign
        FROM plain.orders o JOIN plain.opportunities USING (opportunity) JOIN plain.leads l USING (lead)
    ), figures AS (
        SELECT campaign, 0 AS leads, sum(amount) AS cost, 0 AS booked, 0 AS invoiced, 0 AS cogs
        FROM plain.costs WHERE day >= $1 AND day < $2 GROUP BY campaign
        UNION ALL
        SELECT campaign, count(*), 0, 0, 0, 0 FROM plain.leads WHERE day >= $1 AND day < $2 GROUP BY campaign
        UNION ALL
        SELECT campaign, 0, 0, sum(amount), 0, 0 FROM sold WHERE day >= $1 AND day < $2 GROUP BY campaign
        UNION ALL
        SELECT campaign, 0, 0, 0, sum(i.amount), sum(i.cogs) FROM plain.invoices i JOIN sold USING (order_id)
        WHERE i.day >= $1 AND i.day < $2 GROUP BY campaign
    )
    SELECT campaign, sum(leads)::bigint AS leads, sum(cost)::text AS cost, sum(booked)::text AS booked,
           sum(invoiced)::text AS invoiced, sum(cogs)::text AS cogs,
           ((sum(invoiced) - sum(cogs) - sum(cost)) / nullif(sum(cost), 0))::double precision AS roi
    FROM figures GROUP BY campaign ORDER BY campaign
"""


async def fill(dsn: str, ledger: int) -> None:
    """Make the tables anew from the events of a ledger."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("DROP SCHEMA IF EXISTS plain CASCADE; CREATE SCHEMA plain")
    for name, (kind, columns) in _TABLES.items():
        await connection.execute(
            f"CREATE TABLE plain.{name} AS SELECT {columns.format(**_MONEY)} FROM events "
            f"WHERE ledger = {ledger} AND type = '{kind}'",
            timeout=3600,
        )
    for statement in _INDEXES:
        await connection.execute(statement, timeout=3600)
    await connection.execute("ANALYZE")
    await connection.close()
