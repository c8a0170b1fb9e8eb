"""Keys that the schema lacks, as columns to add: found in the rescued values of a reading."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from app.datatypes import Column, DataType, TableSchema, can_be_named
from app.ingest.formats.base import NewColumn, ReadJob
from app.ingest.formats.json_types import Shape

SAMPLE = 500  # values of each key that decide its type
_MOST = 1000  # columns reported at once; the others stay rescued
_EXAMPLE = 200
_DEEPEST = 100  # levels; Python's JSON gives up at some thousand, and where is not for us to say
_WORDS = frozenset({"NaN", "Infinity", "-Infinity"})


class Found(NamedTuple):
    """A name the schema lacks. `parent` are the names above it, `element` and `value` included."""

    parent: tuple[str, ...]
    name: str


def new_columns(job: ReadJob, relation: str) -> tuple[NewColumn, ...]:
    """What `Reading.new_columns` promises, for rescued JSON values."""
    keys = "unnest(json_keys(rescued)) AS key"
    values = "unnest(CAST(json_extract(rescued, '$.*') AS VARCHAR[])) AS value"
    query = (
        f"SELECT key, count(*), arg_min(value, file_id, {SAMPLE}), arg_min(file_id, file_id, {SAMPLE})"
        f" FROM (SELECT file_id, {keys}, {values} FROM {relation}) GROUP BY key ORDER BY min(file_id), key"
    )
    cursor = job.connection.execute(query)
    shapes: dict[Found, Shape] = {}
    first: dict[Found, tuple[int, str]] = {}
    records: Counter[Found] = Counter()
    numbers = itertools.count()
    while row := cursor.fetchone():
        key, total, samples, file_ids = row
        held: Counter[Found] = Counter()
        for file_id, sample in zip(file_ids, samples, strict=True):
            number, inside = next(numbers), set[Found]()
            for found, inner in _strangers(key, _value(sample), job.schema.columns):
                if inner is not None and (found in shapes or len(shapes) < _MOST):
                    shapes.setdefault(found, Shape()).add(inner, job.options, number)
                    first.setdefault(found, (file_id, json.dumps(inner, ensure_ascii=False)[:_EXAMPLE]))
                    inside.add(found)
            held.update(inside)
        # What lies inside a value is as often in the others as in those that were looked at.
        records.update({found: count * total // len(samples) for found, count in held.items()})
    return tuple(
        NewColumn(Column(found.name, shape.type), *first[found], found.parent, records[found])
        for found, shape in shapes.items()
    )


def _value(sample: str) -> object:
    """The value of a rescued entry; one that is nested too deep to be looked into is text."""
    try:
        return _real(json.loads(sample), 0)
    except RecursionError:
        return sample


def _real(value: object, depth: int) -> object:
    """Rescued NaN and Infinity are text; where all else is numbers they are numbers again."""
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, dict):
        return {name: _real(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_real(inner, depth + 1) for inner in value]
    return float(value) if isinstance(value, str) and value in _WORDS else value


def is_stranger(key: str, schema: TableSchema, is_usable: Callable[[str], bool]) -> bool:
    """Whether what is rescued under the key may ask for a column, or a struct's member, of a name that is usable."""
    return any(is_usable(found.name) for found, _ in _strangers(key, None, schema.columns))


def _strangers(key: str, value: object, columns: tuple[Column, ...]) -> Iterator[tuple[Found, object]]:
    """The unknown names in one rescued entry: the key itself, or names inside the value of a known column."""
    rest = key
    parent: tuple[str, ...] = ()
    while True:
        known = next((column for column in columns if column.name == rest), None)
        if known:
            yield from _inside(value, known.type, (*parent, known.name))
            return
        above = next((c for c in columns if c.type.name == "struct" and rest.startswith(f"{c.name}.")), None)
        if not above:
            break
        columns, parent, rest = above.type.fields, (*parent, above.name), rest[len(above.name) + 1 :]
    if not _taken(rest, columns):
        yield Found(parent, rest), value


def _inside(value: object, kind: DataType, parent: tuple[str, ...]) -> Iterator[tuple[Found, object]]:
    if kind.name == "struct" and isinstance(value, dict):
        for name, inner in value.items():
            known = next((column for column in kind.fields if column.name == name), None)
            if known:
                yield from _inside(inner, known.type, (*parent, name))
            elif not _taken(name, kind.fields):
                yield Found(parent, name), inner
    elif kind.name == "array" and kind.element and isinstance(value, list):
        for inner in value:
            yield from _inside(inner, kind.element.type, (*parent, "element"))
    elif kind.name == "map" and kind.element and isinstance(value, dict):
        for inner in value.values():
            yield from _inside(inner, kind.element.type, (*parent, "value"))


def _taken(name: str, columns: tuple[Column, ...]) -> bool:
    return not can_be_named(name) or name.lower() in {column.name.lower() for column in columns}
