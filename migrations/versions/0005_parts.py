"""Which parts of which process work, for `status` and the metrics.

Revision ID: 0005
Revises: 0003
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE parts (
            process text NOT NULL,
            part text NOT NULL,
            up boolean NOT NULL,
            needed boolean NOT NULL,
            since timestamptz NOT NULL,
            why text,
            failures integer NOT NULL,
            seen_at timestamptz NOT NULL,
            PRIMARY KEY (process, part)
        ) WITH (fillfactor = 50)
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE parts")
