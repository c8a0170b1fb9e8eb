"""What bringing Prefect in step, polling sources and answering the same call twice need.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENTS = ("next_poll_at", "prefect_migrated_at")


def upgrade() -> None:
    op.add_column("ingestions", sa.Column("prefect_synced_revision", sa.Integer(), nullable=True))
    for name in MOMENTS:
        op.add_column("ingestions", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_ingestions_next_poll_at", "ingestions", ["next_poll_at"])
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_index("ix_ingestions_next_poll_at", table_name="ingestions")
    with op.batch_alter_table("ingestions") as table:
        for name in ("prefect_synced_revision", *MOMENTS):
            table.drop_column(name)
