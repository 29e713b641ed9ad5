"""Agreements and merges of accounts and contacts are registers: they are found without the rest of the log."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE INDEX events_of_more_registers ON events (ledger, position)
        WHERE type IN ('sla.defined', 'account.merged', 'contact.merged')
    """)


def downgrade() -> None:
    op.execute("DROP INDEX events_of_more_registers")
