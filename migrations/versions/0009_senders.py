"""Records of senders: since when they stand as they do, what money waits, and which other records they are translated with."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE records ADD COLUMN since timestamptz NOT NULL DEFAULT now(),
            ADD COLUMN amounts json NOT NULL DEFAULT '[]', ADD COLUMN lookups text[] COLLATE "C" NOT NULL DEFAULT '{}'
    """)
    op.execute("CREATE INDEX records_by_lookup ON records USING gin (lookups) WHERE lookups <> '{}'")
    op.execute("CREATE INDEX deliveries_failed ON deliveries (ledger, source, delivery) WHERE state = 'failed'")
    op.execute("CREATE INDEX records_waiting ON records (ledger, source, record) WHERE state <> 'translated'")


def downgrade() -> None:
    op.execute("DROP INDEX records_waiting")
    op.execute("DROP INDEX deliveries_failed")
    op.execute("DROP INDEX records_by_lookup")
    op.execute("ALTER TABLE records DROP COLUMN since, DROP COLUMN amounts, DROP COLUMN lookups")
