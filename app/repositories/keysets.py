"""Pages that begin behind the last row of the page before: cheap at any depth, and steady while rows come and go."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Select, or_

Query = TypeVar("Query", bound=Select[Any])


def beyond(query: Query, column: Any, key: Any, after: tuple[Any, Any] | None, *, down: bool) -> Query:
    """The rows behind `after`, `(value of column, value of key)`, ordered by both; `key` tells equal values apart."""
    if after is not None:
        value, last = after
        # Said twice, so that the first half can be a range of an index.
        query = query.where(column <= value if down else column >= value)
        further = (column < value, key < last) if down else (column > value, key > last)
        query = query.where(or_(*further))
    return query.order_by(*((column.desc(), key.desc()) if down else (column, key)))
