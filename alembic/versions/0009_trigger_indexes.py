"""Triggers are found by the flow run that they became, and forgotten by when they were done with.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_triggers_flow_run_id", "triggers", ["flow_run_id"])
    op.create_index("ix_triggers_delivered_at", "triggers", ["delivered_at"])


def downgrade() -> None:
    op.drop_index("ix_triggers_delivered_at", "triggers")
    op.drop_index("ix_triggers_flow_run_id", "triggers")
