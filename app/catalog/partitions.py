"""The partition of a new table: `col`, `day(at)`, `bucket(16, id)`, `truncate(4, name)`, dotted inside structs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    Transform,
    TruncateTransform,
    VoidTransform,
    YearTransform,
)
from pyiceberg.types import IcebergType

from app.errors import InvalidInput

_PLAIN: dict[str, type[Transform[Any, Any]]] = {
    "identity": IdentityTransform,
    "year": YearTransform,
    "years": YearTransform,
    "month": MonthTransform,
    "months": MonthTransform,
    "day": DayTransform,
    "days": DayTransform,
    "date": DayTransform,
    "hour": HourTransform,
    "hours": HourTransform,
    "void": VoidTransform,
}
_SUFFIX = {IdentityTransform: "", VoidTransform: "_null"}
_FORM = re.compile(
    r"\s*(?:(?P<function>[A-Za-z]+)\s*\(\s*(?:(?P<number>\d+)\s*,\s*)?(?P<inner>[^()]+?)\s*\)|(?P<plain>[^()]+?))\s*"
)
_HINT = "Write a column, or year, month, day or hour(column), bucket(16, column), truncate(4, column)."


def parse_partitions(texts: Sequence[str], schema: Schema) -> PartitionSpec:
    """The spec that `texts` describe over `schema`. Raises InvalidInput, naming the text."""
    fields: list[PartitionField] = []
    for text in texts:
        transform, column = _parse(text)
        fields.append(_field(text, transform, column, schema, PARTITION_FIELD_ID_START + len(fields)))
    names = [field.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"The partition {name!r} stands twice in partition_by.", hint="Leave one of them out.")
    return PartitionSpec(*fields)


def partition_texts(metadata: TableMetadata) -> tuple[str, ...]:
    """The table's partition in the words of `partition_by`."""
    texts = []
    for field in metadata.spec().fields:
        source = metadata.schema().find_column_name(field.source_id) or f"field {field.source_id}"
        function, _, number = str(field.transform).rstrip("]").partition("[")
        if function == "identity":
            texts.append(source)
        else:
            texts.append(f"{function}({number}, {source})" if number else f"{function}({source})")
    return tuple(texts)


def is_partitioned_by(metadata: TableMetadata, texts: Sequence[str]) -> bool:
    """Whether the table's partition is what `texts` describe, however they write it."""
    try:
        asked = parse_partitions(texts, metadata.schema())
    except InvalidInput:
        return False
    return _meaning(asked) == _meaning(metadata.spec())


def _meaning(spec: PartitionSpec) -> list[tuple[int, Transform[Any, Any]]]:
    return [(field.source_id, field.transform) for field in spec.fields]


def _parse(text: str) -> tuple[Transform[Any, Any], str]:
    match = _FORM.fullmatch(text)
    if match is None:
        raise InvalidInput(f"{text!r} is not a partition.", hint=_HINT)
    if match["plain"]:
        return IdentityTransform(), match["plain"]
    function, number, column = match["function"].lower(), match["number"], match["inner"]
    if function in {"bucket", "truncate"}:
        if number is None or int(number) < 1:
            raise InvalidInput(f"{text!r} needs a number of at least 1 first.", hint=_HINT)
        return (BucketTransform if function == "bucket" else TruncateTransform)(int(number)), column
    if function not in _PLAIN:
        raise InvalidInput(f"{text!r}: there is no partition function {function!r}.", hint=_HINT)
    if number is not None:
        raise InvalidInput(f"{text!r}: {function} takes no number.", hint=_HINT)
    return _PLAIN[function](), column


def _field(text: str, transform: Transform[Any, Any], column: str, schema: Schema, field_id: int) -> PartitionField:
    try:
        source = schema.find_field(column)
    except ValueError as error:
        raise InvalidInput(
            f"{text!r}: there is no column {column!r}.", hint=f"Columns: {', '.join(schema.column_names[:30])}."
        ) from error
    field = PartitionField(
        source_id=source.field_id, field_id=field_id, transform=transform, name=_name(transform, column)
    )
    try:
        PartitionSpec(field).check_compatible(schema)
    except Exception as error:
        raise InvalidInput(
            f"{text!r}: a column of type {source.field_type} cannot be partitioned so.", hint=_HINT
        ) from error
    if not can_split(transform, source.field_type):
        raise InvalidInput(
            f"{text!r}: {transform} of the type {source.field_type} is not supported.",
            hint="Partition by another column.",
        )
    return field


def _name(transform: Transform[Any, Any], column: str) -> str:
    base = column.replace(".", "_")
    if isinstance(transform, BucketTransform):
        return f"{base}_bucket_{transform.num_buckets}"
    if isinstance(transform, TruncateTransform):
        return f"{base}_trunc_{transform.width}"
    if type(transform) in _SUFFIX:
        return base + _SUFFIX[type(transform)] if "." not in column or _SUFFIX[type(transform)] else column
    return f"{base}_{transform}"


def can_split(transform: Transform[Any, Any], kind: IcebergType) -> bool:
    """Whether rows can be sorted into partitions by this transform: the library does not do all it can describe."""
    arrow = schema_to_pyarrow(kind, include_field_ids=False)
    try:
        transform.pyarrow_transform(kind)(pa.array([None], type=arrow))
    except Exception:  # noqa: BLE001  # whatever it says, it cannot
        return False
    return True
