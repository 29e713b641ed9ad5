"""Keys from the environment are told by their ids, which show nothing of them."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Until now they were called `bootstrap` and had the first eleven characters of the key in their id. All other keys were
    # made by the service, which begins them with cl_; one from the environment may do so too, but then its name tells it.
    op.execute("""
        UPDATE api_keys SET key_id = 'bootstrap-' || encode(substr(sha256(hash), 1, 4), 'hex')
        WHERE name = 'bootstrap' AND scopes @> ARRAY['ingest', 'read', 'admin'] AND key_id NOT LIKE 'bootstrap-%'
        AND ledger IN (SELECT ledger FROM ledgers WHERE name = 'default')
    """)


def downgrade() -> None:
    pass  # an id is as good as another to the release before
