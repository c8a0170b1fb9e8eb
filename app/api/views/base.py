"""What all answers of the API have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.log import redact


class View(BaseModel):
    """Made from a service's value by the names of its fields: what is not named here is not shown."""

    model_config = ConfigDict(
        from_attributes=True, frozen=True, json_schema_serialization_defaults_required=True, extra="ignore"
    )


def plain(value: object) -> Any:
    """The value in what JSON has: moments in ISO 8601, bytes in hexadecimal, numbers that JSON lacks as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value).encode("utf-8", "backslashreplace").decode()


def _told(value: object) -> object:
    return redact(value) if isinstance(value, str) else value


def _digits(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Told = Annotated[str, BeforeValidator(_told)]  # what a library or a store said: secrets are blotted out
BigId = Annotated[str, BeforeValidator(_digits)]  # 64 bits: as a number, JavaScript would round it
Plain = Annotated[Any, BeforeValidator(plain)]

Item = TypeVar("Item")
NextCursor = Annotated[
    str | None, Field(description="Give it as `cursor` for the next page; null: this page is the last.")
]


def examples(*given: Mapping[str, Any]) -> dict[str, Any]:
    """`json_schema_extra` of a model."""
    return {"examples": [dict(one) for one in given]}
