"""Imports are known by the content of a file and of its mapping, and are remembered when they are done."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM imports")  # how far files of a name had come: they are known by their content now
    op.execute("""
        ALTER TABLE imports
            ADD COLUMN mapping text NOT NULL,
            ADD COLUMN name text NOT NULL,
            ADD COLUMN begun_at timestamptz NOT NULL DEFAULT now(),
            ADD COLUMN done_at timestamptz
    """)
    op.execute("ALTER TABLE imports DROP CONSTRAINT imports_pkey")
    op.execute("ALTER TABLE imports ADD PRIMARY KEY (ledger, file, mapping)")


def downgrade() -> None:
    op.execute("DELETE FROM imports")
    op.execute("ALTER TABLE imports DROP CONSTRAINT imports_pkey")
    op.execute("ALTER TABLE imports DROP COLUMN mapping, DROP COLUMN name, DROP COLUMN begun_at, DROP COLUMN done_at")
    op.execute("ALTER TABLE imports ADD PRIMARY KEY (ledger, file)")
