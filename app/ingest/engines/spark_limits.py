"""What Spark cannot do as the embedded engine does: refused by name, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from app.datatypes import Column, DataType, TableSchema
from app.errors import InvalidInput
from app.ingest.engines.spark_source import DECODED
from app.ingest.formats.spark.strptime import unknown_letter
from app.ingest.formats.streams import check_encoding
from app.schemas.ingestion import FormatShape, IngestionShape
from app.storage import is_plain
from app.values import BatchFile, FileOutcome, FileState

_UNREADABLE = "not-on-spark"
HINT = "Load it with engine: embedded (of load: --engine embedded)."
WHOLE_BYTES = 16 * 1024 * 1024  # unpacked: such a text, cut into its parts, takes some hundred megabytes of an executor
_UNPACKED = {".gz": "gzip", ".bz2": "bz2", "": "none"}  # by the endings that Hadoop knows
_DECODED = (".gz", ".bz2")
_FOREIGN = frozenset({".zst", ".zstd", ".deflate", ".snappy", ".lz4", ".gzip", ".lzo", ".z"})


def require_shape(shape: IngestionShape) -> None:
    """Raises InvalidInput for what an ingestion asks for and Spark does not do."""
    problem = next(_problems(shape), "")
    if problem:
        raise InvalidInput(f"{shape.name}: {problem}, on the cluster {shape.engine}.", hint=HINT)


def _problems(shape: IngestionShape) -> Iterator[str]:
    if shape.format.compression not in {"auto", *_UNPACKED.values()}:
        yield f"compression={shape.format.compression} cannot be read"
    if check_encoding(shape.format.encoding) not in DECODED:
        yield f"the encoding {shape.format.encoding} cannot be read"
    for name in ("date_format", "timestamp_format"):
        letter = unknown_letter(getattr(shape.format, name) or "")
        if letter:
            yield f"{letter} in the option {name} is not read there (%d %m %Y %y %H %M %S %f are, each once)"
    if shape.row_columns.rescued_data is None:
        yield "the column of rescued data (row_columns.rescued_data) cannot be switched off"


def require_schema(table: str, schema: TableSchema) -> None:
    """Raises InvalidInput for a column whose type Spark does not have, or cannot fill as the embedded engine does."""
    seen: set[str] = set()
    for column in schema:
        problem = _type_problem(column.type)
        if column.name.lower() in seen:
            problem = "another's name but for its case"
        if column.required and column.type.nested:
            problem = "not null, and holds others"
        if problem:
            raise InvalidInput(f"Column {column.name} of {table} is {problem}: Spark cannot load it.", hint=HINT)
        seen.add(column.name.lower())


def _type_problem(kind: DataType) -> str:
    """What a type holds that Spark does not; empty where it has all."""
    if kind.name == "time":
        return "of the type time"
    if kind.key is not None and kind.key.type.name != "string":
        return f"a map with keys of the type {kind.key.type}"
    inner: tuple[Column, ...] = (*kind.fields, *((kind.element,) if kind.element else ()))
    if any(member.required for member in kind.fields):
        return "a struct with a member that is not null"
    return next((problem for member in inner if (problem := _type_problem(member.type))), "")


def unreadable(file: BatchFile, shape: FormatShape) -> FileOutcome | None:
    """The outcome of a file that Spark would leave out, or read as another, without a word; None for all others."""
    name = PurePosixPath(file.path).name
    why = ""
    if name.startswith((".", "_")) or name.endswith("._COPYING_"):
        why = "Spark reads no file whose name begins with _ or ."
    elif file.path.startswith("/") and any(char in file.path for char in ":\\"):
        why = "Spark reads no file with : or \\ in its path"
    elif not file.path.startswith("/") and not is_plain(file.path.partition("://")[2]):
        why = "Spark reads no object with empty parts, . or .., or a control character in its name"
    elif shape.type != "parquet" and PurePosixPath(name).suffix.lower() in _FOREIGN:
        why = f"Spark reads {', '.join(_DECODED)} files only; this is another compression"
    elif (
        shape.type != "parquet"
        and PurePosixPath(name).suffix.lower() in _DECODED
        and not name.endswith((".gz", ".bz2"))
    ):
        why = "Spark knows a compression by an ending in small letters"
    elif shape.compression != "auto" and shape.compression != _unpacked(name):
        why = f"its ending alone tells Spark how it is packed, and that is not compression={shape.compression}"
    return refused(file, why) if why else None


def _unpacked(name: str) -> str:
    return next((codec for ending, codec in _UNPACKED.items() if name.endswith(ending)), "none")


def refused(file: BatchFile, why: str) -> FileOutcome:
    """The outcome of a file that Spark does not load as the embedded engine does."""
    return FileOutcome(file.file_id, FileState.FAILED, reason=_UNREADABLE, error=f"{file.path}: {why}. {HINT}")
