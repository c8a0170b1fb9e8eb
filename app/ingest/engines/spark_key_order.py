"""In which order records of JSON lines have their keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from app.datatypes import can_be_named

_RECORDS = 200  # of each file that is looked at
_MOST, _LONGEST = 200, 64  # keys, and characters of one: records with more are data of their own


def key_order(begins: Sequence[Sequence[str]], columns: Sequence[str]) -> tuple[str, ...]:
    """All columns, and the other keys of the records that were seen, each behind those that stand before it there.

    `begins` has the first lines of some files. The order is a hint: a line that is not understood tells nothing, and
    of orders that differ the first counts.
    """
    order: list[str] = []
    for lines in begins:
        for keys in _keys(lines[:_RECORDS]):
            _merge(order, keys)
            if len(order) > _MOST:
                return tuple(columns)
    _merge(order, columns)
    return tuple(order)


def _keys(lines: Sequence[str]) -> Iterator[list[str]]:
    """Of each line that is a record."""
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and len(record) <= _MOST:
            yield [key for key in record if len(key) <= _LONGEST and can_be_named(key)]


def _merge(order: list[str], keys: Sequence[str]) -> None:
    """Put the keys that are missing behind the last one before them that is there."""
    at = 0
    for key in keys:
        if key in order:
            at = order.index(key) + 1
        else:
            order.insert(at, key)
            at += 1
