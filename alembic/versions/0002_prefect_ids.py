"""Where an ingestion lives in Prefect.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ingestions", sa.Column("prefect_deployment_id", sa.String(length=255), nullable=True))
    op.add_column("ingestions", sa.Column("prefect_flow_id", sa.String(length=255), nullable=True))
    op.create_index("ix_ingestions_prefect_deployment_id", "ingestions", ["prefect_deployment_id"])


def downgrade() -> None:
    op.drop_index("ix_ingestions_prefect_deployment_id", table_name="ingestions")
    with op.batch_alter_table("ingestions") as table:
        table.drop_column("prefect_flow_id")
        table.drop_column("prefect_deployment_id")
