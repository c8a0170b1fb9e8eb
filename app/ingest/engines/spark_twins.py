"""How many of the staged records have each of new names that differ only in case: by that one is chosen.

Samples do not tell: they show no more than some values of each key, and equal ones once. Such names are rare, and so
are counted by a job of their own, only where there are some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.ingest.engines.spark_rows import keys_sql, rescued_name
from app.ingest.engines.spark_stage import Stage
from app.ingest.evolution import twins_of
from app.ingest.formats.contract import NewColumn
from app.spark import literal, spark_errors
from app.values import SnapshotInfo


def counted(stage: Stage, snapshot: SnapshotInfo, new: Sequence[NewColumn]) -> Sequence[NewColumn]:
    """`new` with the records of those that differ only in case from another. What lies in a list or a map is not a key
    of what was rescued: it keeps the count of its samples.
    """
    twins = twins_of(new)
    if not twins:
        return new
    keys = sorted({name for twin in twins for name in (twin.name, twin.kept)})
    with spark_errors(stage.session.endpoint, str(stage.table.name)):
        rows = stage.rows(snapshot).where(f"{rescued_name(stage.names)} IS NOT NULL")
        some = rows.selectExpr(keys_sql(stage.names)).where(f"key IN ({', '.join(map(literal, keys))})")
        told = {row["key"]: int(row["count"]) for row in some.groupBy("key").count().collect()}
    return _with(told, new)


def _with(told: dict[str, int], new: Sequence[NewColumn]) -> list[NewColumn]:
    """Each name has its count once, however many files brought it."""
    left = dict(told)
    names = [".".join((*one.parent, one.column.name)) for one in new]
    return [
        replace(one, records=left.pop(name, 0)) if name in told else one for one, name in zip(new, names, strict=True)
    ]
