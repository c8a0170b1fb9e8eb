"""Whether the table that files were loaded into is still that table, and what a person is told where it is not."""

from __future__ import annotations

from collections.abc import Callable

from app.catalog.local_look import is_missing
from app.catalog.names import parse_table_name
from app.config import Settings
from app.errors import TableChanged, TableNotFound
from app.services.context import IngestionInfo
from app.values import TableState


def require_same(ingestion: IngestionInfo, look: Callable[[], TableState]) -> TableState:
    """The table as `look` shows it. Raises TableChanged where it was dropped, or made again, after files were loaded
    into it, and what `look` raises; TableNotFound where none were.
    """
    try:
        state = look()
    except TableNotFound as gone:
        if ingestion.table_uuid is None:
            raise
        raise dropped(ingestion) from gone
    if ingestion.table_uuid not in {None, state.uuid}:
        raise TableChanged(
            f"Table {ingestion.table_name} was dropped and made again (UUID {state.uuid}, before"
            f" {ingestion.table_uuid}): the rows that were loaded are not in it.",
            hint=_way_on(ingestion),
        )
    return state


def surely_missing(settings: Settings, table_name: str) -> bool:
    """Whether this machine's own catalog has no table of that full name; other catalogs are not asked: False."""
    return is_missing(settings.home, parse_table_name(table_name))


def seen_dropped(settings: Settings, ingestion: IngestionInfo) -> TableChanged | None:
    """What to say of a table of this machine's own catalog that was dropped; other catalogs are not asked."""
    if ingestion.table_uuid is None or not is_missing(settings.home, parse_table_name(ingestion.table_name)):
        return None
    return dropped(ingestion)


def dropped(ingestion: IngestionInfo) -> TableChanged:
    return TableChanged(
        f"Table {ingestion.table_name} was dropped after files had been loaded into it.", hint=_way_on(ingestion)
    )


def _way_on(ingestion: IngestionInfo) -> str:
    return (
        "To load all of them again, load into another table; to go on with new files only:"
        f" autoloader ingestions resolve {ingestion.name} --accept-table"
    )
