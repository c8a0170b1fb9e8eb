"""Batches that wait for a cluster which cannot be used now, while a run goes on with those that need none."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.errors import AutoloaderError, SparkRefused, SparkSessionLost, SparkUnavailable
from app.values import Batch

AWAY = (SparkUnavailable, SparkRefused, SparkSessionLost)  # what says that a cluster cannot be used now


@dataclass(slots=True)
class PutOff:
    """Of one run. `first` is why it began to put batches off; it asks that cluster no more."""

    first: AutoloaderError | None = None
    cluster: str = ""
    batches: int = 0
    files: int = 0
    ids: set[object] = field(default_factory=set)

    def add(self, batch: Batch, cluster: str, error: AutoloaderError) -> None:
        """Count a batch, once."""
        self.first, self.cluster = self.first or error, cluster
        if batch.id not in self.ids:
            self.ids.add(batch.id)
            self.batches += 1
            self.files += batch.file_count

    @property
    def sentence(self) -> str:
        """What waits and why, for a person; empty when nothing does."""
        if self.first is None:
            return ""
        files = "1 file waits" if self.files == 1 else f"{self.files:,} files wait"
        within = "1 large batch" if self.batches == 1 else f"{self.batches:,} large batches"
        return f"{files} in {within} for the cluster {self.cluster}: {self.first}"
