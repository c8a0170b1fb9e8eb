"""`load SOURCE TABLE`: the ingestion for it, made, found or changed; and whether its source shows something new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from app.config import Settings
from app.database import Database
from app.errors import Conflict
from app.ingest import discovery, ledger
from app.ingest.ports import Clock, SystemClock
from app.models import DEFAULT_TENANT
from app.repositories import files
from app.schemas.ingestion import IngestionShape, SourceShape
from app.services import engine_said, shape_service, sources, wiring
from app.services.context import IngestionInfo
from app.services.format_service import infer_format
from app.services.ingestion_service import LOCAL_CATALOG, IngestionService, Left, free_name, full_table_name
from app.services.preview_service import PreviewService
from app.services.shape_checks import require_name, require_partitions, with_row_columns
from app.storage import Store
from app.values import FileState

_SHOWN_OTHERS = 3


@dataclass(frozen=True, slots=True)
class Prepared:
    """The ingestion to run. `notes` say what was inferred, changed, or has no effect any more."""

    ingestion: IngestionInfo
    created: bool
    notes: tuple[str, ...]


class LoadService:
    def __init__(
        self, database: Database, settings: Settings, clock: Clock | None = None, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock or SystemClock()
        self.tenant_id = tenant_id
        self.ingestions = IngestionService(database, settings, self.clock, tenant_id)

    def prepare(self, source: str, table: str, given: Mapping[str, Any]) -> Prepared:
        """`given` holds the fields of IngestionShape that the person set, and no others.

        Raises InvalidInput, Conflict, NotFound; for a new ingestion also what its source answers, so that an
        address with a typing error leaves nothing behind.
        """
        url = shape_service.canonical_url(source)
        wanted = shape_service.merged(given, {"source": {"url": url}, "destination": {"table": table}})
        known = self.ingestions.into(url, table)
        if known is None:
            try:
                return self._created(wanted)
            except Conflict:
                known = self.ingestions.into(url, table)  # another process made the very same one meanwhile
                if known is None:
                    raise
        return self._changed(known, wanted)

    def _created(self, wanted: dict[str, Any]) -> Prepared:
        notes: list[str] = []
        wanted = engine_said.of_change({}, wanted)
        table = str(wanted["destination"]["table"])
        if "name" not in wanted:
            short = table.removeprefix(f"{LOCAL_CATALOG}.")
            wanted = {**wanted, "name": free_name(short, self.ingestions.names())}
        typed = wanted.get("format", {}).get("type")
        # All other mistakes are told before the store is asked.
        shape = shape_service.shape_of({**wanted, "format": {"type": typed or "jsonl"}})
        require_name(shape.name)
        whole = full_table_name(table)
        if wiring.cluster_alone_of(self.database, self.settings, whole, self.tenant_id) is None:
            with wiring.catalog_of(self.database, self.settings, whole, self.tenant_id):
                pass
        store = sources.store_of(self.database, self.settings, shape.source, self.tenant_id)
        if typed is None:
            rules = sources.rules_of(self.settings, _without_times(shape.source))
            found = infer_format(store, rules, self.clock.now())
            notes.append(f"Format {found.name}: {found.because}.")
            wanted = shape_service.merged(wanted, {"format": {"type": found.name}})
        else:
            next(iter(store.list()), None)
        shape = shape_service.shape_of(wanted)
        self._require_partitions(shape, store)
        left = self.ingestions.left_by_deleted(shape)
        info = self.ingestions.create(shape)
        if left is not None:
            notes.append(_known_from(left, info))
        if others := self.ingestions.others_into(info):
            more = f" and {len(others) - _SHOWN_OTHERS} more" if len(others) > _SHOWN_OTHERS else ""
            notes.append(
                f"{info.table_name} is loaded by {', '.join(others[:_SHOWN_OTHERS])}{more} as well. A file is known by"
                " its path: one that was moved here from there is new, and its rows come once more."
            )
        return Prepared(info, created=True, notes=tuple(notes))

    def _require_partitions(self, shape: IngestionShape, store: Store) -> None:
        """Raise InvalidInput for a partition by a column that the files do not have; an empty source tells nothing."""
        if not shape.destination.partition_by or shape.columns.columns:
            return  # nothing to look for, or judged with the shape
        rules = sources.rules_of(self.settings, _without_times(shape.source))
        schema = PreviewService(self.database, self.settings, self.clock, self.tenant_id).schema(shape, store, rules)
        if schema is not None:
            require_partitions(shape, with_row_columns(shape, schema))

    def _changed(self, known: IngestionInfo, wanted: dict[str, Any]) -> Prepared:
        before = _unpaused(known.shape)
        stored = known.shape.destination.table
        wanted = shape_service.merged(engine_said.of_change(before, wanted), {"destination": {"table": stored}})
        typed = wanted.get("format", {}).get("type", before["format"]["type"])
        base = before
        if typed != before["format"]["type"]:
            self._require_nothing_loaded(known, typed)
            # Delimiters, null values and the like were said of the other format.
            base = {**before, "format": {"type": typed, "compression": before["format"]["compression"]}}
        shape = shape_service.shape_of(shape_service.merged(base, wanted))
        changes = shape_service.differences(before, _unpaused(shape))
        if not changes:
            return Prepared(known, created=False, notes=())
        info = self.ingestions.change(known.name, shape)
        notes = []
        if info.name != known.name:
            notes.append(f"Renamed the ingestion {known.name} to {info.name}; its table and its ledger stay.")
        shown = "; ".join(f"{field}: {told(old)} → {told(new)}" for field, old, new in changes if field != "name")
        if shown:
            notes.append(f"Changed {info.name}: {shown}.")
        if any(field == "policies.on_change" and new == "append" for field, _, new in changes):
            notes += self._left_out(info)
        if any(field.startswith(("format.", "columns.")) for field, _, _ in changes) and (loaded := self._loaded(info)):
            notes.append(
                f"It holds for files to come: what was loaded so far ({loaded}) stays as it is. To load it so, too,"
                " choose another table."
            )
        return Prepared(info, created=False, notes=tuple(notes))

    def _left_out(self, info: IngestionInfo) -> Iterator[str]:
        """What `append` does not take: versions that another policy has left out."""
        with self.database.read_scope() as session:
            count = files.count_with_reason(session, info.id, FileState.SKIPPED, ledger.ON_CHANGE_IGNORE)
        if count:
            left = "1 changed file" if count == 1 else f"{count:,} changed files"
            yield (
                f"It holds for what changes from now on; {left} left out so far will stay so. To load them, too, with"
                f" all of their rows: autoloader files retry --ingestion {quote(info.name)} --state SKIPPED"
            )

    def _require_nothing_loaded(self, known: IngestionInfo, typed: str) -> None:
        """Raise Conflict where files were loaded in one format: read in another one, the rest would be quarantined."""
        if loaded := self._loaded(known):
            raise Conflict(
                f"{known.name} reads {known.shape.format.type}, and has loaded {loaded} so; as {typed} its files"
                " could not be read.",
                hint="Load files of another format into another table. If the feed itself has changed, say so with:"
                " autoloader apply",
            )

    def _loaded(self, known: IngestionInfo) -> str:
        """How many files it has loaded, in words; empty for none."""
        count = self.ingestions.show(known.name).files.get(FileState.SUCCESS, 0)
        return "" if not count else "1 file" if count == 1 else f"{count:,} files"

    def has_work(self, ingestion: IngestionInfo) -> bool:
        """Whether a listing of the source shows something that the ledger does not have. Changes nothing."""
        rules = sources.rules_of(self.settings, ingestion.shape.source)
        on_change = ingestion.shape.policies.on_change
        with sources.opened_source(self.database, self.settings, ingestion) as store:
            for page in discovery.discover(store, rules, now=self.clock.now(), created_at=ingestion.created_at):
                with self.database.read_scope() as session:
                    counts = ledger.RecordCounts()
                    if ledger.compare(session, ingestion.id, page, on_change, counts):
                        return True
        return False

    def waiting(self, ingestion: IngestionInfo) -> int:
        """Files in the ledger that are neither loaded nor given up."""
        with self.database.read_scope() as session:
            return files.waiting_count(session, ingestion.id)


def _known_from(left: Left, info: IngestionInfo) -> str:
    """Why a new ingestion finds nothing new, and what loads it all the same."""
    count = "1 file" if left.loaded == 1 else f"{left.loaded:,} files"
    return (
        f"It goes on where {left.name} ended, which was deleted at {left.deleted_at:%Y-%m-%d %H:%M:%S} UTC: what it"
        f" loaded into {info.table_name} ({count}) is not loaded there again. To have their rows once more, load into"
        f" another table: autoloader load {quote(info.shape.source.url)} NAMESPACE.TABLE"
    )


def _without_times(source: SourceShape) -> SourceShape:
    """The source with all its files: those that are too old or too young to be loaded tell the format as well."""
    times = {"modified_after": None, "modified_before": None, "min_age_seconds": 0.0, "start": "everything"}
    return source.model_copy(update=times)


def _unpaused(shape: IngestionShape) -> dict[str, Any]:
    """The shape but for `paused`: loading neither pauses nor resumes, whatever somebody else does meanwhile."""
    fields: dict[str, Any] = shape.model_dump(mode="json", exclude={"paused"})
    return fields


def told(value: object) -> str:
    """A field's value as a person reads it."""
    if value is None or value in ([], "", {}):
        return "none"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
