"""How long a run would take, by what past runs of the same ingestion took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_ALIKE = 0.03  # below (sizes within a factor of 1.5), past runs tell nothing of what a batch costs by itself
_SLOWEST = 2e-7  # seconds of a byte, 5 MB/s: what small alike runs took beyond is taken to be of the batches
_Load = tuple[int, int, float]  # batches, bytes, seconds of one run


def duration(past: Iterable[Mapping[str, Any]], *, listed: int, batches: int, size: int) -> float | None:
    """Seconds of a run that lists `listed` objects and loads `batches` batches of `size` bytes in all.

    `past` are the metrics of past runs. None where none of them loaded anything.
    """
    objects, listing, loads = 0, 0.0, list[_Load]()
    for metrics in past:
        seconds: Mapping[str, float] = metrics.get("seconds", {})
        objects += int(metrics.get("discovered", {}).get("listed", 0))
        listing += seconds.get("discover", 0.0)
        count, spent = int(metrics.get("loaded_bytes", 0)), seconds.get("load", 0.0)
        if count and spent > 0:  # the others say nothing of loading
            loads.append((int(metrics.get("batches", 1)), count, spent))
    if not loads:
        return None
    of_batch, of_byte = _costs(loads)
    known = max(size for _, size, _ in loads)
    beyond = max(of_byte, min(_SLOWEST, *(spent / size for _, size, spent in loads)))  # of more than was ever loaded
    load = of_batch * batches + of_byte * min(size, known) + beyond * max(0, size - known)
    return round(listing / max(1, objects) * listed + load, 3)


def _costs(loads: Sequence[_Load]) -> tuple[float, float]:
    """Seconds of a batch, and of a byte, neither below 0: of all that fit the loads, the two whose squared errors are
    least, each as a part of what its load took.
    """
    parts = [(batches / spent, size / spent) for batches, size, spent in loads]
    xx, yy = sum(x * x for x, _ in parts), sum(y * y for _, y in parts)
    xy, x1, y1 = sum(x * y for x, y in parts), sum(x for x, _ in parts), sum(y for _, y in parts)
    apart = xx * yy - xy * xy
    if apart <= _ALIKE * xx * yy:
        return _of_alike(loads)
    of_batch, of_byte = (x1 * yy - y1 * xy) / apart, (y1 * xx - x1 * xy) / apart
    if of_batch < 0:
        return 0.0, y1 / yy
    return (x1 / xx, 0.0) if of_byte < 0 else (of_batch, of_byte)


def _of_alike(loads: Sequence[_Load]) -> tuple[float, float]:
    """All is by the byte, as far as that is no slower than any engine of ours."""
    batches, size, spent = (sum(column) for column in zip(*loads, strict=True))
    of_byte = min(spent / size, _SLOWEST)
    return (spent - of_byte * size) / max(1, batches), of_byte
