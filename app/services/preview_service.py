"""A look at a source before anything is loaded: its format, its schema with the evidence, some rows. Writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.config import Settings
from app.database import Database
from app.datatypes import TableSchema
from app.errors import InvalidInput
from app.ingest import discovery
from app.ingest.formats.contract import Evidence, Outlier, ParsedFile, RejectedSample
from app.ingest.ports import Clock, SystemClock
from app.models import DEFAULT_TENANT
from app.schemas.ingestion import IngestionShape
from app.services import shape_service, sources, wiring
from app.services.format_service import infer_format
from app.services.schema_service import SchemaService
from app.storage import Store
from app.values import BatchFile, FoundFile, Twin

_LISTED = 10_000  # files among which the sample is chosen


@dataclass(frozen=True, slots=True)
class Problem:
    """A file of the sample that could not be read."""

    path: str
    reason: str
    error: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a load would meet. `more` says that the listing went on; `left_out` counts objects by reason."""

    format: str
    because: str
    files: int
    byte_count: int
    more: bool
    left_out: dict[str, int]
    sampled: tuple[str, ...]
    schema: str
    evidence: tuple[Evidence, ...]
    rows: tuple[dict[str, object], ...]
    problems: tuple[Problem, ...]
    outliers: tuple[Outlier, ...] = ()
    hints: tuple[str, ...] = ()
    rejected: tuple[RejectedSample, ...] = ()
    twins: tuple[Twin, ...] = ()


class PreviewService:
    def __init__(
        self, database: Database, settings: Settings, clock: Clock | None = None, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock or SystemClock()
        self.tenant_id = tenant_id

    def preview(self, source: str, given: Mapping[str, Any]) -> Preview:
        """`given` holds the fields of IngestionShape that were set. Raises InvalidInput, SourceError's children."""
        wanted = shape_service.merged(
            {"name": "preview", "destination": {"table": "preview.preview"}, "format": {}},
            shape_service.merged(given, {"source": {"url": shape_service.canonical_url(source)}}),
        )
        typed = wanted["format"].get("type")
        shape = shape_service.shape_of(wanted if typed else {**wanted, "format": {"type": "jsonl"}})
        store = sources.store_of(self.database, self.settings, shape.source, self.tenant_id)
        rules = sources.rules_of(self.settings, shape.source)
        because = "as given"
        if typed is None:
            guess = infer_format(store, rules, self.clock.now())
            because = guess.because
            shape = shape_service.shape_of(shape_service.merged(wanted, {"format": {"type": guess.name}}))
        found, left_out, more = self._listed(store, rules)
        if not found:
            shown = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common()) or "nothing is there"
            raise InvalidInput(
                f"No file of {store.base} counts: {shown}.", hint="Look at --include, --exclude, --hidden."
            )
        sample = _spread(found, self.settings.inference_max_files)
        with wiring.opened_sandbox(self.settings) as sandbox:
            result = SchemaService(self.database, self.settings).infer(store, sample, shape.format, sandbox)
        paths = {file.file_id: file.path for file in sample}
        return Preview(
            format=shape.format.type,
            because=because,
            files=len(found),
            byte_count=sum(file.size for file in found),
            more=more,
            left_out=dict(left_out),
            sampled=tuple(file.path for file in sample),
            schema=str(result.schema),
            evidence=result.evidence,
            rows=result.rows,
            problems=tuple(_problem(paths, one) for one in result.problems),
            outliers=result.outliers,
            hints=result.hints,
            rejected=result.rejected,
            twins=result.twins,
        )

    def schema(self, shape: IngestionShape, store: Store, rules: discovery.DiscoveryRules) -> TableSchema | None:
        """The columns that a first run would infer; None where no file tells any."""
        found, _, _ = self._listed(store, rules)
        if not found:
            return None
        sample = _spread(found, self.settings.inference_max_files)
        with wiring.opened_sandbox(self.settings) as sandbox:
            result = SchemaService(self.database, self.settings).infer(store, sample, shape.format, sandbox)
        return result.schema if result.schema.columns else None

    def _listed(self, store: Store, rules: discovery.DiscoveryRules) -> tuple[list[FoundFile], Counter[str], bool]:
        found: list[FoundFile] = []
        left_out: Counter[str] = Counter()
        for page in discovery.discover(store, rules, now=self.clock.now()):
            left_out.update(page.skipped)
            if len(found) >= _LISTED:
                return found, left_out, True
            found += page.files
        return found, left_out, False


def _spread(found: list[FoundFile], count: int) -> list[BatchFile]:
    """Up to `count` files: the first, the last, and others evenly between."""
    places = {round(at * (len(found) - 1) / max(1, count - 1)) for at in range(min(count, len(found)))}
    if len(found) <= count:
        places = set(range(len(found)))
    return [BatchFile(at + 1, found[at].path, found[at].version, found[at].size) for at in sorted(places)]


def _problem(paths: Mapping[int, str], file: ParsedFile) -> Problem:
    return Problem(paths.get(file.file_id, ""), file.reason, file.error)
