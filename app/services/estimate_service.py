"""What the next run would find and how long it would take. Looks at source and ledger, changes neither."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from uuid import UUID

from app.config import Settings
from app.database import Database
from app.ingest import discovery, ledger, planning
from app.ingest.ports import Clock, SystemClock
from app.models import DEFAULT_TENANT
from app.repositories import batches, files, run_queries
from app.services import run_speed, sources
from app.services.context import IngestionInfo
from app.services.deployment_spec import work_queue
from app.services.engine_rule import Choice, Rule
from app.services.ingestion_query_service import IngestionQueryService
from app.services.ingestion_service import IngestionService
from app.values import BatchState

_PAST_RUNS = 20
_CHUNK = 10_000
_STILL_TO_LOAD = frozenset({BatchState.PLANNED, BatchState.CLAIMED})


@dataclass(frozen=True, slots=True)
class EngineShare:
    """What one engine would load; `why` says which batches come to it."""

    engine: str
    why: str
    batches: int
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """`complete` is false when the time for listing ran out: then there is at least this much.

    `files` and `bytes` are what a run would load: what is new, and what waits in the ledger already, in a batch that no
    run has ended or in none. `seconds` is by
    the speed of past runs; None where none loaded anything. `work_queue` is the one that Prefect runs it in.
    """

    complete: bool
    listed: int
    known: int
    new_files: int
    new_bytes: int
    waiting_files: int
    waiting_bytes: int
    files: int
    bytes: int
    batches: int
    seconds: float | None
    past_runs: int
    left_out: dict[str, int]
    engines: tuple[EngineShare, ...]
    work_queue: str


class EstimateService:
    def __init__(
        self, database: Database, settings: Settings, clock: Clock | None = None, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock or SystemClock()
        self.tenant_id = tenant_id

    def estimate(self, ingestion_id: UUID, seconds: float) -> Estimate:
        """Lists for at most about `seconds`. Raises NotFound, and SourceError's children as the listing does."""
        IngestionQueryService(self.database, self.tenant_id).name(ingestion_id)
        info = IngestionService(self.database, self.settings, tenant_id=self.tenant_id).find(str(ingestion_id))
        listing = _Listing(self.database, self.settings, info)
        complete = listing.look(self.clock, time.monotonic() + seconds)
        waiting = _Tally(size for _, size in self._waiting(info.id))
        policies = info.shape.policies
        cuts = planning.cut(
            enumerate(chain(waiting, listing.sizes())),
            policies.batch_max_files or self.settings.batch_max_files,
            policies.batch_max_bytes or self.settings.batch_max_bytes,
        )
        with self.database.read_scope() as session:
            past = run_queries.recent_ends(session, info.id, _PAST_RUNS)
            planned = [
                planning.Cut(0, 0, batch.file_count, batch.byte_count)
                for batch in batches.unfinished(session, info.id)
                if batch.state in _STILL_TO_LOAD
            ]
        engines = _shares(Rule.of(info.shape, self.settings), chain(planned, cuts))
        files_waiting = waiting.files + sum(batch.files for batch in planned)
        bytes_waiting = waiting.bytes + sum(batch.size for batch in planned)
        total = bytes_waiting + listing.counts.new_bytes
        count = sum(share.batches for share in engines)
        return Estimate(
            complete=complete,
            listed=listing.listed,
            known=listing.counts.known,
            new_files=listing.counts.new,
            new_bytes=listing.counts.new_bytes,
            waiting_files=files_waiting,
            waiting_bytes=bytes_waiting,
            files=files_waiting + listing.counts.new,
            bytes=total,
            batches=count,
            seconds=run_speed.duration((run.metrics for run in past), listed=listing.listed, batches=count, size=total),
            past_runs=len(past),
            left_out=dict(sorted(listing.left_out.items())),
            engines=engines,
            work_queue=work_queue(info.shape, self.settings),
        )

    def _waiting(self, ingestion_id: UUID) -> Iterator[tuple[int, int]]:
        after = 0
        while True:
            with self.database.read_scope() as session:
                chunk = files.waiting(session, ingestion_id, after, _CHUNK)
            if not chunk:
                return
            yield from chunk
            after = chunk[-1][0]


class _Tally:
    """Counts sizes as they pass: there may be millions."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self._sizes = sizes
        self.files = 0
        self.bytes = 0

    def __iter__(self) -> Iterator[int]:
        for size in self._sizes:
            self.files += 1
            self.bytes += size
            yield size


class _Listing:
    """A discovery that records nothing. Holds eight bytes a new file."""

    def __init__(self, database: Database, settings: Settings, info: IngestionInfo) -> None:
        self.database = database
        self.settings = settings
        self.info = info
        self.listed = 0
        self.counts = ledger.RecordCounts()
        self._sizes = array("q")
        self.left_out: dict[str, int] = {}

    def look(self, clock: Clock, until: float) -> bool:
        """Whether the listing came to its end in time."""
        rules = sources.rules_of(self.settings, self.info.shape.source)
        on_change = self.info.shape.policies.on_change
        with sources.opened_source(self.database, self.settings, self.info) as store:
            pages = discovery.discover(store, rules, now=clock.now(), created_at=self.info.created_at)
            for page in pages:
                with self.database.read_scope() as session:
                    verdicts = ledger.compare(session, self.info.id, page, on_change, self.counts)
                self._sizes.extend(v.insert.found.size for v in verdicts if v.insert and v.counted_as == "new")
                self.listed += page.seen
                for reason, count in page.skipped.items():
                    self.left_out[reason] = self.left_out.get(reason, 0) + count
                if time.monotonic() > until:
                    return False
        return True

    def sizes(self) -> Iterator[int]:
        """Of the new files. Those that the ledger knows and takes up again have their mean."""
        again = self.counts.new - len(self._sizes)
        mean = (self.counts.new_bytes - sum(self._sizes)) // again if again else 0
        return chain(self._sizes, repeat(mean, again))


def _shares(rule: Rule, cuts: Iterable[planning.Cut]) -> tuple[EngineShare, ...]:
    """By engine and reason, in the order in which they are met."""
    shares: dict[Choice, EngineShare] = {}
    for cut in cuts:
        choice = rule.choose(cut.files, cut.size)
        known = shares.get(choice, EngineShare(choice.engine, choice.why, 0, 0, 0))
        shares[choice] = EngineShare(
            choice.engine, choice.why, known.batches + 1, known.files + cut.files, known.bytes + cut.size
        )
    return tuple(shares.values())
