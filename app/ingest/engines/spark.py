"""The Spark engine: a cluster reads, converts and stages; the table's side is the one that all engines share.

files ─ spark_source ─► rows ─ formats/spark ─► columns ─ spark_stage ─► staged snapshot ─ spark_publish ─► main
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from app.config import Settings
from app.datatypes import TableSchema, parse_schema
from app.errors import AutoloaderError, Interrupted, TableChanged
from app.ingest.engines import publishing, spark_publish
from app.ingest.engines.embedded_input import row_columns, row_schema
from app.ingest.engines.engine_table import EngineTable
from app.ingest.engines.spark_attempt import Attempt
from app.ingest.engines.spark_formats import Foreseeing, format_on_spark
from app.ingest.engines.spark_limits import require_schema, require_shape
from app.ingest.engines.spark_publish import NothingStaged, SparkStaged
from app.ingest.engines.spark_rejects import rejects_of
from app.ingest.engines.spark_session import KeptSession
from app.ingest.engines.spark_stage import STAGING, Stage
from app.ingest.engines.spark_watch import watched
from app.ingest.engines.table_side import TableSide
from app.ingest.landing import (
    ATTEMPT,
    BATCH_ID,
    INGESTION_ID,
    RECEIPT,
    RUN_ID,
)
from app.ingest.ports import Clock, SystemClock
from app.schemas.ingestion import IngestionShape
from app.spark import Session, interrupt
from app.storage import Store
from app.values import (
    Batch,
    BatchFile,
    Landing,
    RejectFile,
    TableState,
    WriteResult,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A session on it, whose files it reads, for which run, and whether that is still wanted."""

    session: KeptSession
    store: Store
    run_id: UUID | None = None
    unwanted: Callable[[], bool] = lambda: False  # the run has lost its right to go on


