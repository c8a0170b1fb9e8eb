"""Any value in what JSON has: for `--json`, and for what is nested in a table's cell."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any

_EXACT = 2**53 - 1  # the largest integer that every reader of JSON keeps


def plain(value: object) -> Any:
    """The value in what JSON has; moments in ISO 8601. Numbers that JSON lacks are texts, and so are integers beyond
    2^53, which jq and JavaScript would round: ids of snapshots and files.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return _scalar(value)


def _scalar(value: object) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, int) and abs(value) > _EXACT:
        return str(value)
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    # A text with lone surrogates (a file name that is not UTF-8) cannot be written; they become escapes.
    return str(value).encode("utf-8", "backslashreplace").decode()
