"""An engine without files: it keeps the protocol's promises to the letter, and fails wherever a test says.

Before and after each effect the engine calls `at(point)`. What a test's script raises there is what happens: an
error of ours, `Killed` (the process is gone), or `RequestLost` (the commit is sent, and nobody hears of it).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import uuid4

from app.datatypes import Column, TableSchema, parse_schema
from app.errors import (
    AutoloaderError,
    CatalogUnavailable,
    CommitConflict,
    CommitUnknown,
    FileMissing,
    ParserDied,
    SparkJobFailed,
    SparkUnavailable,
    TableChanged,
)
from app.ingest.landing import BEGUN, OUTCOME, SPENT, decide, ids_of, reject_properties, rejects_landed
from app.ingest.ledger import CHANGED, MISSING
from app.values import (
    Batch,
    BatchFile,
    FileOutcome,
    FileState,
    Landing,
    LandingKind,
    RejectFile,
    SnapshotInfo,
    TableState,
    WriteResult,
)
from tests.fakes.table import FakeTable, Look

_ATTEMPTS = 5
_SCHEMA = parse_schema("n bigint")


class Killed(BaseException):
    """SIGKILL: nothing that catches errors of ours catches it."""


class RequestLost(BaseException):
    """At a commit: the request goes its way, `then` is what the sender meets."""

    def __init__(self, then: BaseException) -> None:
        super().__init__()
        self.then = then


@dataclass(slots=True)
class FakeFile:
    """What a file does when it is read. `failing` is how often it fails with `reason` before it can be read."""

    version: str = "v1"  # as the store has it now
    rows: int = 3
    rejected: int = 0
    poison: bool = False
    fails_job: bool = False  # the job of each batch that it is in
    takes_down: bool = False  # the cluster
    failing: int = 0
    reason: str = "denied"
    column: str | None = None  # brings this column, as `name type`


@dataclass(frozen=True, slots=True)
class Written:
    """Data files of an attempt: file id → times (1), and what the table was like."""

    loaded: dict[int, int]
    schema_version: int
    reject_file: RejectFile | None


def quiet(point: str) -> None:
    """The script of a world without faults."""


@dataclass(slots=True)
class FakeEngine:
    """See app.ingest.ports.Engine. `source` maps path → FakeFile; `rejects` is the reject table.

    `picks`: publishes as Spark does, by a cherry-pick that does not mind where main is.
    """

    table: FakeTable
    rejects: FakeTable
    source: Mapping[str, FakeFile]
    at: Callable[[str], None] = quiet
    picks: bool = False
    name: str = "fake"
    schema: TableSchema | None = None
    sent: set[str] = field(default_factory=set)  # attempts
    discarded: list[str] = field(default_factory=list)
    closed: bool = False

    # --- the table

    def job(self) -> str | None:
        return None

    def interrupt(self, job: str, batch: Batch) -> None:
        del job, batch

    def ensure_table(self) -> TableState:
        self.at("create")
        self.table.create(_SCHEMA)
        self.at("created")
        return self._begun()

    def table_state(self) -> TableState:
        self.at("look")
        return self.table.look().state

    def table_to_claim(self) -> TableState:
        self.at("look")
        return self._begun()

    def _begun(self) -> TableState:
        seen = self.table.look()
        if not seen.lineage.ancestors and not seen.lineage.complete:
            self.table.commit(seen, {}, {OUTCOME: BEGUN})
        return self.table.look().state

    def retention_warning(self) -> str:
        return ""

    def ignored_settings(self) -> str:
        return ""

    def try_out(self, batch: Batch, file: BatchFile) -> bool:
        del batch, file
        try:
            self.at("write")  # what keeps a batch from being written keeps this one
        except AutoloaderError:
            return False
        return True

    def landing(self, batch: Batch) -> Landing:
        self.at("look")
        return decide(self.table.look().lineage, batch)

    def add_columns(self, columns: Sequence[Column]) -> TableState:
        self.at("add-columns")
        known = {column.name for column in self.table.schema}
        new = tuple(column for column in columns if column.name not in known)
        if new:
            self.table.schema = TableSchema((*self.table.schema.columns, *new))
            self.table.schema_version += 1
        self.at("columns-added")
        return self.table.look().state

    def expire(self, protected: frozenset[int | None], before: datetime) -> int:
        self.at("expire")
        gone = self.table.expire(protected, before)
        return gone if protected else gone + self.rejects.expire(protected, before)

    # --- a batch

    def write(self, batch: Batch, files: Sequence[BatchFile]) -> WriteResult:
        self.at("write")
        seen = self.table.look()
        if any(self.source[file.path].poison for file in files if file.path in self.source):
            raise ParserDied(f"The parser died on a batch of {len(files)} files.")
        inside = [self.source[file.path] for file in files if file.path in self.source]
        if any(file.fails_job for file in inside):
            raise SparkJobFailed("Spark could not do it: out of range.")
        if any(file.takes_down for file in inside):
            raise SparkUnavailable("Spark Connect service not reachable.")
        outcomes = tuple(self._read(file) for file in files)
        loaded = [outcome for outcome in outcomes if outcome.state is FileState.SUCCESS]
        attempt = uuid4().hex
        reject_file = None
        if any(outcome.rejected for outcome in loaded):
            self.rejects.create(_SCHEMA)
            before = self.rejects.look().state
            reject_file = RejectFile(f"rejects/{batch.id}.{attempt}", before.uuid, before.head)
            self.table.objects[reject_file.path] = json.dumps({o.file_id: o.rejected for o in loaded if o.rejected})
        result = WriteResult(
            attempt=attempt,
            outcomes=outcomes,
            rows=sum(outcome.rows for outcome in loaded),
            rescued=0,
            rejected=sum(outcome.rejected for outcome in loaded),
            byte_count=sum(file.size for file in files),
            new_columns=self._new_columns(files, seen),
            handle=Written({o.file_id: 1 for o in loaded}, seen.schema_version, reject_file),
        )
        self.at("written")
        return result

    def _read(self, file: BatchFile) -> FileOutcome:
        content = self.source.get(file.path)
        if content is None:
            return FileOutcome(file.file_id, FileState.FAILED, reason=MISSING, error="It is gone.")
        if content.version != file.version:
            return FileOutcome(file.file_id, FileState.FAILED, reason=CHANGED, error="It has changed.")
        if content.failing > 0:
            content.failing -= 1
            return FileOutcome(file.file_id, FileState.FAILED, reason=content.reason, error="It cannot be read.")
        return FileOutcome(file.file_id, FileState.SUCCESS, rows=content.rows, rejected=content.rejected)

    def _new_columns(self, files: Sequence[BatchFile], seen: Look) -> tuple[Column, ...]:
        texts = dict.fromkeys(self.source[file.path].column for file in files if file.path in self.source)
        brought = [parse_schema(text).columns[0] for text in texts if text]
        known = {column.name for column in seen.state.schema}
        return tuple(column for column in brought if column.name not in known)

    def publish(self, batch: Batch, written: WriteResult, properties: Mapping[str, str]) -> Landing:
        handle = written.handle
        assert isinstance(handle, Written)
        about_rejects = reject_properties(handle.reject_file) if handle.reject_file else {}
        summary = {**properties, **ids_of(batch), **about_rejects}

        def require_same(seen: Look) -> None:
            if seen.schema_version != handle.schema_version:
                raise TableChanged("The columns changed.")

            self.sent.add(written.attempt)

        return self._until_answered("publish", batch, handle.loaded, summary, require_same)

    def spend(self, batch: Batch) -> Landing:
        return self._until_answered("spend", batch, {}, {**ids_of(batch), OUTCOME: SPENT}, lambda seen: None)

    def _until_answered(
        self,
        verb: str,
        batch: Batch,
        loaded: Mapping[int, int],
        summary: Mapping[str, str],
        check: Callable[[Look], None],
    ) -> Landing:
        """Look inside each attempt; a refusal is no answer, and neither is silence."""
        refused: CommitConflict | CommitUnknown = CommitConflict("No attempt was allowed.")
        for _ in range(_ATTEMPTS):
            seen, landing = self._look(verb, batch, refused)
            if landing.kind is not LandingKind.NOT_LANDED:
                return landing
            check(seen)
            try:
                self._send(verb, seen, loaded, summary)
            except (CommitConflict, CommitUnknown) as error:
                refused = error
            else:
                return self._look(verb, batch, refused)[1]
        _, landing = self._look(verb, batch, refused)
        if landing.kind is LandingKind.NOT_LANDED:
            raise refused
        return landing

    def _look(self, verb: str, batch: Batch, refused: CommitConflict | CommitUnknown) -> tuple[Look, Landing]:
        try:
            self.at(f"{verb}-look")
        except CatalogUnavailable as error:
            if isinstance(refused, CommitUnknown):
                raise refused from error
            raise
        seen = self.table.look()
        return seen, decide(seen.lineage, batch)

    def _send(self, verb: str, seen: Look, loaded: Mapping[int, int], summary: Mapping[str, str]) -> SnapshotInfo:
        commit = self.table.cherry_pick if self.picks else self.table.commit
        request = partial(commit, seen, loaded, summary)
        try:
            self.at(f"{verb}-commit")
        except RequestLost as lost:
            self.table.in_flight.append(request)
            raise lost.then from None
        info = request()
        self.at(f"{verb}-committed")
        return info

    # --- beside the table

    def write_receipt(self, batch: Batch, attempt: str, receipt: Mapping[str, object]) -> str:
        self.at("write-receipt")
        path = f"autoloader/{batch.id}.{attempt}.json"
        self.table.objects[path] = json.dumps(receipt)
        self.at("receipt-written")
        return path

    def read_receipt(self, path: str) -> dict[str, object]:
        self.at("read-receipt")
        if path not in self.table.objects:
            raise FileMissing(f"{path} is gone.")
        found: dict[str, object] = json.loads(self.table.objects[path])
        return found

    def publish_rejects(self, batch: Batch, reject_file: RejectFile) -> None:
        """Append by compare-and-swap with the look inside."""
        for _ in range(_ATTEMPTS):
            self.at("rejects-look")
            self.rejects.create(_SCHEMA)
            seen = self.rejects.look()
            landed = rejects_landed(seen.lineage, batch, reject_file)
            if landed or (landed is None and self._has_rejects_of(batch)):
                return
            if reject_file.path not in self.table.objects:
                raise FileMissing(f"{reject_file.path} is gone.")
            loaded = {int(k): int(v) for k, v in json.loads(self.table.objects[reject_file.path]).items()}
            self.at("rejects-commit")
            try:
                self.rejects.commit(seen, loaded, ids_of(batch))
            except CommitConflict:
                continue
            self.at("rejects-committed")
            return
        raise CommitConflict("The reject table is too busy.")

    def _has_rejects_of(self, batch: Batch) -> bool:
        """By the rows, whose `batch_id` the fake keeps as the files that the batch's reject files name."""
        named = [text for path, text in self.table.objects.items() if path.startswith(f"rejects/{batch.id}.")]
        return any(int(file_id) in self.rejects.content() for text in named for file_id in json.loads(text))

    def discard(self, written: WriteResult) -> None:
        self.at("discard")
        if written.attempt not in self.sent:
            self.discarded.append(written.attempt)

    def close(self) -> None:
        self.closed = True

    def reject_counts(self) -> Counter[int]:
        return self.rejects.content()
