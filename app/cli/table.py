"""`autoloader table …`: look into a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.opening import local_settings, opened
from app.cli.options import Json, Snapshot, TableName
from app.cli.output import Output
from app.cli.text import moment, number, plural, safe, size

if TYPE_CHECKING:
    from app.services.table_service import Description, Rows

app = typer.Typer(no_args_is_help=True, help="Tables: describe one, show rows, ask it SQL.")

Count = Annotated[int, typer.Option("--rows", "-n", min=1, help="How many rows.")]
Most = Annotated[int, typer.Option("--rows", "-n", min=1, help="Most rows of the answer.")]
Query = Annotated[
    str, typer.Argument(metavar="QUERY", help="One SELECT, in DuckDB's SQL; the table has its name there.")
]


@app.command()
def show(table: TableName, as_json: Json = False) -> None:
    """Describe a table: columns, partition, snapshot, size.

    Example: autoloader table show shop.orders
    """
    from app.services.table_service import TableService

    out = Output(as_json)
    with opened(local_settings("table show")) as at:
        found = TableService(at.database, at.settings).show(table)
    columns = [{"name": column.name, "type": str(column.type)} for column in found.schema]
    document = {
        "name": found.name,
        "uuid": found.uuid,
        "location": found.location,
        "format_version": found.format_version,
        "columns": columns,
        "partition_by": found.partition_by,
        "properties": found.properties,
        "head": found.head,
        "snapshots": found.snapshots,
        "staged": found.staged,
        "records": found.records,
        "data_files": found.data_files,
        "bytes": found.byte_count,
        "updated_at": found.updated_at,
    }
    out.answer(document, lambda: _show(out, found))


def _show(out: Output, found: Description) -> None:
    out.fields(
        [
            ("table", found.name),
            ("rows", number(found.records)),
            ("size", f"{size(found.byte_count)} in {plural(found.data_files or 0, 'file')}"),
            ("snapshot", found.head.snapshot_id if found.head else "none yet"),
            ("snapshots", found.snapshots),
            ("staged", f"{plural(found.staged, 'snapshot')} more, which no reader sees" if found.staged else ""),
            ("partition", ", ".join(found.partition_by) or "none"),
            ("changed", moment(found.updated_at)),
            ("location", found.location),
            ("uuid", found.uuid),
        ]
    )
    out.line()
    out.table(("column", "type"), [(column.name, str(column.type)) for column in found.schema])


@app.command()
def head(table: TableName, rows: Count = 10, snapshot: Snapshot = None, as_json: Json = False) -> None:
    """Show the first rows of a table.

    Example: autoloader table head shop.orders__rejects -n 5
    """
    from app.services.table_service import TableService

    out = Output(as_json)
    with opened(local_settings("table head")) as at:
        found = TableService(at.database, at.settings).head(table, rows, snapshot)
    _answer(out, found)


@app.command()
def sql(table: TableName, query: Query, rows: Most = 1000, snapshot: Snapshot = None, as_json: Json = False) -> None:
    """Ask a table one SELECT of DuckDB's SQL.

    Example: autoloader table sql shop.orders "SELECT count(*) FROM orders"
    """
    from app.services.table_service import TableService

    out = Output(as_json)
    with opened(local_settings("table sql")) as at:
        found = TableService(at.database, at.settings).sql(table, query, snapshot, most=rows)
    _answer(out, found)
    if found.more:
        out.note(f"There are more rows than these {number(rows)}: --rows says how many are shown.")


def _answer(out: Output, found: Rows) -> None:
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    document = {"columns": found.columns, "rows": rows, "more": found.more}
    out.answer(document, lambda: rows_table(out, found))


def rows_table(out: Output, found: Rows) -> None:
    """Rows under their names; numbers to the right."""
    first = found.rows[0] if found.rows else ()
    right = [at for at, value in enumerate(first) if isinstance(value, int | float) and not isinstance(value, bool)]
    out.table([safe(name) for name in found.columns], found.rows, right=right)
