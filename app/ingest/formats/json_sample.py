"""A schema from the first records of JSON files, with the evidence for it."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.datatypes import TableSchema
from app.ingest.formats.base import Evidence, InferJob, InferResult
from app.ingest.formats.contract import Outlier, ParseFile, RejectedSample
from app.ingest.formats.json_sql import MALFORMED, NOT_AN_OBJECT
from app.ingest.formats.json_types import Shape, columns_of, twins_of, widest
from app.ingest.formats.lines import Splitter, not_utf8
from app.ingest.formats.streams import BadFile

_MOST_RECORDS = 50_000
_MOST_COLUMNS = 1_000  # keys beyond are rescued at load time
_MOST_ODD = 1_000  # of a file, and looked at one by one
_EXAMPLE = 200


@dataclass(slots=True)
class _Read:
    """Of one file: how many records were looked at, and the odd ones, each with its line and its flaw.

    `total` grows no more once there are as many odd ones as are kept: beyond, nobody counts how many are rejected.
    """

    total: int = 0
    odd: list[tuple[int, str, bytes]] = field(default_factory=list)


def infer_records(job: InferJob, split: Splitter, *, whole: bool = False) -> InferResult:
    """What `Format.infer` promises. Each file gives an equal share of the sample.

    `whole`: a record that is no JSON fails its file, and is none that is rejected.
    """
    shapes: dict[str, Shape] = {}
    evidence: dict[tuple[str, str], Evidence] = {}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    rows: list[dict[str, object]] = []
    rejected: list[RejectedSample] = []
    numbers = itertools.count()
    for file in job.files:
        try:
            read = _Read()
            for record in _records(file, job, split, read):
                number = next(numbers)
                for name, value in record.items():
                    shape = shapes.setdefault(name, Shape()) if len(shapes) < _MOST_COLUMNS else shapes.get(name)
                    kind = shape.add(value, job.options, number) if shape else "null"
                    if kind != "null":
                        counts[name][kind] += 1
                        if (name, kind) not in evidence:
                            evidence[name, kind] = _evidence(name, kind, file, value)
                if len(rows) < job.sample_rows:
                    rows.append(record)
            rejected += _rejected(job, file, read, whole=whole)
        except BadFile as bad:
            job.fail(file, bad.reason, bad.error, bad.state)
    columns = columns_of(shapes)
    kept = {column.name for column in columns}
    return InferResult(
        TableSchema(columns),
        tuple(item for (name, _), item in evidence.items() if name in kept),
        tuple(rows),
        tuple(job.failures.values()),
        tuple(_outliers({name: count for name, count in counts.items() if name in kept}, evidence)),
        rejected=tuple(rejected),
        twins=tuple(twins_of(shapes)),
    )


def _outliers(counts: dict[str, Counter[str]], evidence: dict[tuple[str, str], Evidence]) -> Iterator[Outlier]:
    """Columns whose rarest kind alone made a string of them."""
    for name, count in counts.items():
        rarest, number = count.most_common()[-1]
        other = widest(set(count) - {rarest})
        if len(count) > 1 and widest(set(count)).name == "string" and other.name != "string":
            first = evidence[name, rarest]
            found = Outlier(name, str(other), number, count.total(), first.path, first.example)
            if found.few:
                yield found


def _records(file: ParseFile, job: InferJob, split: Splitter, read: _Read) -> Iterator[dict[str, object]]:
    """The objects in the file's share of the sample; other records are noted in `read`."""
    size = max(1, job.max_bytes // max(1, len(job.files)))
    count = max(1, _MOST_RECORDS // max(1, len(job.files)))
    for piece in split(file, job):
        lines = piece.lines.tolist()
        for index, (start, end) in enumerate(zip(piece.starts.tolist(), piece.ends.tolist(), strict=True)):
            if piece.offset + end > size and (index or piece.offset):
                return
            raw = piece.data[start:end]
            record = None if index in piece.flaws else _object(raw)
            full = len(read.odd) >= _MOST_ODD
            read.total += not full
            if record is not None:
                yield record
                count -= 1
            elif not full:
                read.odd.append((lines[index], piece.flaws.get(index, ""), raw))
            if not count:
                return


def _rejected(job: InferJob, file: ParseFile, read: _Read, *, whole: bool) -> Iterator[RejectedSample]:
    """What loading says of the records that were no objects here: it takes some, as those with a comma too many."""
    bad = [(line, reason, raw) for line, flaw, raw in read.odd if (reason := flaw or _flaw(job, raw, whole=whole))]
    if bad:
        line, reason, raw = bad[0]
        shown = raw.decode("utf-8", "replace")[:_EXAMPLE].strip()
        yield RejectedSample(file.path, len(bad), read.total, line, reason, shown)


def _flaw(job: InferJob, raw: bytes, *, whole: bool) -> str:
    """Why loading rejects the record; empty when it does not."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return not_utf8(error)
    query = "SELECT json_valid($1), CASE WHEN json_valid($1) THEN json_type($1) END"
    valid, kind = job.connection.execute(query, [text]).fetchall()[0]
    if not valid:
        return "" if whole else MALFORMED
    return "" if kind == "OBJECT" else NOT_AN_OBJECT


def _object(raw: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(raw, object_pairs_hook=_first_of_each)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _first_of_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of a key that stands twice loading takes the first, and Python the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        found.update(reversed(pairs))
    return found


def _evidence(name: str, kind: str, file: ParseFile, value: object) -> Evidence:
    shown = {"object": "struct", "array": "array"}.get(kind) or str(widest({kind}))
    return Evidence(name, shown, file.path, json.dumps(value, ensure_ascii=False)[:_EXAMPLE])
