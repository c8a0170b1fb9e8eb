"""An embedded engine over a folder, with the real parsing child."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.catalog.open import local_options, open_catalog
from app.catalog.table import Catalog, Table
from app.config import Settings
from app.ingest import commit
from app.ingest.engines.embedded import EmbeddedEngine, Inputs
from app.ingest.engines.embedded_input import parse_limits
from app.ingest.engines.sandbox import Sandbox
from app.ingest.ports import SystemClock
from app.schemas.ingestion import IngestionShape
from app.spool import Spool
from app.storage import Store, open_store
from app.values import Batch, BatchFile, BatchState, Landing, WriteResult

MIB = 1024 * 1024


@dataclass
class Bench:
    """One engine and what it loads from."""

    engine: EmbeddedEngine
    source: Path
    count: int = 0

    @property
    def table(self) -> Table:
        return self.engine.table

    def put(self, *rows: Mapping[str, object] | str, name: str = "") -> BatchFile:
        """A file of JSON lines; a text is a line as it is."""
        self.count += 1
        path = self.source / (name or f"f{self.count}.jsonl")
        path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
        return self.file(path)

    def file(self, path: Path) -> BatchFile:
        found = path.stat()
        self.count += 1
        return BatchFile(self.count, str(path), f"{found.st_size}-{found.st_mtime_ns}", found.st_size)

    def batch(self, files: Sequence[BatchFile] = (), **given: Any) -> Batch:
        """A batch whose first claim is made now."""
        state = self.engine.ensure_table()
        known: dict[str, Any] = {"id": uuid4(), "table_uuid": state.uuid, "base_snapshot_id": state.head, **given}
        return Batch(
            ingestion_id=uuid4(),
            run_id=uuid4(),
            state=BatchState.CLAIMED,
            file_count=len(files),
            byte_count=sum(file.size for file in files),
            claims=1,
            claim_epoch=1,
            **known,
        )

    def publish(self, batch: Batch, files: Sequence[BatchFile], written: WriteResult) -> Landing:
        """With a receipt, as a run does it."""
        return commit.publish(self.engine, batch, files, written, uuid4(), SystemClock().now())

    def load(self, *files: BatchFile) -> tuple[Batch, Landing]:
        batch = self.batch(files)
        return batch, self.publish(batch, files, self.engine.write(batch, files))

    def rows(self, table: Table | None = None) -> list[dict[str, Any]]:
        found = (table or self.table).look().loaded.scan().to_arrow().to_pylist()
        return sorted(found, key=str)

    def ids(self) -> list[int]:
        return sorted(row["id"] for row in self.rows())


def shape_of(source: str, **parts: Any) -> IngestionShape:
    return IngestionShape.model_validate(
        {
            "name": "events",
            "source": {"url": source},
            "format": {"type": "jsonl"},
            "destination": {"table": "db.events"},
            "columns": {"columns": "id bigint, name string"},
            **parts,
        }
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """One good record of `id bigint, name string`."""
    path = tmp_path / "small.jsonl"
    path.write_text('{"id": 1, "name": "x"}\n')
    return path


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with open_catalog("local", local_options(tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        autoloader_home=tmp_path / "home",
        parser_memory_bytes=256 * MIB,
        parser_threads=1,
        parser_timeout_seconds=60,
        commit_attempts=6,
        spool_max_bytes=64 * MIB,
    )


@pytest.fixture
def bench(tmp_path: Path, catalog: Catalog, settings: Settings) -> Iterator[Callable[..., Bench]]:
    """Makes engines: parts of the shape by name; `store`, `catalog` and `settings` replace the usual ones."""
    source = tmp_path / "source"
    source.mkdir()
    with ExitStack() as stack:

        def make(
            *,
            store: Store | None = None,
            inside: Catalog | None = None,
            with_settings: Settings | None = None,
            **parts: Any,
        ) -> Bench:
            used = with_settings or settings
            shape = shape_of(str(source), **parts)
            inputs = Inputs(
                store=store or open_store(str(source)),
                spool=Spool(tmp_path / "home" / "spool", used.spool_max_bytes, 4),
                sandbox=Sandbox(parse_limits(used), timeout_seconds=used.parser_timeout_seconds),
                staging=tmp_path / "home" / "staging",
            )
            table = (inside or catalog).table(shape.destination.table)
            engine = EmbeddedEngine(table, shape, None, inputs, used)
            stack.callback(engine.close)
            return Bench(engine, source)

        yield make
