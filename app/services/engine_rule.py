"""Which engine takes a batch: the ingestion's own, or with `engine: auto` the one that its size says. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from app.config import MIB, Settings
from app.schemas.ingestion import IngestionShape

EMBEDDED = "embedded"
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine's name, and a sentence that says why it is this one."""

    engine: str
    why: str


@dataclass(frozen=True, slots=True)
class Rule:
    """`small` takes batches of at most so many files and bytes, `large` all others. Without `auto` both are one."""

    small: str
    large: str
    max_files: int
    max_bytes: int

    @classmethod
    def of(cls, shape: IngestionShape, settings: Settings) -> Rule:
        policies = shape.policies
        return cls(
            EMBEDDED if shape.engine == AUTO else shape.engine,
            (shape.cluster or EMBEDDED) if shape.engine == AUTO else shape.engine,
            policies.embedded_max_files or settings.embedded_max_files,
            policies.embedded_max_bytes or settings.embedded_max_bytes,
        )

    @property
    def engines(self) -> tuple[str, ...]:
        """Each that a batch can come to."""
        return tuple(dict.fromkeys((self.small, self.large)))

    def choose(self, files: int, size: int) -> Choice:
        """The engine of a batch of so many files and bytes: the same one whenever it is asked."""
        if self.small == self.large:
            return Choice(self.small, f"engine: {self.small}")
        if files > self.max_files:
            return Choice(self.large, f"more than {self.max_files:,} files")
        if size > self.max_bytes:
            return Choice(self.large, f"more than {_megabytes(self.max_bytes)}")
        return Choice(self.small, f"at most {self.max_files:,} files and {_megabytes(self.max_bytes)}")


def _megabytes(size: int) -> str:
    return f"{size / MIB:,.0f} MiB" if size >= MIB else f"{size:,} bytes"
