"""The schema of a bounded sample of CSV files: names from the headers, types from the texts, with the evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from app.datatypes import Column, DataType, TableSchema, primitive
from app.ingest.formats.base import InferJob, InferResult, ParseFile
from app.ingest.formats.contract import Evidence, Outlier, RejectedSample
from app.ingest.formats.csv_exact import too_few, too_many
from app.ingest.formats.csv_head import CsvHead, HeadReader, column_names
from app.ingest.formats.csv_options import CsvDialect
from app.ingest.formats.csv_records import CsvRecord, cut_raw, read_records
from app.ingest.formats.one_case import one_case_each
from app.ingest.formats.streams import BadFile, read_chunks
from app.ingest.formats.strict_text import ladder

_FILE_BYTES = 8 * 1024 * 1024  # of one file: types show early, and the exact reader takes a second for 50 MB
_EXAMPLE = 200
_DELIMITERS = ";,\t|"


@dataclass(slots=True)
class _Sample:
    """What was read of one file: one list of texts (null: none) for each name."""

    path: str
    names: tuple[str, ...]
    texts: list[list[str | None]]
    rejected: RejectedSample | None


@dataclass(slots=True)
class _Seen:
    """What all files together showed of one column; `types` in the order they were met."""

    total: int = 0
    misfits: dict[str, int] = field(default_factory=dict)  # type → texts that do not have it
    first: dict[str, tuple[str, str]] = field(default_factory=dict)  # type → file and text of the first of them
    types: dict[str, tuple[str, str]] = field(default_factory=dict)


def infer_csv(job: InferJob, dialect: CsvDialect) -> InferResult:
    """See `base.Format.infer`."""
    samples = list(_samples(job, dialect))
    columns: dict[str, _Seen] = {}
    for sample in samples:
        for name in sample.names:
            columns.setdefault(name, _Seen())
        _look(job, sample, columns, dialect)
    kept, twins = one_case_each({name: seen.total for name, seen in columns.items()})
    schema = TableSchema(tuple(Column(name, _type(columns[name])) for name in kept))
    evidence = tuple(
        Evidence(name, kind, path, example) for name in kept for kind, (path, example) in columns[name].types.items()
    )
    rows, failures = _preview(samples, job.sample_rows), tuple(job.failures.values())
    outliers = tuple(_outliers({name: columns[name] for name in kept}))
    rejected = tuple(sample.rejected for sample in samples if sample.rejected)
    return InferResult(schema, evidence, rows, failures, outliers, _hints(samples, dialect), rejected, twins)


def _hints(samples: list[_Sample], dialect: CsvDialect) -> tuple[str, ...]:
    """Of files that have one column: whether its name looks like several."""
    for sample in samples:
        name = sample.names[0] if len(sample.names) == 1 else ""
        other = next((char for char in _DELIMITERS if char in name and char != dialect.delimiter), None)
        if other:
            shown = "tab" if other == "\t" else f"'{other}'"
            return (f"{sample.path} has one column, named {name!r}: is --delimiter {shown} meant?",)
    return ()


def _samples(job: InferJob, dialect: CsvDialect) -> Iterator[_Sample]:
    share = min(_FILE_BYTES, job.max_bytes // max(1, len(job.files)))
    heads = HeadReader(dialect, job.limits.max_record_bytes)
    for file in job.files:
        try:
            path, whole = _prefix(job, file, dialect, share)
            head = heads.read(str(path), file.path)
            names = _names(head, file)
            records = _records(path, head, dialect, job.limits.max_record_bytes, whole=whole)
            rows = [record.fields for record in records if not _flaw(record, head)]
            yield _Sample(file.path, names, _texts(rows, head, dialect), _rejected(file.path, records, head))
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


def _records(path: Path, head: CsvHead, dialect: CsvDialect, limit: int, *, whole: bool) -> list[CsvRecord]:
    records = read_records(str(path), dialect, limit)
    if head.header is not None:
        next(records, None)
    return list(_until_cut(records, whole=whole))


def _texts(rows: Sequence[list[str] | None], head: CsvHead, dialect: CsvDialect) -> list[list[str | None]]:
    nulls = set(dialect.nulls) | {""}
    fields = [row for row in rows if row is not None]
    columns = [[None if text in nulls else text for text in column] for column in zip(*fields, strict=True)]
    return columns or [[] for _ in range(head.width)]


def _rejected(path: str, records: Sequence[CsvRecord], head: CsvHead) -> RejectedSample | None:
    bad = [record for record in records if _flaw(record, head)]
    if not bad:
        return None
    raw = cut_raw(bad[0].raw)[:_EXAMPLE]
    return RejectedSample(path, len(bad), len(records), bad[0].line, _flaw(bad[0], head), raw)


def _until_cut(records: Iterator[CsvRecord], *, whole: bool) -> Iterator[CsvRecord]:
    """The records; when the sample was cut, without an end that only the cut made bad."""
    try:
        yield from records
    except BadFile:
        if whole:
            raise


def _flaw(record: CsvRecord, head: CsvHead) -> str:
    """Why loading rejects the record; empty when it does not."""
    if record.fields is None:
        return record.reason
    if len(record.fields) == head.width:
        return ""
    return too_few(head.width) if len(record.fields) < head.width else too_many(head.width)


def _look(job: InferJob, sample: _Sample, columns: dict[str, _Seen], dialect: CsvDialect) -> None:
    conditions = ladder("x", dialect.formats)
    for name, texts in zip(sample.names, sample.texts, strict=True):
        table = pa.table({"x": pa.array(texts, pa.string())})
        job.connection.register("autoloader_sample", table)
        row = job.connection.execute(_query(conditions)).fetchall()[0]
        job.connection.unregister("autoloader_sample")
        misfits = dict(zip(conditions, row[: 2 * len(conditions) : 2], strict=True))
        examples = dict(zip(conditions, row[1 : 2 * len(conditions) : 2], strict=True))
        _note(columns[name], sample.path, misfits, examples, (row[-2], int(row[-1])))


def _query(conditions: dict[str, str]) -> str:
    """For each type: how many texts do not have it, and the first of them; then any text, and their number."""
    wanted = [
        f"count(*) FILTER (WHERE NOT coalesce({test}, false)),"
        f" first(left(x, {_EXAMPLE})) FILTER (WHERE NOT coalesce({test}, false))"
        for test in conditions.values()
    ]
    columns = ", ".join([*wanted, f"any_value(left(x, {_EXAMPLE}))", "count(x)"])
    return f"SELECT {columns} FROM autoloader_sample WHERE x IS NOT NULL"


def _note(
    seen: _Seen, path: str, misfits: dict[str, int], examples: dict[str, str], any_text: tuple[str | None, int]
) -> None:
    """Take one file's texts into account; `any_text` is one of them, and their number."""
    text, count = any_text
    if not count:
        return
    seen.total += count
    for kind, number in misfits.items():
        seen.misfits[kind] = seen.misfits.get(kind, 0) + number
        if number:
            seen.first.setdefault(kind, (path, examples[kind]))
    kind = next((kind for kind, number in misfits.items() if not number), "string")
    seen.types.setdefault(kind, (path, str(_telling(kind, misfits, examples) or text)))


