"""A run that read files and loaded not one record of them: why, and what can be done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.errors import AllRejected
from app.services.context import IngestionInfo
from app.services.metrics import all_rejected
from app.values import RejectSample

_NULL = "null-in-required: "  # the formats' word, and the column's name


def told(
    ingestion: IngestionInfo, found: Mapping[str, Any], first: tuple[str, RejectSample] | None
) -> AllRejected | None:
    """The reason that such a run keeps; None for every other run.

    `found` are the run's metrics. `first` is one of its rejected records with the path of its file; None where
    another process wrote them.
    """
    if not all_rejected(found):
        return None
    count = found["rejected"]
    records = "The only record" if count == 1 else f"All {count:,} records"
    table = ingestion.table_name.removeprefix("local.")
    path, sample = first or ("", None)
    why = f", as in {path} ({sample.text})" if sample else ""
    return AllRejected(
        f"{records} of this run's files {'was' if count == 1 else 'were'} rejected{why}.",
        hint=f"{_cause(ingestion.table_name, sample)}All of them: autoloader table head {table}__rejects. Their files"
        " are not read again: once the cause is mended, deliver the records in new files.",
    )


def _cause(table: str, sample: RejectSample | None) -> str:
    """What to mend, where the reason tells it."""
    if sample is None or not sample.reason.startswith(_NULL):
        return ""
    column = sample.reason.removeprefix(_NULL)
    return (
        f"The column {column} is NOT NULL in {table}, and they have no value for it: deliver one, or let it be null"
        f" (ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL). "
    )
