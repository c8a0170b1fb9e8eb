"""The footer of one Parquet file: read and judged before a page is touched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.ingest.formats.contract import ParseFile, ParseLimits
from app.ingest.formats.streams import BadFile, foreign_kind

_MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"
_LEAST = 12  # both magics and the footer's length
_SLACK = 64 * 1024 * 1024  # below this, nothing is an expansion
_DIGITS = 38


@dataclass(frozen=True, slots=True)
class Footer:
    """`layout` is equal for files with the same columns, types and order."""

    rows: int
    width: int
    layout: str


def read_footer(path: str, file: ParseFile, limits: ParseLimits) -> Footer:
    """Raises BadFile: `empty` (SKIPPED), `truncated`, `not-this-format`, `undecodable`, `expansion` (QUARANTINED)."""
    size = Path(path).stat().st_size
    _check_magic(path, file, size)
    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise BadFile("undecodable", f"{file.path} has a Parquet footer that cannot be read: {_first(exc)}.") from exc
    _check_size(metadata, file, limits, size)
    schema = metadata.schema
    for index in range(len(schema)):
        kind = schema.column(index).logical_type
        if kind.type == "DECIMAL" and schema.column(index).precision > _DIGITS:
            name = schema.column(index).path
            raise BadFile("not-this-format", f"{file.path}: column {name!r} has more than {_DIGITS} decimal digits.")
    text = repr(schema).partition("\n")[2]  # the first line is an address in memory
    return Footer(metadata.num_rows, metadata.num_columns, text)


def _check_magic(path: str, file: ParseFile, size: int) -> None:
    if not size:
        raise BadFile("empty", f"{file.path} holds no byte.", "SKIPPED")
    with Path(path).open("rb") as handle:
        head = handle.read(16)
        handle.seek(max(0, size - len(_MAGIC)))
        tail = handle.read()
    if _ENCRYPTED in {head[:4], tail}:
        raise BadFile("not-this-format", f"{file.path} is encrypted Parquet.")
    if head[:4] != _MAGIC:
        kind = foreign_kind(head)
        raise BadFile("not-this-format", f"{file.path} is not Parquet{f' but {kind}' if kind else ''}.")
    if tail != _MAGIC or size < _LEAST:
        raise BadFile("truncated", f"{file.path} has no Parquet footer: it is cut off.")


def _check_size(metadata: pq.FileMetaData, file: ParseFile, limits: ParseLimits, size: int) -> None:
    """What the file says it will become. A row counts one byte at least: run-length coding makes any number of them of
    a few, and a wide table of nulls is no attack.
    """
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    grown = max(sum(max(0, group.total_byte_size) for group in groups), metadata.num_rows)
    if grown > limits.max_output_bytes:
        sentence = f"{file.path} expands to {grown:,} bytes; at most {limits.max_output_bytes:,} are read."
        raise BadFile("expansion", sentence, "QUARANTINED")
    if grown > _SLACK and grown > limits.max_expansion * size:
        sentence = f"{file.path} expands by more than {limits.max_expansion} times ({grown:,} from {size:,} bytes)."
        raise BadFile("expansion", sentence, "QUARANTINED")


def _first(exc: BaseException) -> str:
    return (str(exc).splitlines() or ["unknown error"])[0].rstrip(".")
