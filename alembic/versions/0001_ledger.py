"""The ledger and what it rests on.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Paths are ordered by their bytes; SQLite counts by itself only in a column that is exactly INTEGER.
PATH = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
COUNTING_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _configuration()
    _runs()
    _ledger()
    # A random epoch: a new database never gives a `_file_id` that another one gave before.
    numbers = [sa.column(name, sa.BigInteger()) for name in ("id", "epoch", "next_sequence")]
    source = sa.table("file_id_source", *numbers)
    op.bulk_insert(source, [{"id": 1, "epoch": secrets.randbits(31), "next_sequence": 1}])


def downgrade() -> None:
    for table in (
        "file_id_source",
        "file_events",
        "processed_files",
        "triggers",
        "batches",
        "runs",
        "leases",
        "ingestions",
        "connections",
        "clusters",
    ):
        op.drop_table(table)


def _configuration() -> None:
    op.create_table(
        "clusters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("catalog", sa.String(length=200), nullable=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clusters")),
        sa.UniqueConstraint("tenant_id", "name", name="uq_clusters_tenant_name"),
    )
    op.create_table(
        "connections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connections")),
        sa.UniqueConstraint("tenant_id", "name", name="uq_connections_tenant_name"),
    )
    op.create_table(
        "ingestions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("source_url", sa.Text(), nullable=False),
        sa.Column("table_name", sa.String(length=400), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("schema_text", sa.Text(), nullable=True),
        sa.Column("schema_evidence", sa.JSON(), nullable=True),
        sa.Column("table_uuid", sa.Uuid(), nullable=True),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("rerun_wanted", sa.Boolean(), nullable=False),
        sa.Column("prefect_sync", sa.String(length=16), nullable=False),
        sa.Column("prefect_sync_error", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingestions")),
    )
    op.create_index("ix_ingestions_table_name", "ingestions", ["table_name"], unique=False)
    op.create_index(
        "uq_ingestions_tenant_name",
        "ingestions",
        ["tenant_id", "name"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )


def _runs() -> None:
    op.create_table(
        "leases",
        sa.Column("ingestion_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("acquired_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("boot_id", sa.String(length=64), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_start", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["ingestion_id"], ["ingestions.id"], name=op.f("fk_leases_ingestion_id")),
        sa.PrimaryKeyConstraint("ingestion_id", name=op.f("pk_leases")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("ingestion_id", sa.Uuid(), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("external_key", sa.String(length=255), nullable=True),
        sa.Column("lease_epoch", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["ingestion_id"], ["ingestions.id"], name=op.f("fk_runs_ingestion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("external_key", name=op.f("uq_runs_external_key")),
    )
    op.create_index("ix_runs_ingestion_id_started_at", "runs", ["ingestion_id", "started_at"], unique=False)
    op.create_index("ix_runs_tenant_id_started_at", "runs", ["tenant_id", "started_at"], unique=False)
    op.create_index(
        "ix_runs_running",
        "runs",
        ["ingestion_id"],
        unique=False,
        sqlite_where=sa.text("state = 'RUNNING'"),
        postgresql_where=sa.text("state = 'RUNNING'"),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ingestion_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("file_count", sa.Integer(), nullable=False),
        sa.Column("byte_count", sa.BigInteger(), nullable=False),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("unanswered", sa.Integer(), nullable=False),
        sa.Column("claim_epoch", sa.BigInteger(), nullable=True),
        sa.Column("table_uuid", sa.Uuid(), nullable=True),
        sa.Column("base_snapshot_id", sa.BigInteger(), nullable=True),
        sa.Column("snapshot_id", sa.BigInteger(), nullable=True),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("rescued_count", sa.BigInteger(), nullable=True),
        sa.Column("rejected_count", sa.BigInteger(), nullable=True),
        sa.Column("loaded_count", sa.Integer(), nullable=False),
        sa.Column("failed_count", sa.Integer(), nullable=False),
        sa.Column("quarantined_count", sa.Integer(), nullable=False),
        sa.Column("skipped_count", sa.Integer(), nullable=False),
        sa.Column("settled_run_id", sa.Uuid(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["ingestion_id"], ["ingestions.id"], name=op.f("fk_batches_ingestion_id")),
        sa.ForeignKeyConstraint(["parent_id"], ["batches.id"], name=op.f("fk_batches_parent_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_batches_run_id")),
        sa.ForeignKeyConstraint(["settled_run_id"], ["runs.id"], name=op.f("fk_batches_settled_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_index("ix_batches_run_id", "batches", ["run_id"], unique=False)
    op.create_index("ix_batches_settled_run_id", "batches", ["settled_run_id"], unique=False)
    op.create_index(
        "ix_batches_unfinished",
        "batches",
        ["ingestion_id", "created_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('PLANNED', 'CLAIMED', 'LANDED', 'UNKNOWN')"),
        postgresql_where=sa.text("state IN ('PLANNED', 'CLAIMED', 'LANDED', 'UNKNOWN')"),
    )
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
        sa.ForeignKeyConstraint(["ingestion_id"], ["ingestions.id"], name=op.f("fk_triggers_ingestion_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_triggers_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_triggers")),
    )
    op.create_index("ix_triggers_ingestion_id_created_at", "triggers", ["ingestion_id", "created_at"], unique=False)


def _ledger() -> None:
    op.create_table(
        "processed_files",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ingestion_id", sa.Uuid(), nullable=False),
        sa.Column("path", PATH, nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("discovered_run_id", sa.Uuid(), nullable=False),
        sa.Column("discovered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("rescued_count", sa.BigInteger(), nullable=True),
        sa.Column("rejected_count", sa.BigInteger(), nullable=True),
        sa.Column("snapshot_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_processed_files_batch_id")),
        sa.ForeignKeyConstraint(["ingestion_id"], ["ingestions.id"], name=op.f("fk_processed_files_ingestion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processed_files")),
        sa.UniqueConstraint("ingestion_id", "path", "version", name="uq_processed_files_ingestion_path_version"),
    )
    op.create_index("ix_processed_files_batch_id", "processed_files", ["batch_id"], unique=False)
    op.create_index(
        "ix_processed_files_not_loaded",
        "processed_files",
        ["ingestion_id", "state"],
        unique=False,
        sqlite_where=sa.text("state <> 'SUCCESS'"),
        postgresql_where=sa.text("state <> 'SUCCESS'"),
    )
    op.create_index(
        "ix_processed_files_waiting",
        "processed_files",
        ["ingestion_id", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('DISCOVERED', 'FAILED') AND batch_id IS NULL"),
        postgresql_where=sa.text("state IN ('DISCOVERED', 'FAILED') AND batch_id IS NULL"),
    )
    op.create_table(
        "file_events",
        sa.Column("id", COUNTING_KEY, autoincrement=True, nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("snapshot_id", sa.BigInteger(), nullable=True),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("rescued_count", sa.BigInteger(), nullable=True),
        sa.Column("rejected_count", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_events")),
    )
    op.create_index("ix_file_events_file_id", "file_events", ["file_id"], unique=False)
    op.create_table(
        "file_id_source",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("next_sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_id_source")),
    )
