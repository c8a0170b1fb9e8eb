"""One way to drive the real engine and the fake one: files go in, hands change the table, rows are counted by file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from app.catalog import rejects as reject_table
from app.catalog.table import Table
from app.datatypes import TableSchema
from app.errors import TableNotFound
from app.ingest.landing import reject_file_of
from app.ingest.ports import Engine
from app.values import Batch, BatchFile, BatchState, Landing, RejectFile, WriteResult
from tests.fakes.engine import FakeEngine, FakeFile
from tests.fakes.table import FakeClock, FakeTable
from tests.functional import hands
from tests.functional.ingest.engines.conftest import Bench


class Hands(Protocol):
    """What others do to a table."""

    def append_nothing(self) -> int: ...
    def roll_back(self, to: int) -> None: ...
    def forget(self, ids: Sequence[int]) -> None: ...
    def replace(self) -> None: ...
    def drop(self) -> None: ...
    def drop_a_column(self) -> None: ...
    def history(self) -> list[int]:
        """Main's snapshots, newest first."""

    def count(self) -> Counter[int]:
        """File → rows."""


@dataclass
class Rig:
    """An engine with its table. A good file has one row."""

    engine: Engine
    table: Hands
    rejects: Hands
    later: datetime  # than everything
    longer_ago: datetime

    def put(self, rejected: int = 0) -> BatchFile:
        raise NotImplementedError

    def spoil(self, file: BatchFile) -> None:
        """Another version takes the file's place."""
        raise NotImplementedError

    def remove(self, path: str) -> None:
        """Take a file away that lies beside the table."""
        raise NotImplementedError

    def kept(self, written: WriteResult) -> bool:
        """Whether the attempt's files are there."""
        raise NotImplementedError

    def copy_rejects(self) -> None:
        """The rejects' rows stay, and no snapshot says whose they are: copied to a new table that takes the name."""
        raise NotImplementedError

    def batch(self, *files: BatchFile) -> Batch:
        """A batch whose first claim is made now."""
        state = self.engine.ensure_table()
        size = sum(file.size for file in files)
        return Batch(uuid4(), uuid4(), uuid4(), BatchState.CLAIMED, len(files), size, 1, 1, state.uuid, state.head)

    def publish(self, batch: Batch, written: WriteResult, **more: str) -> Landing:
        return self.engine.publish(batch, written, {"autoloader.attempt": written.attempt, **more})

    def load(self, *files: BatchFile) -> tuple[Batch, Landing]:
        batch = self.batch(*files)
        return batch, self.publish(batch, self.engine.write(batch, files))

    def reject_file(self, landing: Landing) -> RejectFile:
        assert landing.snapshot is not None
        found = reject_file_of(landing.snapshot.summary)
        assert found is not None
        return found


# --- the real one


@dataclass
class RealHands:
    table: Table
    key: str

    def append_nothing(self) -> int:
        return hands.append_nothing(self.table)

    def roll_back(self, to: int) -> None:
        hands.roll_back(self.table, to)

    def forget(self, ids: Sequence[int]) -> None:
        hands.forget(self.table, ids)

    def replace(self) -> None:
        hands.replace(self.table)

    def drop(self) -> None:
        hands.drop(self.table)

    def drop_a_column(self) -> None:
        with self.table.look().loaded.update_schema() as update:
            update.delete_column("name")

    def history(self) -> list[int]:
        return [snapshot.snapshot_id for snapshot in self.table.lineage().ancestors]

    def count(self) -> Counter[int]:
        try:
            return Counter(self.table.look().loaded.scan().to_arrow()[self.key].to_pylist())
        except TableNotFound:
            return Counter()


@dataclass
class RealRig(Rig):
    bench: Bench = field(kw_only=True)

    @classmethod
    def of(cls, bench: Bench) -> RealRig:
        now = datetime.now(UTC)
        table = bench.table
        return cls(
            bench.engine,
            RealHands(table, "_file_id"),
            RealHands(table.catalog.table(table.name.rejects), "file_id"),
            now + timedelta(days=1),
            now - timedelta(days=5),
            bench=bench,
        )

    def put(self, rejected: int = 0) -> BatchFile:
        return self.bench.put({"id": 1, "name": "a"}, *(["broken"] * rejected))

    def spoil(self, file: BatchFile) -> None:
        Path(file.path).write_text('{"id": 1, "name": "another"}\n')

    def remove(self, path: str) -> None:
        Path(path.removeprefix("file://")).unlink()

    def kept(self, written: WriteResult) -> bool:
        there = {Path(path.removeprefix("file://")).exists() for path in written.handle.paths}  # type: ignore[attr-defined] # the engine's own
        assert len(there) == 1
        return there.pop()

    def copy_rejects(self) -> None:
        name, catalog = self.bench.table.name, self.bench.table.catalog
        rows = catalog.table(name.rejects).look().loaded.scan().to_arrow()
        self.rejects.drop()
        reject_table.ensure(catalog, name).loaded.append(rows)


# --- the fake one


@dataclass
class FakeHands:
    table: FakeTable

    def append_nothing(self) -> int:
        self.table.foreign_append()
        return self.history()[0]

    def roll_back(self, to: int) -> None:
        self.table.rollback(to)

    def forget(self, ids: Sequence[int]) -> None:
        self.table.forget(ids)

    def replace(self) -> None:
        self.table.replace()

    def drop(self) -> None:
        self.table.drop()

    def drop_a_column(self) -> None:
        self.table.foreign_column()

    def history(self) -> list[int]:
        return [snapshot.snapshot_id for snapshot in self.table.history()]

    def count(self) -> Counter[int]:
        return self.table.content()


@dataclass
class FakeRig(Rig):
    source: dict[str, FakeFile] = field(kw_only=True)
    fake: FakeEngine = field(kw_only=True)

    @classmethod
    def new(cls, *, picks: bool) -> FakeRig:
        clock, source = FakeClock(), dict[str, FakeFile]()
        table, rejects = FakeTable("local.db.events", clock), FakeTable("local.db.events__rejects", clock)
        engine = FakeEngine(table, rejects, source, picks=picks)
        now = clock.now()
        day = timedelta(days=1)
        return cls(engine, FakeHands(table), FakeHands(rejects), now + day, now - day, source=source, fake=engine)

    def put(self, rejected: int = 0) -> BatchFile:
        number = len(self.source) + 1
        self.source[f"/d/{number}"] = FakeFile(rows=1, rejected=rejected)
        return BatchFile(number, f"/d/{number}", "v1", 10)

    def spoil(self, file: BatchFile) -> None:
        self.source[file.path].version = "v2"

    def remove(self, path: str) -> None:
        del self.fake.table.objects[path]

    def kept(self, written: WriteResult) -> bool:
        return written.attempt not in self.fake.discarded

    def copy_rejects(self) -> None:
        table = self.fake.rejects
        rows = table.content()
        table.drop()
        table.create(TableSchema())
        table.commit(table.look(), rows, {})
