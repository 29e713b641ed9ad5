"""Balances may follow behind the postings: `settled` is the position up to which a generation's balances are made."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE generations ADD COLUMN settled bigint NOT NULL DEFAULT 0")
    op.execute("UPDATE generations SET settled = checkpoint")


def downgrade() -> None:
    op.execute("ALTER TABLE generations DROP COLUMN settled")
