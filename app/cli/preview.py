"""`autoloader preview`: what a load would find, without writing anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.exits import Exit
from app.cli.opening import backend
from app.cli.options import Json
from app.cli.output import Output
from app.cli.shape_options import shape_options
from app.cli.text import listed, plural, safe, size

if TYPE_CHECKING:
    from app.services.preview_service import Preview

Seen = tuple[object, object, object, object]  # column, type, the file that first had it, a value of it

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Folder, file, s3://, az:// or gs:// address.")]
Rows = Annotated[int, typer.Option("--rows", min=0, max=20, help="Sample rows to show.")]


@shape_options("source", "format")
def preview(source: Source, given: dict[str, Any], *, rows: Rows = 5, as_json: Json = False) -> None:
    """Show the files, the schema with its evidence and some rows of SOURCE; writes nothing.

    Exit code 1: nothing could be read.

    Example: autoloader preview /data/orders --rows 10
    """
    out = Output(as_json)
    # Only a connection needs the ledger.
    with backend(migrated="connection" in given.get("source", {})) as at:
        found = at.preview(source, given)
    document = {
        "format": found.format,
        "because": found.because,
        "files": found.files,
        "bytes": found.byte_count,
        "more": found.more,
        "left_out": found.left_out,
        "sampled": found.sampled,
        "schema": found.schema,
        "evidence": found.evidence,
        "rows": found.rows[:rows],
        "problems": found.problems,
        "outliers": found.outliers,
        "hints": found.hints,
        "rejected": found.rejected,
        "twins": found.twins,
    }
    out.answer(document, lambda: _show(out, found, rows))
    raise typer.Exit(Exit.ERROR if _unread(found) else Exit.OK)


def _unread(found: Preview) -> bool:
    """Whether the files of the sample gave no column and no row, for reasons that are told with it."""
    return not found.schema and not found.rows and bool(found.problems or found.rejected)


def _show(out: Output, found: Preview, rows: int) -> None:
    more = "more than " if found.more else ""
    out.line(
        f"{more}{plural(found.files, 'file')}, {size(found.byte_count)}; format {found.format} ({safe(found.because)})"
    )
    if found.left_out:
        out.line(f"left out: {listed(found.left_out)}")
    out.line()
    if found.schema:
        _show_schema(out, found)
    elif _unread(found):
        looked = plural(len(found.sampled), "file")
        out.line(f"Nothing could be read as {found.format}; looked at: {looked}. Why, of each:", "red")
    else:
        out.line("No column is known: what was looked at has no value.")
    for sentence in (
        *found.hints,
        *(f"By the sample, {one.sentence}" for one in found.twins),
        *(one.sentence for one in found.outliers),
        *(one.sentence for one in found.rejected),
    ):
        out.line(safe(sentence), "yellow")
    for problem in found.problems:
        out.line(f"{safe(problem.path)}: {safe(problem.reason)}: {safe(problem.error)}", "yellow")
    if _unread(found):
        out.line("Try another --format" + (", or none." if found.because == "as given" else "."))
    if found.rows and rows:
        out.line()
        names = list(dict.fromkeys(name for row in found.rows[:rows] for name in row))
        out.table(names, [[row.get(name) for name in names] for row in found.rows[:rows]])


def _show_schema(out: Output, found: Preview) -> None:
    evidence_table(
        out, [(one.column, one.type, one.path.rpartition("/")[2], one.example) for one in found.evidence], found.schema
    )
    out.line()
    out.line(f"--schema {_quoted(found.schema)}")


def evidence_table(out: Output, seen: Sequence[Seen], schema: str) -> None:
    """Each type that was seen, column by column; and of a column that had several, which one `schema` makes of them."""
    types: dict[object, list[str]] = {}
    for column, kind, *_ in seen:
        types.setdefault(column, []).append(safe(kind))
    columns = list(types)
    head = ("column", "values seen as", "first in", "example")
    out.table(head, sorted(seen, key=lambda one: columns.index(one[0])))
    mixed = {column: kinds for column, kinds in types.items() if len(kinds) > 1}
    if not mixed:
        return
    from app.datatypes import parse_schema

    made = {column.name: str(column.type) for column in parse_schema(schema)} if schema else {}
    for column, kinds in mixed.items():
        if column in made:
            told = f"{', '.join(kinds[:-1])} and {kinds[-1]}"
            out.line(f"{safe(column)}: values were seen as {told}; the column is {made[column]}.", "yellow")


def _quoted(schema: str) -> str:
    from app.cli.text import shell

    return shell(safe(schema))
