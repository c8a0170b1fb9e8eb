"""The embedded engine: files are parsed in a child, written as Parquet, and published by our own commits.

files ─ LocalFiles ─► Sandbox ─► staged Parquet ─ land ─► table's location ─ embedded_publish ─► snapshot
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from pyiceberg.manifest import DataFile

from app import failpoints
from app.catalog import files as table_files
from app.catalog import rejects
from app.catalog.schema import field_types
from app.catalog.table import Look, Table
from app.config import Settings
from app.datatypes import TableSchema
from app.errors import ParserDied
from app.ingest.engines import embedded_publish
from app.ingest.engines.embedded_input import (
    LocalFiles,
    format_options,
    parse_limits,
    row_columns,
    row_schema,
)
from app.ingest.engines.embedded_publish import Staged
from app.ingest.engines.sandbox import Sandbox
from app.ingest.engines.table_side import TableSide
from app.ingest.evolution import merge_new_columns, told_twins
from app.ingest.formats.contract import NewColumn, ParsedFile, ParseFile, ParseRequest, ParseResult
from app.ingest.ports import Clock, SystemClock
from app.schemas.ingestion import IngestionShape
from app.spool import Spool
from app.storage import Store
from app.values import (
    Batch,
    BatchFile,
    FileOutcome,
    FileState,
    Landing,
    RejectFile,
    RejectSample,
    WriteResult,
)

_SHOWN_EACH, _SHOWN_REJECTS = 3, 300  # rejected records named in messages: of a file, and of a batch
_UNKNOWN = {"add_columns": "add", "rescue": "rescue", "ignore": "ignore", "fail": "fail"}


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the engine reads from, and with what. It closes all of them."""

    store: Store
    spool: Spool
    sandbox: Sandbox
    staging: Path  # of this process alone; best on the same file system as the warehouse


@dataclass(slots=True)
class _Attempt:
    """What has been gathered of one write attempt."""

    name: str
    look: Look
    folder: Path
    at: datetime
    data: list[DataFile] = field(default_factory=list)
    rejects: list[Path] = field(default_factory=list)
    parsed: list[ParsedFile] = field(default_factory=list)
    new_columns: list[NewColumn] = field(default_factory=list)
    reject_file: RejectFile | None = None
    first_rejects: tuple[RejectSample, ...] = ()

    def staged(self) -> Staged:
        metadata = self.look.loaded.metadata
        types = field_types(self.look.state.schema)
        return Staged(tuple(self.data), types, metadata.default_spec_id, self.look.objects, self.reject_file)


