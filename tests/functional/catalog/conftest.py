"""A catalog of this machine for each test, and rows to put into its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.io.pyarrow import schema_to_pyarrow

from app.catalog.files import land
from app.catalog.open import local_options, open_catalog
from app.catalog.table import Catalog, Look, Table
from app.datatypes import parse_schema
from app.values import Batch, BatchState, SnapshotInfo

COLUMNS = "id bigint, name string"


@dataclass
class Writer:
    """Writes rows as the parser would, and lands and publishes them."""

    folder: Path
    count: int = field(default=0)

    def stage(self, look: Look, rows: Sequence[Mapping[str, object]]) -> Path:
        """A Parquet file of this machine, with the table's field ids."""
        self.count += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"staged-{self.count}.parquet"
        schema = schema_to_pyarrow(look.loaded.metadata.schema())
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)
        return path

    def land(self, look: Look, rows: Sequence[Mapping[str, object]]):
        return land(look, [self.stage(look, rows)], f"test-{uuid4().hex}", self.folder / f"cut-{uuid4().hex}")

    def append(
        self, table: Table, rows: Sequence[Mapping[str, object]], properties: Mapping[str, str] | None = None
    ) -> SnapshotInfo:
        look = table.look()
        return look.append(self.land(look, rows), properties or {})


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "staged")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with open_catalog("local", local_options(tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def table(catalog: Catalog) -> Table:
    catalog.create("db.events", parse_schema(COLUMNS))
    return catalog.table("db.events")


@pytest.fixture
def rows():
    def read(table: Table) -> list[dict[str, object]]:
        found = table.look().loaded.scan().to_arrow().to_pylist()
        return sorted(found, key=lambda row: (row.get("id") is None, row.get("id")))

    return read


def batch_of(table: Table, **changes: object) -> Batch:
    """A batch whose first claim is made now."""
    state = table.state()
    given: dict[str, object] = {"id": uuid4(), "table_uuid": state.uuid, "base_snapshot_id": state.head, **changes}
    uuid = given["table_uuid"]
    base = given["base_snapshot_id"]
    assert isinstance(given["id"], UUID)
    return Batch(
        id=given["id"],
        ingestion_id=uuid4(),
        run_id=uuid4(),
        state=BatchState.CLAIMED,
        file_count=1,
        byte_count=1,
        claims=1,
        claim_epoch=1,
        table_uuid=uuid if isinstance(uuid, UUID) else None,
        base_snapshot_id=base if isinstance(base, int) else None,
    )
