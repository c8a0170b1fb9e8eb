"""Rows that a run loaded and that hold nothing: unknown keys are left out on purpose, whole records seldom are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.values import BatchFile, FileOutcome


@dataclass(slots=True)
class BlankRows:
    """Of one process's part of a run. `first` is the path of a file with such rows."""

    rows: int = 0
    files: int = 0
    first: str = ""

    def add(self, batch_files: Sequence[BatchFile], outcomes: Sequence[FileOutcome]) -> None:
        """Count those of a batch that landed."""
        blank = {outcome.file_id: outcome.blank for outcome in outcomes if outcome.blank}
        self.rows += sum(blank.values())
        self.files += len(blank)
        if not self.first:
            self.first = next((file.path for file in batch_files if file.file_id in blank), "")

    def sentence(self, table: str) -> str:
        """For a person; empty when there are none."""
        if not self.rows:
            return ""
        rows = "1 row has" if self.rows == 1 else f"{self.rows:,} rows have"
        files = self.first if self.files == 1 else f"{self.files:,} files, the first is {self.first}"
        records = "its record" if self.rows == 1 else "their records"
        return (
            f"{rows} no value in any column of {table} (in {files}): on_new_columns is ignore, and no key of {records}"
            " that holds a value is a column."
        )
