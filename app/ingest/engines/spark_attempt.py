"""One write attempt on a cluster: what is staged first, what of it may be published, and what became of each file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from app import failpoints
from app.catalog import staged
from app.catalog.seen import Seen
from app.datatypes import TableSchema
from app.errors import (
    AutoloaderError,
    CatalogError,
    FileMissing,
    SourceAccessDenied,
    SourceError,
    SparkInterrupted,
    SparkJobFailed,
    SparkSessionLost,
    SparkUnavailable,
    TableChanged,
)
from app.ingest.engines import spark_packed, spark_rows, spark_source, spark_twins
from app.ingest.engines.spark_blank import blank_rows
from app.ingest.engines.spark_clustering import clustered
from app.ingest.engines.spark_formats import Foreseeing, SparkFormat
from app.ingest.engines.spark_limits import refused, unreadable
from app.ingest.engines.spark_publish import NothingStaged, SparkStaged
from app.ingest.engines.spark_rejects import Rejected, Rejects
from app.ingest.engines.spark_stage import STAGING, Count, Stage
from app.ingest.evolution import merge_new_columns, told_twins
from app.ingest.formats.contract import NewColumn
from app.ingest.landing import reject_properties
from app.ingest.ports import TRIAL_BYTES
from app.ingest.threshold import over_threshold
from app.schemas.ingestion import IngestionShape
from app.storage import Store
from app.values import BatchFile, FileOutcome, FileState, RejectFile, RejectSample, SnapshotInfo, WriteResult

log = logging.getLogger(__name__)

_LOST = (SparkInterrupted, SparkSessionLost, SparkUnavailable)
_MOST_CULPRITS = 20  # files that fail a job before it is the job's fault


@dataclass(slots=True)
class Attempt:
    """`properties` are what its snapshots say of it; `foresees`: it may tell new columns and stage nothing. What is
    gathered: `outcomes` of files without rows, `counts` of those that were staged.
    """

    name: str
    look: Seen
    stage: Stage
    rejects: Rejects
    schema: TableSchema
    shape: IngestionShape
    store: Store
    format: SparkFormat
    at: datetime
    properties: dict[str, str]
    foresees: bool
    outcomes: dict[int, FileOutcome] = field(default_factory=dict)
    counts: dict[int, Count] = field(default_factory=dict)
    reject_file: RejectFile | None = None
    first_rejects: tuple[RejectSample, ...] = ()
    _staged: list[int] = field(default_factory=list)
    _blank: Mapping[int, int] = field(default_factory=dict)

    def run(self, files: Sequence[BatchFile]) -> WriteResult:
        """Stage the files. What is not for publishing is taken away again, however this ends.

        Where it is seen beforehand that the table lacks columns, nothing is staged: the handle is NothingStaged.
        """
        kept: int | None = None
        try:
            spark_source.cut_whole(self.stage.session, files)
            self._add(outcome for file in files if (outcome := unreadable(file, self.shape.format)))
            self._add(spark_packed.unsound(self.store, self._left(files), self.shape.format))
            self._add(self.format.look(self.stage.session, self._left(files)))
            if foreseen := self._foreseen(self._left(files)):
                return foreseen
            first = self._first(files)
            failpoints.hit("half-written")
            final = self._sieved(files, first)
            new = self._new_columns(final)
            self._blank = blank_rows(self.stage, final, self.shape, self.schema)
            kept = final.snapshot_id
        finally:
            with suppress(AutoloaderError):  # what stays behind harms nobody, and goes with old age
                self.stage.drop([one for one in self._staged if one != kept])
        return self._result(files, final, new)

    def try_out(self, file: BatchFile) -> None:
        """Look at the file, stage as many bytes as it has, and take them away again. Raises what its jobs raise."""
        spark_source.reach(self.stage.session, file)
        rows = spark_rows.trial(self.schema, self.stage.names, self.at, min(file.size, TRIAL_BYTES))
        made = self.stage.append(self.stage.session.spark.sql(rows), f"{self.name}.trial", self.properties)
        if staged.is_published(self.stage.table.look(), made.snapshot_id):
            raise TableChanged(
                f"Rows of a trial are in {self.stage.table.name}, with the file id 0: its property {STAGING} was taken"
                " away while they were written.",
                hint="Delete these rows, and leave the property alone while an ingestion on a cluster runs.",
            )
        with suppress(AutoloaderError):
            self.stage.drop([made.snapshot_id])

    def _add(self, outcomes: Any) -> None:
        self.outcomes |= {outcome.file_id: outcome for outcome in outcomes}

    def _left(self, files: Sequence[BatchFile]) -> list[BatchFile]:
        return [file for file in files if file.file_id not in self.outcomes]

    def _append(self, rows: Any, stage: str, properties: dict[str, str]) -> SnapshotInfo:
        made = self.stage.append(rows, f"{self.name}.{stage}", properties)
        self._staged.append(made.snapshot_id)
        return made

    # --- before anything is staged

    def _foreseen(self, files: Sequence[BatchFile]) -> WriteResult | None:
        """A file that is not as it should be is left to those who stage it, and so is all that goes wrong with one.

        Whether a file is to be skipped for its rejected records, nobody knows yet; and who refuses new columns is told
        all of them.
        """
        form, shape = self.format, self.shape
        unsure = shape.columns.on_new_columns != "add_columns" or shape.policies.on_error == "skip_file"
        if not self.foresees or unsure or not isinstance(form, Foreseeing):
            return None
        try:
            new = form.foreseen(self.stage, files, self.look.state.schema)
        except _LOST:
            raise
        except AutoloaderError as error:
            log.info("New columns of batch %s could not be foreseen: %s", self.stage.batch.id, error)
            return None
        columns = merge_new_columns(self.look.state.schema, new)
        if not columns or spark_source.not_as_discovered(self.store, files):
            return None
        first = min(one.file_id for one in new)
        return WriteResult(
            self.name, (), 0, 0, 0, 0, new_columns=columns, handle=NothingStaged(form.clean), new_in=first
        )

    # --- the first stage

    def _first(self, files: Sequence[BatchFile]) -> SnapshotInfo:
        """Stage all rows and rejected records; a file that fails the job gets an outcome, and the others begin anew.

        Raises SparkJobFailed where none is left that could be read: then it may be the cluster.
        """
        blamed: list[FileOutcome] = []
        while len(blamed) < _MOST_CULPRITS:
            present = self._left(files)
            if blamed and not present:
                break
            try:
                return self._append(self._rows(present), "1", self.properties)
            except (FileMissing, SourceAccessDenied):
                gone = spark_source.not_as_discovered(self.store, present)
                if not gone:
                    raise
                self._add(gone)
            except AutoloaderError as error:
                if spark_source.is_unknown(error) and (gone := spark_source.not_as_discovered(self.store, present)):
                    self._add(gone)
                    continue
                outcome = spark_source.culprit(error, present, self.stage.session.files)
                if outcome is None:
                    raise
                if not self._add_not_gzip(outcome, present):
                    outcome = spark_packed.told_by_bytes(self.store, outcome, present)
                    self._add([outcome])
                    blamed += [outcome] if outcome.reason != spark_source.CHANGED else []
        last = (blamed[-1].error or "").rstrip(".")
        many = f"{len(blamed)} of {len(files)} files of a batch cannot be read by {self.stage.session.endpoint}"
        raise SparkJobFailed(
            f"{last}." if len(files) == 1 else f"{many}; the last: {last}.",
            hint="Does the cluster reach the source?",
            reason=blamed[-1].reason,
        )

    def _add_not_gzip(self, culprit: FileOutcome, files: Sequence[BatchFile]) -> bool:
        """Whether the file that Spark named is called `.gz` and is none: then so may be others, and its bytes tell."""
        named = [file for file in files if file.file_id == culprit.file_id]
        try:
            found = spark_packed.not_gzip(self.store, files) if spark_packed.not_gzip(self.store, named) else ()
        except SourceError:  # what the store does not give tells nothing of this file, nor of any other
            return False
        self._add(found)
        return bool(found)

    def _rows(self, files: Sequence[BatchFile]) -> Any:
        session = self.stage.session
        if not files:
            return session.spark.sql(spark_rows.nothing(self.schema, self.stage.names, self.at))
        rows = self.format.rows(session, files)
        rows = rows.selectExpr(*spark_rows.table_columns(self.schema, self.stage.names, self.at))
        return clustered(rows, files, self.look)

    # --- what of it may be published

    def _sieved(self, files: Sequence[BatchFile], first: SnapshotInfo) -> SnapshotInfo:
        """All of the first stage, or a second one without what must not be on main."""
        self.counts = self.stage.counts(first)
        if any(count.rejected for count in self.counts.values()):
            self._add(self.stage.flawed_files(first, self._left(files)))
        self._add(spark_source.not_as_discovered(self.store, self._left(files)))
        self._require_all(self._left(files))
        self._skip_files(self._left(files))
        bad = self.counts.keys() & self.outcomes.keys()
        if any(count.rejected for count in self.counts.values()):
            self._write_rejects(files, first)
        elif not bad:
            return first
        if staged.is_published(self.stage.table.look(), first.snapshot_id):
            raise TableChanged(
                f"Rejected records of batch {self.stage.batch.id} are in {self.stage.table.name}, in rows with a"
                f" negative file id: its property {STAGING} was taken away while they were written.",
                hint="Delete these rows, and leave the property alone while an ingestion on a cluster runs.",
            )
        rows = self.stage.rows(first).where(spark_rows.good(self.stage.names, bad))
        said = reject_properties(self.reject_file) if self.reject_file else {}
        with self.stage.apart(rows) as those:
            return self._append(those, "2", {**self.properties, **said})

    def _require_all(self, files: Sequence[BatchFile]) -> None:
        """Raises CatalogError for a file of which other rows were staged than it says that it has.

        One of which there is nothing at all must at least be seen by the cluster: Spark leaves some out without a word.
        """
        known = self.format.records()
        silent = []
        for file in files:
            count = self.counts.get(file.file_id, Count())
            records = known.get(file.file_id)
            if records is not None and records != count.rows + count.rejected:
                raise CatalogError(
                    f"{file.path} has {records} rows by its footer, and {count.rows + count.rejected} were staged.",
                    hint="Run again; does the cluster read the same file?",
                )
            if records is None and not count.rows + count.rejected:
                silent.append(file)
        for file in spark_source.unseen(self.stage.session, silent):
            self._add([refused(file, "Spark left it out without a word")])

    def _skip_files(self, files: Sequence[BatchFile]) -> None:
        policies = self.shape.policies
        for file in files if policies.on_error == "skip_file" else ():
            count = self.counts.get(file.file_id, Count())
            records = count.rows + count.rejected
            if over_threshold(count.rejected, records, policies.max_errors):
                part = f"{count.rejected} of {records} records were rejected"
                sentence = f"{file.path}: {part}, more than {policies.max_errors}."
                skipped = FileOutcome(file.file_id, FileState.SKIPPED, reason="too-many-errors", error=sentence)
                self._add([replace(skipped, rejected=count.rejected)])

    def _write_rejects(self, files: Sequence[BatchFile], first: SnapshotInfo) -> None:
        """Rejects of a file that is skipped are kept, those of one that failed are not."""
        failed = {one for one, outcome in self.outcomes.items() if outcome.state is not FileState.SKIPPED}
        rejected = Rejected(
            first, failed & self.counts.keys(), {file.file_id: file.path for file in files}, self.name, self.at
        )
        self.reject_file, self.first_rejects = self.rejects.keep(self.stage, rejected)

    def _new_columns(self, final: SnapshotInfo) -> Sequence[NewColumn]:
        loaded = (count for file_id, count in self.counts.items() if file_id not in self.outcomes)
        if self.shape.columns.on_new_columns in {"rescue", "ignore"} or not any(count.rescued for count in loaded):
            return ()
        return spark_twins.counted(self.stage, final, self.format.new_columns(self.stage, final))

    # --- the result

    def _result(self, files: Sequence[BatchFile], final: SnapshotInfo, new: Sequence[NewColumn]) -> WriteResult:
        outcomes = tuple(self._outcome(file) for file in files)
        loaded = {outcome.file_id for outcome in outcomes if outcome.state is FileState.SUCCESS}
        return WriteResult(
            attempt=self.name,
            outcomes=outcomes,
            rows=sum(outcome.rows for outcome in outcomes),
            rescued=sum(outcome.rescued for outcome in outcomes),
            rejected=sum(outcome.rejected for outcome in outcomes),
            byte_count=sum(file.size for file in files if file.file_id in loaded),
            new_columns=merge_new_columns(self.look.state.schema, new),
            twins=told_twins(self.look.state.schema, new),
            handle=SparkStaged.of(final, self.look, self.reject_file),
            first_rejects=self.first_rejects,
            new_in=min((one.file_id for one in new), default=None),
        )

    def _outcome(self, file: BatchFile) -> FileOutcome:
        count = self.counts.get(file.file_id, Count())
        blank = self._blank.get(file.file_id, 0)
        loaded = FileOutcome(file.file_id, FileState.SUCCESS, count.rows, count.rescued, count.rejected, blank=blank)
        return self.outcomes.get(file.file_id, loaded)
