"""The declarative base, and the column types that are the same on SQLite and PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, MetaData, Text
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

DEFAULT_TENANT = "default"

# Paths are compared and ordered by their bytes: an ICU collation would break the range queries.
PathText = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite counts by itself only in a column that is exactly INTEGER.
CountingKey = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


_NOWHERE = re.compile("[\0\ud800-\udfff]")


class HumanText(TypeDecorator[str]):
    """A sentence for people, which may quote a file: what no database can hold (NUL, half a surrogate pair) is stored
    as its escape. A text that has to come back as it was is no HumanText.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else _NOWHERE.sub(_escape, value)


class ConfigJson(TypeDecorator[dict[str, Any]]):
    """A configuration. One that is no JSON (SQLite stores what it is given) reads as an empty one: its ingestion is
    refused by name, where an error here would keep everybody from reading any.
    """

    impl = JSON
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], dict[str, Any] | None]:
        read = super().result_processor(dialect, coltype)

        def tolerant(value: object) -> dict[str, Any] | None:
            try:
                return read(value) if read is not None else value  # type: ignore[return-value]
            except ValueError:
                return {}

        return tolerant


def _escape(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode()


class UtcDateTime(TypeDecorator[datetime]):
    """A moment. Naive values are refused; what comes back is always in UTC, on SQLite too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"A time without a zone cannot be stored: {value!r}."
            raise ValueError(message)
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
