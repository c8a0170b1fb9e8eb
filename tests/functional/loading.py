"""The product as a library: sources in a folder, runs by the orchestrator, tables in the local catalog."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.catalog.open import local_options, open_catalog
from app.catalog.table import Catalog
from app.config import Settings
from app.database import Database
from app.ingest.ports import SilentProgress
from app.services.batch_orchestrator import BatchOrchestrator
from app.services.load_service import LoadService
from app.services.metrics import RunSummary

MIB = 1024 * 1024
LONG_AGO = 1_700_000_000


class Notes(SilentProgress):
    """Keeps what a person was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


@dataclass
class Loader:
    """`notes` are those of the last run."""

    database: Database
    folder: Path
    notes: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings(
            _env_file=None, autoloader_home=self.folder / "home", parser_threads=1, parser_memory_bytes=512 * MIB
        )

    @property
    def source(self) -> Path:
        made = self.folder / "landing"
        made.mkdir(exist_ok=True)
        return made

    def put(self, name: str, data: str | bytes) -> Path:
        """A file that was delivered long ago, so that no run waits for it."""
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        os.utime(path, (LONG_AGO, LONG_AGO))
        return path

    def load(
        self, table: str, *, source: Path | str | None = None, connection: str | None = None, **given: Any
    ) -> RunSummary:
        """`autoloader load`: `given` are fields of the ingestion's shape."""
        if connection is not None:
            given = {**given, "source": {"connection": connection}}
        prepared = LoadService(self.database, self.settings).prepare(str(source or self.source), table, given)
        progress = Notes()
        try:
            return BatchOrchestrator(self.database, self.settings).run_ingestion(prepared.ingestion, progress=progress)
        finally:
            self.notes = progress.told

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        with open_catalog("local", local_options(self.settings.home)) as opened:
            yield opened
