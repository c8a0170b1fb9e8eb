"""A source, a ledger and a table of one test, seen through the product's own services and Prefect's API."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select

from app.config import Settings, get_settings
from app.database import Database
from app.models import Ingestion, Run
from app.models import Trigger as TriggerRow
from app.services.context import IngestionInfo
from app.services.load_service import LoadService
from app.services.table_service import TableService

TABLE = "demo.rows"
T = TypeVar("T")


@dataclass
class Place:
    """`ingestion` is made by the first `prepare`."""

    folder: Path
    _ingestion: IngestionInfo | None = None
    delivered: dict[str, int] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        return self.folder / "landing"

    @property
    def settings(self) -> Settings:
        return get_settings()

    @property
    def ingestion(self) -> IngestionInfo:
        assert self._ingestion is not None
        return self._ingestion

    def database(self) -> Database:
        return Database(self.settings.database_address)

    def deliver(self, name: str, rows: int = 1, *, text: str = "") -> None:
        """A file of JSON lines: `rows` good ones and `text` behind them."""
        self.source.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps({"file": name, "row": row}) + "\n" for row in range(rows))
        (self.source / name).write_text(lines + text, encoding="utf-8")
        self.delivered[name] = rows

    def prepare(self, url: str = "", **given: Any) -> IngestionInfo:
        """Migrate, and make the ingestion; `given` are fields of its shape."""
        database = self.database()
        try:
            database.upgrade()
            self._ingestion = (
                LoadService(database, self.settings)
                .prepare(url or str(self.source), TABLE, {"format": {"type": "jsonl"}, **given})
                .ingestion
            )
            return self._ingestion
        finally:
            database.close()

    # --- what came of it

    def rows(self) -> list[tuple[str, int]]:
        """File and row of every row of the table, in order."""
        database = self.database()
        try:
            found = TableService(database, self.settings).sql(TABLE, "SELECT file, row FROM rows ORDER BY file, row")
            return [(str(row[0]), int(str(row[1]))) for row in found.rows]
        finally:
            database.close()

    def expected(self) -> list[tuple[str, int]]:
        return sorted((name, row) for name, rows in self.delivered.items() for row in range(rows))

    def runs(self) -> list[Run]:
        """Oldest first."""
        return self.all(Run, Run.started_at)

    def triggers(self) -> list[TriggerRow]:
        return self.all(TriggerRow, TriggerRow.created_at)

    def row(self) -> Ingestion:
        return self.all(Ingestion, Ingestion.created_at)[0]

    def all(self, kind: type[T], order: Any) -> list[T]:
        database = self.database()
        try:
            with database.session_scope() as session:
                return list(session.scalars(select(kind).order_by(order)))
        finally:
            database.close()


def until(found: Callable[[], T], seconds: float = 60.0, what: str = "it") -> T:
    """The first answer that is true."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:.0f} s"
        time.sleep(0.1)
    return answer


@dataclass(frozen=True)
class Seen:
    """A flow run as Prefect has it."""

    id: UUID
    kind: str
    name: str
    message: str
    parameters: dict[str, Any]


def ask_prefect(path: str, **body: Any) -> list[dict[str, Any]]:
    """The answer of one of the API's filters, which its client cannot ask without filters of all kinds."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        found: list[dict[str, Any]] = client.request("POST", path, json=body).json()
        return found


def flow_run(flow_run_id: UUID | str) -> Seen:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        found = client.read_flow_run(UUID(str(flow_run_id)))
    assert found.state is not None
    return Seen(found.id, found.state.type.value, found.state.name or "", found.state.message or "", found.parameters)
