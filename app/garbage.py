"""How often Python looks for garbage in cycles, in processes that hold many small objects for a while."""

from __future__ import annotations

import gc

_NEW = 100_000  # objects between two looks; Python's own is 700
_ROUNDS = 20


def collect_seldom() -> None:
    """Look for cycles a hundred times more seldom. Call it before much is imported: imports count, too.

    A run holds tens of thousands of rows, files and answers that are no cycles, and every look counts them through:
    measured, a fifth of what the main process of a load of 20,000 files took.
    """
    gc.set_threshold(_NEW, _ROUNDS, _ROUNDS)
