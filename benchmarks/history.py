"""A table with a long history: one load is the product's, the other snapshots are copies of its own.

To commit thousands of times would measure the disk, for an hour. What a commit does with the history afterwards is the
same: the snapshots stand in the table's metadata, one after the other.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks import product

SNAPSHOTS = 2_000


class History:
    """A home with the table, and a landing folder that gets one file more for each side in each round."""

    def __init__(self, folder: Path, count: int) -> None:
        self.home = folder / "home"
        self.landing = folder / "landing"
        self.landing.mkdir(parents=True)
        self._delivered = 0
        self.deliver()
        product.fresh_load(str(self.landing), self.home, 1)
        _lengthen(_metadata_file(self.home), count)

    def deliver(self) -> Path:
        self._delivered += 1
        file = self.landing / f"{self._delivered}.jsonl"
        file.write_text(json.dumps({"id": self._delivered}) + "\n", encoding="utf-8")
        return file


def _metadata_file(home: Path) -> Path:
    with closing(sqlite3.connect(home / "catalog.db")) as connection:
        name = product.TABLE.rpartition(".")[2]
        query = "SELECT metadata_location FROM iceberg_tables WHERE table_name = ?"
        return Path(connection.execute(query, (name,)).fetchone()[0].removeprefix("file://"))


def _lengthen(file: Path, count: int) -> None:
    metadata: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    last = next(one for one in metadata["snapshots"] if one["snapshot-id"] == metadata["current-snapshot-id"])
    foreign = {key: value for key, value in last["summary"].items() if not key.startswith(("autoloader", "published"))}
    for number in range(1, count + 1):
        step = {"sequence-number": last["sequence-number"] + 1, "timestamp-ms": last["timestamp-ms"] + 1}
        ids = {"snapshot-id": number, "parent-snapshot-id": last["snapshot-id"]}
        last = last | step | ids | {"summary": foreign}
        metadata["snapshots"].append(last)
        metadata["snapshot-log"].append({"snapshot-id": number, "timestamp-ms": last["timestamp-ms"]})
    metadata["current-snapshot-id"] = metadata["refs"]["main"]["snapshot-id"] = last["snapshot-id"]
    metadata["last-sequence-number"], metadata["last-updated-ms"] = last["sequence-number"], last["timestamp-ms"]
    file.write_text(json.dumps(metadata), encoding="utf-8")
