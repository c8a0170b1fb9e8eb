"""Which columns Arrow's readers may type by themselves, and the proof that what they gave is what the exact SQL gives.

Arrow reads most values as strictly as we do: it refuses what we refuse, and a little more, and what is refused is read
by the exact SQL. Where it takes more, the finished values are looked at here, and None means: read this exactly.

- A double may be NaN or infinite, from more spellings than ours: only finite ones are taken. It may be -0.0, of `-0`,
  which is 0.0 to us, or of `-0.0`: none of them is.
- A moment may have hours without minutes, and lie in the year 0 or, moved by its offset, in 10000: both are looked for.
- Types that it prints, rounds or reads otherwise (float, decimal, time, uuid, binary, map) are never given to it.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.datatypes import Column, DataType

_READ: dict[str, pa.DataType] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "date": pa.string(),
    "timestamp": pa.string(),
    "timestamptz": pa.string(),
}
_MOMENTS: dict[str, pa.DataType] = {
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
_YEARS: dict[str, tuple[date, date]] = {
    "date": (_FIRST.date(), _LAST.date()),
    "timestamp": (_FIRST.replace(tzinfo=None), _LAST.replace(tzinfo=None)),
    "timestamptz": (_FIRST, _LAST),
}
_DAY, _HOUR, _SHORTEST = 10, 13, 16  # characters of 2026-01-31, 2026-01-31T12 and 2026-01-31T12:30


def read_type(kind: DataType) -> pa.DataType | None:
    """As what Arrow is to read a value of this type (moments as text); None: it must not."""
    if kind.name == "struct":
        members = [(member.name, read_type(member.type)) for member in kind.fields]
        return pa.struct(members) if members and all(type_ is not None for _, type_ in members) else None
    if kind.name == "array" and kind.element:
        item = read_type(kind.element.type)
        return None if item is None else pa.list_(item)
    return _READ.get(kind.name)


def final_type(kind: DataType) -> pa.DataType:
    """The type that `proved` answers in. Only for types that have a `read_type`."""
    if kind.name == "struct":
        return pa.struct([(member.name, final_type(member.type)) for member in kind.fields])
    if kind.name == "array" and kind.element:
        return pa.list_(final_type(kind.element.type))
    return _MOMENTS.get(kind.name) or _READ[kind.name]


def proved(values: pa.Array, kind: DataType) -> pa.Array | None:
    """What was read by `read_type`, in the final type; None unless it is certain that the exact SQL gives the same."""
    if kind.name in _MOMENTS:
        return _moments(values, kind.name)
    if kind.name == "double":
        total = pc.sum(values).as_py()  # finite only if all of them are; one too large by chance costs nothing but time
        finite = total is None or math.isfinite(total)
        return values if finite and not _with_negative_zero(values) else None
    if kind.name == "struct":
        return _struct(values, kind.fields)
    if kind.name == "array" and kind.element:
        items = proved(values.values, kind.element.type)
        return None if items is None else pa.ListArray.from_arrays(values.offsets, items, mask=values.is_null())
    return values


def _with_negative_zero(doubles: pa.Array) -> bool:
    if not len(doubles):
        return False
    bits = np.frombuffer(doubles.buffers()[1], np.int64, len(doubles), doubles.offset * 8)
    return bool((bits == np.iinfo(np.int64).min).any())


def _struct(values: pa.Array, members: tuple[Column, ...]) -> pa.Array | None:
    parts: list[pa.Array] = []
    for place, member in enumerate(members):
        part = proved(values.field(place), member.type)
        if part is None:
            return None
        parts.append(part)
    return pa.StructArray.from_arrays(parts, [member.name for member in members], mask=values.is_null())


def _moments(texts: pa.Array, name: str) -> pa.Array | None:
    """Arrow reads ISO 8601 as we do, but for what is said above."""
    if name != "date" and _without_minutes(texts):
        return None
    try:
        found = pc.cast(texts, _MOMENTS[name])
    except pa.ArrowInvalid:
        return None
    edges, target = pc.min_max(found), _MOMENTS[name]
    first, last = (pa.scalar(edge, target) for edge in _YEARS[name])
    low, high = edges["min"], edges["max"]
    if low.is_valid and (pc.less(low, first).as_py() or pc.greater(high, last).as_py()):
        return None
    return found


def _without_minutes(texts: pa.Array) -> bool:
    """Whether one of the texts is longer than a day and has no colon behind its hour."""
    if not len(texts):
        return False
    _, offsets, data = texts.buffers()
    begins = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4)
    sizes = np.diff(begins)
    long = sizes > _DAY
    if not long.any():
        return False
    characters = np.frombuffer(data, np.uint8)
    at = characters[np.minimum(begins[:-1] + _HOUR, len(characters) - 1)]
    return bool((long & ((sizes < _SHORTEST) | (at != ord(":")))).any())
