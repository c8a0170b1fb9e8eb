"""DataFrames put together: layer upon layer, group beside group."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from app.values import BatchFile

Kind = TypeVar("Kind", bound=Hashable)


def through(layers: Iterable[Sequence[str]], rows: Any) -> Any:
    """The rows, each layer of expressions selected from the one before."""
    for layer in layers:
        rows = rows.selectExpr(*layer)
    return rows


def together(
    files: Sequence[BatchFile], kinds: Mapping[int, Kind], group: Callable[[Kind, Sequence[BatchFile]], Any]
) -> Any:
    """One DataFrame of what `group` makes of the files of each kind; `kinds` is by the id of the file."""
    groups: dict[Kind, list[BatchFile]] = {}
    for file in files:
        groups.setdefault(kinds[file.file_id], []).append(file)
    whole = None
    for kind, some in groups.items():
        rows = group(kind, some)
        whole = rows if whole is None else whole.union(rows)
    return whole
