"""Balances in numbered columns, segments with labels: a generation keeps the layout that it was made by."""

from __future__ import annotations

import json

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

DURATIONS = (
    "captured_to_qualified", "qualified_to_opened", "opened_to_accepted", "accepted_to_ordered", "ordered_to_invoiced",
    "sales_cycle", "full_cycle", "lead_to_cash",
)  # fmt: skip
STEPS = ("captured", "qualified", "opportunity", "quote_accepted", "ordered", "invoiced")
# The measures that there were, in the order of their columns; a column had `_` for each `.`.
MEASURES = (
    "budget", "actual_cost", "booked_revenue", "invoiced_revenue_gross", "credited", "cogs", "invoiced_with_cogs",
    "new_customers", "won", "lost", "open", "pending_links",
    *(f"entered.{step}" for step in STEPS),
    *(f"funnel.{step}" for step in STEPS),
    *(f"{name}{part}" for name in DURATIONS for part in ("", ".total", ".out_of_sequence")),
)  # fmt: skip
DIMENSIONS = ("campaign", "channel", "source", "medium", "owner")
PEAKS = ("peak_cost", "peak_invoiced", "peak_margin")
COLUMNS = 64
LAYOUT = {
    "deals": {"by": DIMENSIONS, "rollups": [["campaign"]], "cohort": True, "letters": "sc", "measures": MEASURES},
}  # fmt: skip


def upgrade() -> None:
    # Which measure is in which column, and which dimension is which label: what an earlier release made stays readable.
    op.execute("ALTER TABLE generations ADD COLUMN layout json")
    op.execute(f"UPDATE generations SET layout = '{json.dumps(LAYOUT)}'")
    op.execute("ALTER TABLE generations ALTER COLUMN layout SET NOT NULL")
    for table in ("balances", "closings"):
        for number, measure in enumerate(MEASURES, 1):
            op.execute(f"ALTER TABLE {table} RENAME COLUMN {measure.replace('.', '_')} TO m{number}")
        more = ", ".join(f"ADD COLUMN m{number} numeric" for number in range(len(MEASURES) + 1, COLUMNS + 1))
        gone = ", ".join(f"DROP COLUMN {name}" for name in PEAKS)
        op.execute(f"ALTER TABLE {table} {more}, {gone}")
    op.execute("ALTER TABLE segments ADD COLUMN cube text COLLATE \"C\" NOT NULL DEFAULT 'deals'")
    op.execute('ALTER TABLE segments ADD COLUMN labels text[] COLLATE "C"')
    op.execute(f"UPDATE segments SET labels = ARRAY[{', '.join(DIMENSIONS)}]")
    op.execute("ALTER TABLE segments ALTER COLUMN labels SET NOT NULL")
    op.execute(f"ALTER TABLE segments {', '.join(f'DROP COLUMN {name}' for name in DIMENSIONS[1:])}")


def downgrade() -> None:
    """Only generations of the layout that there was before can be read by an earlier release: others are told."""
    op.execute(f"""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM generations WHERE state NOT IN ('pruned') AND layout::text <> '{json.dumps(LAYOUT)}') THEN
                RAISE EXCEPTION 'some read models are of this release: an earlier one cannot read them';
            END IF;
        END $$
    """)
    for number, name in enumerate(DIMENSIONS[1:], 2):
        op.execute(f'ALTER TABLE segments ADD COLUMN {name} text COLLATE "C"')
        op.execute(f"UPDATE segments SET {name} = labels[{number}]")
    op.execute("ALTER TABLE segments DROP COLUMN labels, DROP COLUMN cube")
    for table in ("balances", "closings"):
        for number, measure in enumerate(MEASURES, 1):
            op.execute(f"ALTER TABLE {table} RENAME COLUMN m{number} TO {measure.replace('.', '_')}")
        gone = ", ".join(f"DROP COLUMN m{number}" for number in range(len(MEASURES) + 1, COLUMNS + 1))
        op.execute(f"ALTER TABLE {table} {gone}, {', '.join(f'ADD COLUMN {name} numeric' for name in PEAKS)}")
    op.execute("ALTER TABLE generations DROP COLUMN layout")
