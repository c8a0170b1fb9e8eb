"""Parquet, embedded.

Columns are matched by name, exactly (`Id` is not `id`); `parquet_cast` says what becomes of other types. A column of
the table that the file lacks is null; a column or struct member of the file that the table lacks is rescued and, where
allowed, added. A file none of whose columns the table knows fails. Files are grouped by their footers: all files of one
layout are one `read_parquet`, in which DuckDB's own matching of columns (it ignores case) never comes to bear.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from app.datatypes import Column, DataType, can_be_named, duckdb_name, duckdb_text, duckdb_type
from app.errors import InvalidInput
from app.ingest.formats.base import (
    FILE,
    RAW_LIMIT,
    REJECT,
    RESCUED,
    TOKEN,
    InferJob,
    InferResult,
    Job,
    NewColumn,
    ParseFile,
    ReadJob,
    file_id_sql,
)
from app.ingest.formats.one_case import of_another_table
from app.ingest.formats.parquet_cast import Misfit, as_json, as_object, fit, mended, to_json
from app.ingest.formats.parquet_footer import Footer, read_footer
from app.ingest.formats.parquet_infer import infer_parquet
from app.ingest.formats.parquet_names import roots
from app.ingest.formats.parquet_types import SourceType, source_type
from app.ingest.formats.rows_sql import nothing, rejects_of, rescued
from app.ingest.formats.streams import BadFile, read_raw

_OPTIONS = frozenset({"type", "compression"})
MAX_COLUMNS = 10_000
_ROW_NUMBER = "file_row_number"  # an option of DuckDB's, and the column that it adds: a file may have one of that name


@dataclass(slots=True)
class Layout:
    """Files with the same columns, in the same order, of the same types. `rows` are those of all of them."""

    names: tuple[str, ...]
    types: tuple[SourceType, ...]
    paths: dict[int, str] = field(default_factory=dict)
    rows: int = 0


class ParquetFormat:
    name = "parquet"

    def check(self, options: Mapping[str, object]) -> None:
        for key in options:
            if key not in _OPTIONS:
                raise InvalidInput(f"The format parquet has no option {key!r}.", hint="Parquet needs none.")

    def open(self, job: ReadJob) -> ParquetReading:
        self.check(job.options)
        return ParquetReading(job, read_layouts(job))

    def infer(self, job: InferJob) -> InferResult:
        self.check(job.options)
        return infer_parquet(job, read_layouts(job))


PARQUET = ParquetFormat()


def read_layouts(job: Job) -> list[Layout]:
    """The files that can be read, by layout; those that cannot are reported."""
    layouts: dict[str, Layout] = {}
    for file in job.files:
        try:
            path = _plain(job, file)
            footer = read_footer(path, file, job.limits)
            if footer.layout not in layouts:
                layouts[footer.layout] = _describe(job, file, path, footer)
            layouts[footer.layout].paths[file.file_id] = path
            layouts[footer.layout].rows += footer.rows
        except BadFile as bad:
            job.fail(file, bad.reason, bad.error, bad.state)
        except OSError as exc:
            job.fail(file, "missing", f"{file.path} cannot be read: {exc.strerror}.")
    return list(layouts.values())


def _plain(job: Job, file: ParseFile) -> str:
    if file.compression == "none":
        return job.safe_path(file)
    target = Path(job.folder) / "plain" / str(file.file_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        for chunk in read_raw(file, job.limits):
            out.write(chunk)
    return str(target)


def _describe(job: Job, file: ParseFile, path: str, footer: Footer) -> Layout:
    if footer.width > MAX_COLUMNS:
        sentence = f"{file.path} has {footer.width:,} columns; at most {MAX_COLUMNS:,} are read."
        raise BadFile("too-large", sentence, "QUARANTINED")
    try:
        relation = job.connection.sql(f"SELECT * FROM {_read([path])}")
        nodes = roots(job.connection, path, relation.columns)
    except duckdb.Error as exc:
        first = str(exc).splitlines()[0]
        raise BadFile("not-this-format", f"{file.path} cannot be read as Parquet: {first}") from exc
    types = tuple(source_type(kind, node) for kind, node in zip(relation.types, nodes, strict=True))
    return Layout(tuple(node.name for node in nodes), types)


def _read(paths: Sequence[str], extra: str = "") -> str:
    listed = ", ".join(map(duckdb_text, paths))
    return f"read_parquet([{listed}], hive_partitioning=false, union_by_name=false{extra})"


class ParquetReading:
    """One opened set of Parquet files (see `base.Reading`)."""

    def __init__(self, job: ReadJob, layouts: Sequence[Layout]) -> None:
        self.job, self.layouts = job, [layout for layout in layouts if self._known(job, layout)]
        self.rejects_rescued = False

    @staticmethod
    def _known(job: ReadJob, layout: Layout) -> bool:
        def told(path: str) -> str:
            return of_another_table(path, layout.names, job.schema.names, "it has")

        if not told(""):
            return True
        for file in job.files:
            if file.file_id in layout.paths:
                job.fail(file, "not-this-format", told(file.path))
        return False

    def rows(self, files: Sequence[ParseFile]) -> str:
        selects = [_select(layout, paths, self.job) for layout, paths in self._parts(files)]
        return " UNION ALL ".join(selects) or nothing(self.job.schema)

    def _parts(self, files: Sequence[ParseFile]) -> Iterator[tuple[Layout, list[str]]]:
        wanted = {file.file_id for file in files} - set(self.job.failures)
        for layout in self.layouts:
            if paths := [path for file_id, path in layout.paths.items() if file_id in wanted]:
                yield layout, paths

    def rejects(self, files: Sequence[ParseFile]) -> str:
        selects = [_select(layout, paths, self.job, located=True) for layout, paths in self._parts(files)]
        return " UNION ALL ".join(rejects_of(select, rescued_too=self.rejects_rescued) for select in selects)

    def rescued_rejects(self) -> None:
        self.rejects_rescued = True

    def new_columns(self, relation: str) -> Sequence[NewColumn]:
        found: list[NewColumn] = []
        for layout in self.layouts:
            unknown = list(_unknown(self.job.schema.columns, layout))
            for path, kind in unknown:
                seen = self._seen(relation, ".".join(path), layout)
                if seen:
                    file_id, example, records = seen
                    found.append(NewColumn(Column(path[-1], kind), file_id, example, path[:-1], records))
        return found

    def _seen(self, relation: str, key: str, layout: Layout) -> tuple[int, str, int] | None:
        """The first file of the layout that rescued a value under `key`, the value, and how many records have one."""
        pointer = duckdb_text("/" + key.replace("~", "~0").replace("/", "~1"))
        ids = ", ".join(map(str, layout.paths))
        rows = self.job.connection.execute(
            f"SELECT min(file_id), arg_min(left(json_extract_string(rescued, {pointer}), 200), file_id), count(*)"
            f" FROM {relation} WHERE file_id IN ({ids}) AND json_exists(rescued, {pointer})"
        ).fetchall()
        file_id, example, records = rows[0]
        return None if file_id is None else (int(file_id), str(example), int(records))

    def blame(self, file: ParseFile, error: str) -> tuple[str, str]:
        first = error.strip().splitlines()[0] if error.strip() else "unknown error"
        return "undecodable", f"{file.path} holds Parquet pages that cannot be read: {first}"

    def close(self) -> None:
        self.layouts = []


def _unknown(columns: Sequence[Column], layout: Layout) -> Iterator[tuple[tuple[str, ...], DataType]]:
    known = {column.name: column for column in columns}
    lowered = {column.name.lower() for column in columns}
    for name, source in zip(layout.names, layout.types, strict=True):
        if name in known:
            yield from _unknown_members(known[name].type, source, (name,))
        elif name.lower() not in lowered and source.type and can_be_named(name):
            yield (name,), source.type


def _unknown_members(
    kind: DataType, source: SourceType, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], DataType]]:
    if kind.name != "struct":
        return  # what does not fit inside a list or map is rescued whole; its type is the table's to change
    known = {member.name: member for member in kind.fields}
    lowered = {member.name.lower() for member in kind.fields}
    for one in (member for member in source.members if member.own) if source.is_like(kind) else ():
        if one.name in known:
            yield from _unknown_members(known[one.name].type, one.kind, (*path, one.name))
        elif one.name.lower() not in lowered and one.kind.type and can_be_named(one.name):
            yield (*path, one.name), one.kind.type


def _keys(paths: Iterable[tuple[str, ...]]) -> list[str]:
    """Of the rescued values, no two alike: each path with dots, its names quoted where it came to one before it."""
    keys: dict[str, None] = {}
    for path in paths:
        key = ".".join(path)
        if key in keys:
            key = ".".join(f"`{name}`" if "." in name else name for name in path)
        while key in keys:
            key += "`"
        keys[key] = None
    return list(keys)


def _select(layout: Layout, paths: Sequence[str], job: ReadJob, *, located: bool = False) -> str:
    """The SELECT of `base.Reading.rows` over files of one layout; located: with `line` and `raw` beside."""
    schema = job.schema
    at = {name: index for index, name in reversed(list(enumerate(layout.names)))}
    values: list[str] = []
    out: list[str] = []
    misfits: list[Misfit] = []
    reject: list[str] = []
    for number, column in enumerate(schema):
        index = at.get(column.name)
        sql = f"CAST(NULL AS {duckdb_type(column.type)})"
        if index is not None:
            source = layout.types[index].within(column.type) if job.ignores else layout.types[index]
            fitted = fit(f"c{index}", source, column.type, (column.name,))
            sql = fitted.sql
            misfits += fitted.misfits
        values.append(f"{sql} AS v{number}")
        out.append(f"v{number} AS {duckdb_name(column.name)}")
        if column.required:
            reject.append(f"WHEN v{number} IS NULL THEN {duckdb_text(f'null-in-required: {column.name}')}")
    known = {at[column.name] for column in schema if column.name in at}
    for index, (name, source) in enumerate(zip(layout.names, layout.types, strict=True)):
        if index not in known and not job.ignores:
            misfits.append(Misfit((name,), f"c{index} IS NOT NULL", to_json(f"c{index}", source)))
    names_of = _keys([misfit.path for misfit in misfits])
    entries = [(name, misfit.condition, misfit.value) for name, misfit in zip(names_of, misfits, strict=True)]
    values += [f"{file_id_sql('filepath')} AS {FILE}", f"{rescued(entries)} AS {RESCUED}"]
    rejected = f"CASE {' '.join(reject)} END" if reject else "CAST(NULL AS VARCHAR)"
    columns = [f"c{index}" for index in range(len(layout.names))]
    numbered = located and _ROW_NUMBER not in {name.lower() for name in layout.names}
    extra = f", filename='__autoloader_path_{TOKEN}'" + (f", {_ROW_NUMBER}=true" if numbered else "")
    names = ", ".join([*columns, *(["rownumber"] if numbered else []), "filepath"])
    more = ", line, raw" if located else ""
    if located:
        shown = [index for index in range(len(layout.names)) if index in known or not job.ignores]
        raw = as_object((layout.names[index], as_json(f"c{index}", layout.types[index])) for index in shown)
        raw = mended(raw) if any(layout.types[index].odd for index in shown) else raw
        line = "rownumber + 1" if numbered else "CAST(NULL AS BIGINT)"
        values += [f"{line} AS line", f"left({raw}, {RAW_LIMIT // 4}) AS raw"]
    inner = f"SELECT {', '.join(values)} FROM {_read(paths, extra)} AS t({names})"
    told = ", ".join([*out, FILE, RESCUED, f"{rejected} AS {REJECT}"])
    return f"SELECT {told}{more} FROM ({inner})"
