"""The schema of a bounded sample of CSV files: names from the headers, types from the texts, with the evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from app.datatypes import Column, DataType, TableSchema, can_be_named, primitive
from app.ingest.formats.base import InferJob, InferResult, ParseFile
from app.ingest.formats.contract import Evidence
from app.ingest.formats.csv_head import CsvHead, HeadReader, column_names
from app.ingest.formats.csv_options import CsvDialect
from app.ingest.formats.csv_records import CsvRecord, read_records
from app.ingest.formats.streams import BadFile, read_chunks
from app.ingest.formats.strict_text import ladder

_FILE_BYTES = 8 * 1024 * 1024  # of one file: types show early, and the exact reader takes a second for 50 MB
_EXAMPLE = 200


@dataclass(slots=True)
class _Sample:
    """What was read of one file: one list of texts (null: none) for each name."""

    path: str
    names: tuple[str, ...]
    texts: list[list[str | None]]


@dataclass(slots=True)
class _Seen:
    """What all files together showed of one column; `types` in the order they were met."""

    fits: dict[str, bool] = field(default_factory=dict)
    types: dict[str, tuple[str, str]] = field(default_factory=dict)


def infer_csv(job: InferJob, dialect: CsvDialect) -> InferResult:
    """See `base.Format.infer`."""
    samples = list(_samples(job, dialect))
    columns: dict[str, _Seen] = {}
    for sample in samples:
        for name in sample.names:
            columns.setdefault(name, _Seen())
        _look(job, sample, columns, dialect)
    kept = _one_case_each(columns)
    schema = TableSchema(tuple(Column(name, _type(columns[name])) for name in kept))
    evidence = tuple(
        Evidence(name, kind, path, example) for name in kept for kind, (path, example) in columns[name].types.items()
    )
    return InferResult(schema, evidence, _preview(samples, job.sample_rows), tuple(job.failures.values()))


def _samples(job: InferJob, dialect: CsvDialect) -> Iterator[_Sample]:
    share = min(_FILE_BYTES, job.max_bytes // max(1, len(job.files)))
    heads = HeadReader(dialect, job.limits.max_record_bytes)
    for file in job.files:
        try:
            path, whole = _prefix(job, file, dialect, share)
            head = heads.read(str(path), file.path)
            names = _names(head, file)
            yield _Sample(file.path, names, _texts(path, head, dialect, job.limits.max_record_bytes, whole=whole))
        except BadFile as bad:
            job.fail(file, bad.reason, bad.error, bad.state)


def _names(head: CsvHead, file: ParseFile) -> tuple[str, ...]:
    if head.header is None:
        return tuple(f"column_{number}" for number in range(1, head.width + 1))
    if head.header[0].lstrip()[:1] in {"{", "[", "<"}:
        raise BadFile("not-this-format", f"{file.path} begins like JSON or XML: {head.header[0].strip()[:50]!r}.")
    return column_names(head.header)


def _prefix(job: InferJob, file: ParseFile, dialect: CsvDialect, share: int) -> tuple[Path, bool]:
    """The file's first `share` bytes as plain UTF-8, up to a line's end, and whether that is the whole file."""
    target = job.folder / "sample" / str(file.file_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    left = share
    with target.open("wb") as out:
        for chunk in read_chunks(file, job.limits, dialect.encoding):
            if len(chunk) < left:
                out.write(chunk)
                left -= len(chunk)
                continue
            cut = max(chunk.rfind(b"\n", 0, left), chunk.rfind(b"\r", 0, left)) + 1
            out.write(chunk[: cut or left])
            return target, False
    return target, True


def _texts(path: Path, head: CsvHead, dialect: CsvDialect, limit: int, *, whole: bool) -> list[list[str | None]]:
    records = read_records(str(path), dialect, limit)
    if head.header is not None:
        next(records, None)
    rows = [record.fields for record in _until_cut(records, whole=whole) if _fits(record, head)]
    nulls = set(dialect.nulls) | {""}
    columns = [[None if text in nulls else text for text in column] for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(head.width)]


def _until_cut(records: Iterator[CsvRecord], *, whole: bool) -> Iterator[CsvRecord]:
    """The records; when the sample was cut, without an end that only the cut made bad."""
    try:
        yield from records
    except BadFile:
        if whole:
            raise


def _fits(record: CsvRecord, head: CsvHead) -> bool:
    return record.fields is not None and len(record.fields) == head.width


def _look(job: InferJob, sample: _Sample, columns: dict[str, _Seen], dialect: CsvDialect) -> None:
    conditions = ladder("x", dialect.formats)
    for name, texts in zip(sample.names, sample.texts, strict=True):
        table = pa.table({"x": pa.array(texts, pa.string())})
        job.connection.register("autoloader_sample", table)
        row = job.connection.execute(_query(conditions)).fetchall()[0]
        job.connection.unregister("autoloader_sample")
        good, counter = row[: 2 * len(conditions) : 2], row[1 : 2 * len(conditions) : 2]
        _note(columns[name], sample.path, dict(zip(conditions, good, strict=True)), (*counter, row[-2]), int(row[-1]))


def _query(conditions: dict[str, str]) -> str:
    """For each type: do all texts have it, and one that does not; then one text of any kind, and their number."""
    wanted = [
        f"coalesce(bool_and({test}), true), any_value(left(x, {_EXAMPLE})) FILTER (WHERE NOT coalesce({test}, false))"
        for test in conditions.values()
    ]
    columns = ", ".join([*wanted, f"any_value(left(x, {_EXAMPLE}))", "count(x)"])
    return f"SELECT {columns} FROM autoloader_sample WHERE x IS NOT NULL"


def _note(seen: _Seen, path: str, fits: dict[str, bool], counter: tuple[str | None, ...], count: int) -> None:
    if not count:
        return
    kind = next((kind for kind, good in fits.items() if good), "string")
    # The example of a type is a text that no narrower one would have taken.
    narrower = [text for text in counter[: list(fits).index(kind) if kind in fits else len(fits)] if text is not None]
    example = narrower[-1] if narrower else counter[-1]
    for name, good in fits.items():
        seen.fits[name] = seen.fits.get(name, True) and good
    seen.types.setdefault(kind, (path, str(example)))


def _type(seen: _Seen) -> DataType:
    return primitive(next((kind for kind, good in seen.fits.items() if good), "string"))


def _one_case_each(columns: dict[str, _Seen]) -> list[str]:
    """Names that differ only in case cannot all be columns; the first is, the others are rescued when loading."""
    first: dict[str, str] = {}
    for name in filter(can_be_named, columns):
        first.setdefault(name.lower(), name)
    return list(first.values())


def _preview(samples: list[_Sample], most: int) -> tuple[dict[str, object], ...]:
    rows: list[dict[str, object]] = []
    for sample in samples:
        for values in zip(*sample.texts, strict=True):
            if len(rows) >= most:
                return tuple(rows)
            rows.append(dict(zip(sample.names, values, strict=True)))
    return tuple(rows)
