"""What one pass of the reconciler found and did."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Change:
    """A deployment that was not as it should be; `fields` are those that differed."""

    ingestion_id: UUID
    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """An ingestion that Prefect could not be brought in step with."""

    ingestion_id: UUID
    name: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """A deployment in our work pool that is none of ours; it is left alone."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A flow run that nobody would have ended."""

    flow_run_id: UUID
    ingestion_id: UUID
    was: str
    state: str
    why: str


@dataclass(slots=True)
class ReconcileReport:
    """`abandoned` and `cancelled` are runs whose process had died, ended as FAILED, and as CANCELLED where a person had
    asked for it. `unavailable` says why the part that needs Prefect was not finished; `left` waits for the next pass.
    """

    deployments: int = 0
    created: list[Change] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    foreign: list[Foreign] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    abandoned: list[UUID] = field(default_factory=list)
    cancelled: list[UUID] = field(default_factory=list)
    ended: list[EndedRun] = field(default_factory=list)
    slots_freed: list[str] = field(default_factory=list)
    reruns: list[UUID] = field(default_factory=list)
    left: int = 0
    unavailable: str | None = None

    @property
    def quiet(self) -> bool:
        """Whether all was as it should be."""
        done = (self.created, self.changed, self.removed, self.problems, self.abandoned, self.cancelled, self.ended)
        return not (any(done) or self.slots_freed or self.reruns or self.left or self.unavailable)
