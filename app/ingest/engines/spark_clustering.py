"""How the rows of a batch are shared out among data files: few of them, without moving a row.

Spark writes one data file for each task, and on a large cluster cuts even a small batch into as many tasks as it has
cores. A partitioned table needs nothing of ours: Iceberg has rows of one partition brought to one task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.catalog.seen import Seen
from app.values import BatchFile

_EACH = 64 * 1024 * 1024  # bytes of source in one data file
_MOST = 4 * _EACH  # beyond it, to have few tasks costs more than small files do


def clustered(rows: Any, files: Sequence[BatchFile], look: Seen) -> Any:
    """The rows of a small batch, brought to as few tasks as its bytes need; all others as they are."""
    size = sum(file.size for file in files)
    if size > _MOST or not look.is_unpartitioned:
        return rows
    return rows.coalesce(max(1, -(-size // _EACH)))
