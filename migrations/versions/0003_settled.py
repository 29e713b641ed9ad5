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
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM generations WHERE settled < checkpoint) THEN
                RAISE EXCEPTION 'some balances are not up to their postings: let a worker finish, stop it, and try again';
            END IF;
        END $$
    """)
    op.execute("ALTER TABLE generations DROP COLUMN settled")
