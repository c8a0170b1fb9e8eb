"""The schema on first sight: inferred from a bounded sample over several files, with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from app.config import Settings
from app.database import Database
from app.errors import InvalidInput
from app.ingest.engines.embedded_input import format_options, parse_limits
from app.ingest.engines.sandbox import Sandbox
from app.ingest.formats.contract import InferRequest, InferResult
from app.own_folder import scratch
from app.repositories import files, ingestions
from app.schemas.ingestion import FormatShape
from app.services import sources
from app.services.context import IngestionInfo, RunContext
from app.services.shape_checks import without_row_columns
from app.storage import Store
from app.values import BatchFile

_PREVIEW_ROWS = 20
_SHOWN = 5  # sentences of each kind


class SchemaService:
    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings

    def learn(self, ctx: RunContext) -> IngestionInfo:
        """Infer the schema from files that wait, and store it on the ingestion with the evidence.

        Where no file could be read, nothing is stored: the table begins with the row columns alone. Raises InvalidInput
        when nobody said a delimiter and the default one cannot be meant: rows that are loaded stay as they were cut.
        """
        ctx.progress.note("Reading a sample to infer the schema.")
        with self.database.session_scope() as session:
            sample = files.sample_waiting(session, ctx.ingestion.id, self.settings.inference_max_files)
        with sources.opened_source(self.database, self.settings, ctx.ingestion) as store:
            result = self.infer(store, sample, ctx.ingestion.shape.format, ctx.sandbox)
        if ctx.ingestion.shape.format.delimiter is None:
            _refuse_doubtful(result, ctx.ingestion.shape.format)
        for sentence in _sentences(result):
            ctx.progress.note(sentence)
        schema = without_row_columns(ctx.ingestion.shape, result.schema)
        if not schema.columns:
            return ctx.ingestion
        with ctx.lease.transaction() as session:
            row = ingestions.by_id(session, ctx.ingestion.id)
            if row is None:
                return ctx.ingestion
            row.schema_text = str(schema)
            row.schema_evidence = [asdict(evidence) for evidence in result.evidence]
            return IngestionInfo.of(row)

    def infer(self, store: Store, sample: Sequence[BatchFile], shape: FormatShape, sandbox: Sandbox) -> InferResult:
        """Infer from at most `inference_max_files` files and `inference_max_bytes` bytes; writes nothing that lasts.

        Files that are gone or cannot be fetched are left out; those that cannot be read are in `problems`.
        """
        with scratch(self.settings.home / "spool") as folder:
            found = sources.local_sample(self.settings, store, sample, shape, folder)
            request = InferRequest(
                files=tuple(found),
                format=shape.type,
                options=format_options(shape),
                max_bytes=self.settings.inference_max_bytes,
                sample_rows=_PREVIEW_ROWS,
                limits=parse_limits(self.settings),
                output_dir=str(folder / "parsed"),
            )
            return sandbox.infer(request)


def _sentences(result: InferResult) -> Iterator[str]:
    """What whoever loads should know of the columns; of a doubtful delimiter that somebody said, too."""
    yield from result.hints
    yield from (f"By the sample, {twin.sentence}" for twin in result.twins[:_SHOWN])
    yield from (outlier.sentence for outlier in result.outliers[:_SHOWN])


def _refuse_doubtful(result: InferResult, shape: FormatShape) -> None:
    if result.hints:
        as_now = "tab" if shape.type == "tsv" else ","
        raise InvalidInput(
            f"{' '.join(result.hints)} Nothing was loaded.",
            hint="Load again with --delimiter and the character between the fields (format.delimiter in YAML and in the"
            f" REST API); where one column is what the file has: --delimiter {as_now}",
        )