class EmbeddedEngine(TableSide):
    """One table, one source, one run. Not for use by several threads at once."""

    name = "embedded"

    def __init__(
        self,
        table: Table,
        shape: IngestionShape,
        schema: TableSchema | None,
        inputs: Inputs,
        settings: Settings,
        clock: Clock | None = None,
    ) -> None:
        """`schema` are the columns of a table that is yet to be made; without them those that `shape` declares."""
        super().__init__(table, shape, schema, settings)
        self.table: Table = table
        self.inputs = inputs
        self.clock = clock or SystemClock()
        self._local = LocalFiles(inputs.store, inputs.spool, settings, shape.format, packs=True)

    # --- one batch ---------------------------------------------------------------------------

    def write(self, batch: Batch, files: Sequence[BatchFile]) -> WriteResult:
        name = uuid4().hex[:16]
        folder = self.inputs.staging / f"{batch.id}.{name}"
        attempt = _Attempt(name, self.table.look(), folder, self.clock.now())
        try:
            with closing(self._local.groups(files)) as groups:
                for number, (good, bad) in enumerate(groups):
                    attempt.parsed += bad
                    if good:
                        self._parse(batch, attempt, good, folder / f"{number:04d}")
            self._write_rejects(batch, attempt)
        except BaseException:
            attempt.staged().remove()
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return _result(attempt, files)

    def publish(self, batch: Batch, written: WriteResult, properties: Mapping[str, str]) -> Landing:
        return embedded_publish.publish(self.table, batch, _staged(written), properties, self.settings.commit_attempts)

    def publish_rejects(self, batch: Batch, reject_file: RejectFile) -> None:
        embedded_publish.publish_rejects(self.table, batch, reject_file, self.settings.commit_attempts)

    def discard(self, written: WriteResult) -> None:
        _staged(written).remove()

    def close(self) -> None:
        self.inputs.sandbox.close()
        self.inputs.spool.close()

    # --- inside write ------------------------------------------------------------------------

    def _parse(self, batch: Batch, attempt: _Attempt, group: Sequence[ParseFile], folder: Path) -> None:
        """Parse the group in the child and bring its data files to the table's location."""
        result = self.inputs.sandbox.parse(self._request(attempt, group, folder), _poison(group))
        staged = [Path(path) for path in result.data_files]
        prefix = f"{batch.id}.{attempt.name}.{folder.name}"
        attempt.data += table_files.land(attempt.look, staged, prefix, folder / "cut")
        self._gather(attempt, result)

    def _request(self, attempt: _Attempt, group: Sequence[ParseFile], folder: Path) -> ParseRequest:
        schema = attempt.look.state.schema
        added = row_columns(self.shape.row_columns, schema)
        return ParseRequest(
            files=tuple(group),
            format=self.shape.format.type,
            options=format_options(self.shape.format),
            schema=schema.without(set(row_schema(self.shape.row_columns).names)),
            row_columns=added,
            ingested_at=attempt.at.isoformat(),
            unknown=_UNKNOWN[self.shape.columns.on_new_columns],
            on_error=self.shape.policies.on_error,
            max_errors=self.shape.policies.max_errors,
            output_dir=str(folder),
            limits=parse_limits(self.settings),
        )

    def _gather(self, attempt: _Attempt, result: ParseResult) -> None:
        attempt.parsed += result.files
        attempt.new_columns += result.new_columns
        if result.reject_file:
            attempt.rejects.append(Path(result.reject_file))

    def _write_rejects(self, batch: Batch, attempt: _Attempt) -> None:
        if attempt.rejects:
            look = rejects.ensure(self.table.catalog, self.table.name)
            path = rejects.write(look, attempt.rejects, batch, attempt.name, attempt.at)
            attempt.reject_file = RejectFile(path, look.state.uuid, look.state.head)
            attempt.first_rejects = rejects.first(attempt.rejects, _SHOWN_EACH, _SHOWN_REJECTS)


def _poison(group: Sequence[ParseFile]) -> Callable[[int], None] | None:
    """A hook that has the parser killed when a test has poisoned one of these files."""
    if not failpoints.poisoned(file.path for file in group):
        return None

    def die(written: int) -> None:
        message = f"The parser was killed at the failpoint parsing, after {written} bytes."
        raise ParserDied(message)

    return die


def _staged(written: WriteResult) -> Staged:
    if not isinstance(written.handle, Staged):
        raise TypeError(f"{written.attempt} was not written by this engine.")
    return written.handle


def _result(attempt: _Attempt, files: Sequence[BatchFile]) -> WriteResult:
    outcomes = tuple(_outcome(parsed) for parsed in attempt.parsed)
    loaded = {outcome.file_id for outcome in outcomes if outcome.state is FileState.SUCCESS}
    return WriteResult(
        attempt=attempt.name,
        outcomes=outcomes,
        rows=sum(outcome.rows for outcome in outcomes),
        rescued=sum(outcome.rescued for outcome in outcomes),
        rejected=sum(outcome.rejected for outcome in outcomes),
        byte_count=sum(file.size for file in files if file.file_id in loaded),
        new_columns=merge_new_columns(attempt.look.state.schema, attempt.new_columns),
        twins=told_twins(attempt.look.state.schema, attempt.new_columns),
        handle=attempt.staged(),
        first_rejects=attempt.first_rejects,
        new_in=min((new.file_id for new in attempt.new_columns), default=None),
    )


def _outcome(parsed: ParsedFile) -> FileOutcome:
    return FileOutcome(
        file_id=parsed.file_id,
        state=FileState(parsed.state),
        rows=parsed.rows,
        rescued=parsed.rescued,
        rejected=parsed.rejected,
        reason=parsed.reason,
        error=parsed.error,
        blank=parsed.blank,
    )