class SparkEngine(TableSide):
    """One table, one source, one run, one session. Not for use by several threads at once."""

    name = "spark"

    def __init__(
        self,
        table: EngineTable,
        shape: IngestionShape,
        schema: TableSchema | None,
        cluster: Cluster,
        settings: Settings,
        clock: Clock | None = None,
    ) -> None:
        """Raises InvalidInput for what the shape asks and Spark cannot do."""
        super().__init__(table, shape, schema, settings)
        require_shape(shape)
        self.kept = cluster.session
        self.rejects = rejects_of(table)
        self.store = cluster.store
        self.run_id = cluster.run_id
        self.unwanted = cluster.unwanted
        self.clock = clock or SystemClock()
        self.foreseen: tuple[UUID, NothingStaged] | None = None  # the batch whose new columns were told beforehand

    # --- the table ---------------------------------------------------------------------------

    def ensure_table(self) -> TableState:
        """As every engine's, with staging switched on. Raises InvalidInput for a column that Spark cannot fill."""
        declared = parse_schema(self.shape.columns.columns) if self.shape.columns.columns else None
        require_schema(str(self.table.name), self.schema or declared or TableSchema())
        super().ensure_table()
        return self.table_to_claim()

    def table_to_claim(self) -> TableState:
        if self.table.require_properties({STAGING: "true"}):
            log.info(
                "Table %s got the property %s: rows are staged before they are published.", self.table.name, STAGING
            )
        return publishing.begin(self.table, self.settings.commit_attempts, always=True)

    # --- the session -------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """Opened with its first use, and again when the server has lost it. Raises SparkUnavailable, SparkRefused."""
        return self.kept.get()

    def job(self) -> str | None:
        session = self.session
        return json.dumps({"session": session.id, "user": session.user})

    def interrupt(self, job: str, batch: Batch) -> None:
        try:
            told = json.loads(job)
            ended = interrupt(self.kept.endpoint, str(told["session"]), str(told["user"]), str(batch.id))
        except (AutoloaderError, ValueError, KeyError, TypeError) as error:
            log.info("An earlier attempt of batch %s could not be interrupted: %s", batch.id, error)
            return
        if ended:
            log.info("An earlier attempt of batch %s was still running, and was interrupted.", batch.id)

    def close(self) -> None:
        self.kept.close()

    # --- one batch ---------------------------------------------------------------------------

    def write(self, batch: Batch, files: Sequence[BatchFile]) -> WriteResult:
        """New columns that are seen beforehand are told once for a batch, and nothing is staged then."""
        attempt = self._begin(batch)
        with self._looked_after(batch):
            written = attempt.run(files)
        if isinstance(written.handle, NothingStaged):
            self.foreseen = batch.id, written.handle
        return written

    def try_out(self, batch: Batch, file: BatchFile) -> bool:
        """Under an id of its own: nobody can take its rows for the batch's."""
        trial = replace(batch, id=uuid4())
        try:
            attempt = self._begin(trial)
            with self._looked_after(trial):
                attempt.try_out(file)
        except (Interrupted, TableChanged):
            raise
        except AutoloaderError as error:
            log.info("%s could not be tried out: %s", self.kept.endpoint.address, error)
            return False
        return True

    def publish(self, batch: Batch, written: WriteResult, properties: Mapping[str, str]) -> Landing:
        """What `properties` say of the attempt was said when it was staged: nobody can add to a snapshot."""
        del properties
        with self._looked_after(batch):
            return spark_publish.publish(
                lambda: self.session, self.table, batch, _staged(written), self.settings.commit_attempts
            )

    def publish_rejects(self, batch: Batch, reject_file: RejectFile) -> None:
        self.rejects.publish(batch, reject_file, self.settings.commit_attempts)

    def discard(self, written: WriteResult) -> None:
        if isinstance(written.handle, NothingStaged):
            return
        handle = _staged(written)
        if not handle.sent:
            self.table.drop_staged([handle.snapshot.snapshot_id])

    # --- inside write ------------------------------------------------------------------------

    def _begin(self, batch: Batch) -> Attempt:
        """Raises InvalidInput for a column that Spark cannot fill. A table without staging gets it back first."""
        self.table.require_properties({STAGING: "true"})
        look = self.table.look()
        own = look.state.schema.without(set(row_schema(self.shape.row_columns).names))
        require_schema(str(self.table.name), own)
        name = uuid4().hex[:16]
        properties = {
            BATCH_ID: str(batch.id),
            INGESTION_ID: str(batch.ingestion_id),
            RUN_ID: str(self.run_id or batch.run_id),
            ATTEMPT: name,
            RECEIPT: self.receipt_path(look, batch, name),
        }
        names = row_columns(self.shape.row_columns, look.state.schema)
        stage = Stage(self.session, self.table, batch, names)
        form = format_on_spark(self.shape, own, self.store, self.settings)
        foreseen = self.foreseen[1] if self.foreseen and self.foreseen[0] == batch.id else None
        if foreseen and isinstance(form, Foreseeing):
            form.clean = foreseen.clean
        return Attempt(
            name=name,
            look=look,
            stage=stage,
            rejects=self.rejects,
            schema=own,
            shape=self.shape,
            store=self.store,
            format=form,
            at=self.clock.now(),
            properties=properties,
            foresees=foreseen is None,
        )

    @contextmanager
    def _looked_after(self, batch: Batch) -> Iterator[None]:
        """Operations of the block carry the batch's tag. Whoever stops it, or takes over, or has no more time for it,
        stops them as well; and they are not waited for for ever.
        """
        session, tag = self.kept.current, str(batch.id)
        with ExitStack() as held:
            held.enter_context(
                watched(lambda: self.kept.current, tag, self.settings.spark_silence_seconds, self.unwanted)
            )
            if session is not None:
                held.enter_context(session.tagged(tag))
            try:
                yield
            except BaseException as error:
                self.kept.good = False
                if session is not None and (isinstance(error, Interrupted) or not isinstance(error, AutoloaderError)):
                    with suppress(AutoloaderError):
                        session.interrupt(tag)
                raise


def _staged(written: WriteResult) -> SparkStaged:
    if not isinstance(written.handle, SparkStaged):
        raise TypeError(f"{written.attempt} was not written by this engine.")
    return written.handle
