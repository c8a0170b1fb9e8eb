"""What a shape says that cannot work, found before anything is stored, without asking a store or a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from app.catalog.names import REJECTS_SUFFIX
from app.datatypes import TableSchema, clash, parse_schema, without_clashes
from app.errors import InvalidInput
from app.ingest.discovery import DiscoveryRules
from app.ingest.engines.embedded_input import format_options, row_schema
from app.schemas.ingestion import DestinationShape, FormatShape, IngestionShape
from app.services import engine_said


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that cannot be. `text` is a sentence; `place` is where the shape says it."""

    place: tuple[str, ...]
    text: str
    hint: str = ""

    @property
    def sentence(self) -> str:
        return f"{'.'.join(self.place)}: {self.text[:1].lower()}{self.text[1:]}"


def problems(shape: IngestionShape) -> list[Problem]:
    """Everything that is wrong, not only the first."""
    engine = (Problem(("cluster",), *told) for told in engine_said.contradictions(shape))
    return [*engine, *_format(shape.format), *_source(shape), *_destination(shape.destination), *_columns(shape)]


def declared(shape: IngestionShape) -> TableSchema | None:
    """The columns that the shape says, and those that each row gets; None where the first run infers them."""
    if not shape.columns.columns:
        return None
    return with_row_columns(shape, parse_schema(shape.columns.columns))


def with_row_columns(shape: IngestionShape, schema: TableSchema) -> TableSchema:
    """The columns of a new table for these ones of the source."""
    return TableSchema((*without_row_columns(shape, schema), *row_schema(shape.row_columns)))


def without_row_columns(shape: IngestionShape, schema: TableSchema) -> TableSchema:
    """What is named like a column that each row gets, in full too, cannot be one itself: its values are rescued."""
    added = row_schema(shape.row_columns)
    taken = {column.name.lower() for column in added}
    return TableSchema(without_clashes(added, (column for column in schema if column.name.lower() not in taken)))


def require_name(name: str) -> None:
    """Raise InvalidInput for a name of an ingestion that could not be typed, listed or be part of an address."""
    if name != name.strip() or "/" in name or not name.isprintable():
        raise InvalidInput(
            f"{name!r} is not a name for an ingestion.",
            hint="Leave out slashes, control characters, and blanks at its beginning and end.",
        )


def require_partitions(shape: IngestionShape, schema: TableSchema) -> None:
    """Raise InvalidInput for a partition that a table with these columns cannot have."""
    if shape.destination.partition_by:
        from app.catalog.partitions import check_partitions  # brings the catalogs' library

        check_partitions(shape.destination.partition_by, schema)


def _format(shape: FormatShape) -> Iterator[Problem]:
    options = format_options(shape)
    if not options:
        return
    from app.ingest.engines.parse_job import format_named  # brings the parser's libraries

    try:
        format_named(shape.type).check(options)
    except InvalidInput as error:
        yield Problem(("format",), error.message, error.hint)


def _source(shape: IngestionShape) -> Iterator[Problem]:
    try:
        DiscoveryRules.of(shape.source, local_min_age_seconds=0.0)
    except InvalidInput as error:
        yield Problem(("source",), error.message, error.hint)


def _destination(shape: DestinationShape) -> Iterator[Problem]:
    if shape.table.endswith(REJECTS_SUFFIX):
        yield Problem(
            ("destination", "table"),
            f"{shape.table!r} is the name of a reject table: it belongs to {shape.table.removesuffix(REJECTS_SUFFIX)}.",
            f"Choose a name that does not end in {REJECTS_SUFFIX}.",
        )


def _columns(shape: IngestionShape) -> Iterator[Problem]:
    row_columns = row_schema(shape.row_columns)
    added = [column.name.lower() for column in row_columns]
    twice = [name for name, count in Counter(added).items() if count > 1]
    if twice:
        yield Problem(("row_columns",), f"Two of them have the name {twice[0]!r}.", "Give each its own name.")
        return
    own = parse_schema(shape.columns.columns) if shape.columns.columns else TableSchema()
    if twins := own.twins():
        yield Problem(
            ("columns", "columns"),
            f"The column {twins[1]} is named as {twins[0]} is, but for its case: no engine loads a table with both.",
            "Leave one of them out, or give it another name.",
        )
        return
    if name := clash(own):
        yield Problem(
            ("columns", "columns"),
            f"{name} is the full name of a column, and of what is inside another: Iceberg has no such table.",
            "Leave one of them out: its values are kept as rescued data.",
        )
        return
    taken = [column.name for column in own if column.name.lower() in added]
    if taken:
        yield Problem(
            ("columns", "columns"),
            f"{', '.join(taken)} is the name of a row column.",
            "Leave it out, or give the row column another name: row_columns, --row-column.",
        )
        return
    if name := clash((*own, *row_columns)):
        yield Problem(
            ("row_columns",),
            f"{name} is the full name of a row column, and of what is inside another: Iceberg has no such table.",
            "Give the row column another name: row_columns, --row-column.",
        )
        return
    yield from _partitions(shape)


def _partitions(shape: IngestionShape) -> Iterator[Problem]:
    """Where the columns are not known yet, each field is judged for itself, and may name a column that comes."""
    texts = shape.destination.partition_by
    if not texts:
        return
    from app.catalog.partitions import NoSuchColumn, check_partitions  # brings the catalogs' library

    schema = declared(shape)
    for some in [texts] if schema else [(text,) for text in texts]:
        try:
            check_partitions(some, schema or with_row_columns(shape, TableSchema()))
        except NoSuchColumn as error:
            if schema:
                yield Problem(("destination", "partition_by"), error.message, error.hint)
        except InvalidInput as error:
            yield Problem(("destination", "partition_by"), error.message, error.hint)