def _telling(kind: str, misfits: dict[str, int], examples: dict[str, str]) -> str | None:
    """A text that no narrower type would have taken; of a string the one that all but made another type of it."""
    if kind == "string":
        return examples[_nearest(misfits)]
    narrower = [examples[name] for name in list(misfits)[: list(misfits).index(kind)] if misfits[name]]
    return narrower[-1] if narrower else None


def _nearest(misfits: dict[str, int]) -> str:
    """The type that most texts have; of several the narrowest."""
    return min(misfits, key=lambda kind: misfits[kind])


def _type(seen: _Seen) -> DataType:
    return primitive(next((kind for kind, number in seen.misfits.items() if not number), "string"))


def _outliers(columns: dict[str, _Seen]) -> Iterator[Outlier]:
    for name, seen in columns.items():
        if seen.total:
            kind = _nearest(seen.misfits)
            found = Outlier(name, kind, seen.misfits[kind], seen.total, *seen.first.get(kind, ("", "")))
            if found.few:
                yield found


def _preview(samples: list[_Sample], most: int) -> tuple[dict[str, object], ...]:
    rows: list[dict[str, object]] = []
    for sample in samples:
        for values in zip(*sample.texts, strict=True):
            if len(rows) >= most:
                return tuple(rows)
            rows.append(dict(zip(sample.names, values, strict=True)))
    return tuple(rows)
