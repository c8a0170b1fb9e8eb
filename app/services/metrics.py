"""What a run came to, counted from the ledger: a run that was killed and healed counts right."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.database import Session
from app.ingest.ledger import RecordCounts
from app.models import Run
from app.repositories import batches, files, runs
from app.services import blank_rows
from app.services.context import RunContext
from app.values import ListedPage, RunState

_SHOWN_SNAPSHOTS = 100  # in the run's record: one a batch, and nobody reads ten thousand


@contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the block's wall time to `seconds[step]`."""
    begun = time.monotonic()
    try:
        yield
    finally:
        seconds[step] = round(seconds.get(step, 0.0) + time.monotonic() - begun, 3)


@dataclass(slots=True)
class Discovered:
    """What a listing brought. `skipped` counts objects a rule left out, by reason.

    `earlier` and `earlier_bytes` were recorded by an attempt of the same run before this one: new to the run, though
    known when listed again.
    """

    listed: int = 0
    matched: int = 0
    matched_bytes: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    recorded: RecordCounts = field(default_factory=RecordCounts)
    earlier: int = 0
    earlier_bytes: int = 0

    @classmethod
    def after(cls, stored: dict[str, Any]) -> Discovered:
        """Begin again where an attempt stored `stored`; empty for the first one."""
        return cls(earlier=stored.get("new", 0), earlier_bytes=stored.get("new_bytes", 0))

    def add_page(self, page: ListedPage) -> None:
        self.listed += page.seen
        self.matched += len(page.files)
        self.matched_bytes += page.bytes
        self.skipped.update(page.skipped)

    def as_json(self) -> dict[str, Any]:
        left = Counter(self.recorded.left)
        left.pop("empty", None)  # counted by the rule already
        return {
            "listed": self.listed,
            "matched": self.matched,
            "matched_bytes": self.matched_bytes,
            "new": self.recorded.new + self.earlier,
            "new_bytes": self.recorded.new_bytes + self.earlier_bytes,
            "known": max(0, self.recorded.known - self.earlier),
            "skipped": dict(sorted((self.skipped + left).items())),
        }


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended. `metrics` is what `runs show` and the API answer."""

    run_id: UUID
    state: RunState
    metrics: dict[str, Any]


def store(session: Session, run_id: UUID, name: str, value: dict[str, Any]) -> None:
    """Keep part of the metrics on the run record, so that a later step, or another process, finds it."""
    run = runs.by_id(session, run_id)
    if run is not None:
        run.metrics = {**run.metrics, name: value}


def stored(session: Session, run_id: UUID, name: str) -> dict[str, Any]:
    """What `store` kept; empty when nothing was."""
    run = runs.by_id(session, run_id)
    found: dict[str, Any] = run.metrics.get(name, {}) if run is not None else {}
    return found


def add_note(session: Session, run_id: UUID, note: str) -> None:
    """Keep a sentence with the run, once: of one that a server or a schedule began nobody reads the progress."""
    run = runs.by_id(session, run_id)
    if run is not None and note not in (kept := run.metrics.get("notes", [])):
        run.metrics = {**run.metrics, "notes": [*kept, note]}


def of_run(session: Session, run: Run) -> dict[str, Any]:
    """Metrics of a run by what is stored: its discovery, and the batches it ended.

    `batches` counts those that landed; `snapshots` are the newest of theirs.
    """
    total = batches.totals_of(session, run.id)
    return {
        "discovered": run.metrics.get("discovered", {}),
        "files": {
            "loaded": total.loaded,
            "failed": total.failed,
            "quarantined": total.quarantined,
            "skipped": total.skipped,
        },
        "loaded_bytes": files.loaded_bytes(session, run.id),
        "rows": total.rows,
        "rescued": total.rescued,
        "rejected": total.rejected,
        "batches": total.landed,
        "snapshots": batches.newest_snapshots(session, run.id, _SHOWN_SNAPSHOTS),
        "waiting": files.waiting_count(session, run.ingestion_id),
        "quarantined_before": files.quarantined_count(session, run.ingestion_id) - total.quarantined,
        "seconds": run.metrics.get("seconds", {}),
        "notes": run.metrics.get("notes", []),
        **blank_rows.kept(run.metrics),
    }


def summarize(session: Session, ctx: RunContext, *, stopped_early: bool) -> RunSummary:
    """The run's end: PARTIAL when a file failed or was quarantined, when something of the source could not be looked
    at, when it stopped before all was done, or when each record of its files was rejected.
    """
    run = runs.by_id(session, ctx.run_id)
    found = of_run(session, run) if run is not None else {}
    found["seconds"] = dict(ctx.seconds)
    counted = found["files"]
    unseen = found["discovered"].get("skipped", {}).get("unreadable", 0)
    left = counted["failed"] or counted["quarantined"] or counted["skipped"]
    whole = not (stopped_early or unseen or left or all_rejected(found))
    return RunSummary(ctx.run_id, RunState.SUCCESS if whole else RunState.PARTIAL, found)


def all_rejected(found: Mapping[str, Any]) -> bool:
    """Whether a run with these metrics loaded files, and not one record of theirs, though they have some.

    False where a file was not loaded: the rejected records may be that one's, refused for its many errors.
    """
    files = found["files"]
    left = files["failed"] or files["quarantined"] or files["skipped"]
    return bool(files["loaded"] and not left and found["rejected"] and not found["rows"])
