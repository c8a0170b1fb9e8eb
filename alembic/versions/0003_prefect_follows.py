"""What bringing Prefect in step, delivering triggers and answering the same call twice need.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WAITING = sa.text("delivered_at IS NULL")


def upgrade() -> None:
    op.add_column("ingestions", sa.Column("prefect_synced_revision", sa.Integer(), nullable=True))
    op.add_column("ingestions", sa.Column("next_poll_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_ingestions_next_poll_at", "ingestions", ["next_poll_at"])
    # No version ever stored a trigger: made anew, so that SQLite needs no copy, and `--sql` can print it.
    op.drop_table("triggers")
    _triggers(
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("flow_run_id", sa.String(length=255), nullable=True),
    )
    op.create_index("ix_triggers_due", "triggers", ["due_at"], sqlite_where=WAITING, postgresql_where=WAITING)
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
    op.drop_table("triggers")
    _triggers()
    op.drop_index("ix_ingestions_next_poll_at", table_name="ingestions")
    with op.batch_alter_table("ingestions") as table:
        table.drop_column("next_poll_at")
        table.drop_column("prefect_synced_revision")


def _triggers(*more: sa.Column[object]) -> None:
    op.create_table(
        "triggers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("ingestion_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        *more,
        sa.ForeignKeyConstraint(["ingestion_id"], ["ingestions.id"], name=op.f("fk_triggers_ingestion_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_triggers_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_triggers")),
    )
    op.create_index("ix_triggers_ingestion_id_created_at", "triggers", ["ingestion_id", "created_at"])
