"""An id of the ledger itself: by it, two installations that share a Prefect server tell their deployments apart.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    made = op.create_table("ledgers", sa.Column("id", sa.Uuid(), nullable=False), sa.PrimaryKeyConstraint("id"))
    op.bulk_insert(made, [{"id": uuid4()}])


def downgrade() -> None:
    op.drop_table("ledgers")
