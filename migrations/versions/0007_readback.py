"""Deliveries whose sender's API has to be asked wait apart from the others, and turns are taken ledger by ledger."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0003"
branch_labels = None
depends_on = None

UP = (
    "ALTER TABLE deliveries ADD COLUMN asks boolean NOT NULL DEFAULT false, ADD COLUMN leased_until timestamptz",
    "DROP INDEX deliveries_due",
    "CREATE INDEX deliveries_due ON deliveries (asks, ledger, next_try, delivery) WHERE next_try IS NOT NULL",
    "DROP INDEX records_due",
    "CREATE INDEX records_due ON records (ledger, due) WHERE due IS NOT NULL",
)
DOWN = (
    "DROP INDEX records_due",
    "CREATE INDEX records_due ON records (due) WHERE due IS NOT NULL",
    "DROP INDEX deliveries_due",
    "CREATE INDEX deliveries_due ON deliveries (next_try, delivery) WHERE next_try IS NOT NULL",
    "ALTER TABLE deliveries DROP COLUMN asks, DROP COLUMN leased_until",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
