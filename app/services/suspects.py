"""Files that stand alone in a batch whose job fails on a cluster.

A failed job says little: it may be the file, a full disk, or a cluster without memory. The file is to blame when the
cluster has loaded something else since, or got through a trial, and the file's job fails again; until then nobody is,
and a run does not look for ever. What the cluster loaded before the file first failed says nothing: its disk may have
run full between. And what it loaded before the second time says less with each file that fails after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from app.errors import SparkJobFailed
from app.services.engine_rule import EMBEDDED
from app.values import Batch, BatchState

_MOST_ALONE = 3  # of them in a run that has loaded nothing
_MOST_IN_A_ROW = 5  # without one that loads, whether they wait or are to blame for what the cluster loaded before them
_MOST_HALVINGS = 20  # in such a run: enough to come from a million files to one
_IF_THE_FILE = (
    "If it is the file, load it with engine: embedded (of load: --engine embedded), or take it out of the source."
)
_NOT_KNOWN = "Nothing else was loaded since, so it may be the cluster, or {which}"
_TRIED_OUT = "A trial that was written in its place went through, so it may be {which}: if it fails again, it is"
_MOST_FAILED = 100  # jobs in a run, whatever else it loads: the next run goes on


def last_those_alone(batches: Iterable[Batch]) -> tuple[list[Batch], list[Batch]]:
    """The batches, and apart from them single files that a cluster did not get through, the least tried first.

    One attempt without an answer tells nothing: its process was killed, and it may have landed.
    """
    rest: list[Batch] = []
    alone: list[Batch] = []
    for batch in batches:
        tried = batch.state is BatchState.CLAIMED and batch.file_count == 1 and batch.engine not in {None, EMBEDDED}
        (alone if tried and batch.unanswered != 1 else rest).append(batch)
    return rest, sorted(alone, key=lambda batch: batch.claims)


@dataclass(frozen=True, slots=True)
class Suspect:
    """A batch of one file, where that file is, and what its job failed with."""

    batch: Batch
    path: str
    error: SparkJobFailed


@dataclass(slots=True)
class Suspects:
    """Of one run, by cluster. What is known longer than a run stands with each batch in the ledger."""

    _able: set[str] = field(default_factory=set)
    _blamed: dict[str, int] = field(default_factory=dict)  # since the cluster last loaded something in this run
    _alone: dict[str, list[Suspect]] = field(default_factory=dict)
    _tries: Counter[UUID] = field(default_factory=Counter)
    _halvings: dict[str, int] = field(default_factory=dict)
    _failed: int = 0

    def is_able(self, cluster: str) -> bool:
        """Whether the cluster has loaded something in this run, and not failed again and again since."""
        return cluster in self._able and not self.is_doubtful(cluster)

    def is_doubtful(self, cluster: str) -> bool:
        """Whether so many files were to blame in a row that what it loaded before speaks against no further one."""
        return self._blamed.get(cluster, 0) >= _MOST_IN_A_ROW

    def tries_of(self, batch_id: UUID) -> int:
        """How many claims of the batch this run has seen end with a failed job, and nobody to blame."""
        return self._tries[batch_id]

    def loaded(self, cluster: str) -> list[Suspect]:
        """Note that it has; answers those that failed alone before it, each once."""
        self._able.add(cluster)
        self._blamed[cluster] = 0
        self._halvings.pop(cluster, None)
        return self._alone.pop(cluster, [])

    def halve(self, cluster: str, error: SparkJobFailed) -> None:
        """Count a batch that is to be halved. Raises SparkJobFailed when the run has looked long enough."""
        self._halvings[cluster] = self._halvings.get(cluster, 0) + 1
        self._count(error)
        if not self.is_able(cluster) and self._halvings[cluster] > _MOST_HALVINGS:
            raise _nobody(error, "Nothing could be loaded")

    def add(self, cluster: str, suspect: Suspect) -> bool:
        """Keep it until something is loaded. Answers whether the run has looked long enough."""
        alone = self._alone.setdefault(cluster, [])
        alone.append(suspect)
        self._tries[suspect.batch.id] += 1
        return len(alone) >= (_MOST_IN_A_ROW if self.is_able(cluster) else _MOST_ALONE)

    def waiting(self) -> dict[str, Batch]:
        """Of each cluster where files wait, the batch of the largest."""
        largest = {cluster: max(alone, key=lambda one: one.batch.byte_count) for cluster, alone in self._alone.items()}
        return {cluster: suspect.batch for cluster, suspect in largest.items()}

    def blame(self, cluster: str, error: SparkJobFailed) -> None:
        """Count a job that failed over a file. Raises SparkJobFailed when the run has looked long enough."""
        self._blamed[cluster] = self._blamed.get(cluster, 0) + 1
        self._count(error)

    def require_none(self, tried_out: Collection[str]) -> None:
        """Raises SparkJobFailed, naming the first, when there are files of which nobody knows whether they are it.

        `tried_out`: clusters that got through a trial since.
        """
        for cluster, alone in self._alone.items():
            which = alone[0].path if len(alone) == 1 else f"{alone[0].path} and {len(alone) - 1} more"
            proof = _TRIED_OUT if cluster in tried_out else _NOT_KNOWN
            error = _nobody(alone[0].error, proof.replace("{which}", which))
            error.hint = f"{error.hint} {_IF_THE_FILE}".lstrip()
            raise error

    def _count(self, error: SparkJobFailed) -> None:
        self._failed += 1
        if self._failed > _MOST_FAILED:
            raise _nobody(error, f"More than {_MOST_FAILED} jobs failed in this run; the next one goes on")


def _nobody(error: SparkJobFailed, why: str) -> SparkJobFailed:
    return SparkJobFailed(f"{error.message} {why}.", hint=error.hint)
