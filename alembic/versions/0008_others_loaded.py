"""What a cluster loaded between two failures of a file that stands alone: only that makes the file the one to blame.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batches", sa.Column("failed_alone", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("batches", sa.Column("others_loaded", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("batches") as table:
        table.drop_column("others_loaded")
        table.drop_column("failed_alone")
