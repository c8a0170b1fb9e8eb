"""Opaque cursors: where the next page begins, and of which list. A cursor of another list or filter is refused."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from app.errors import InvalidInput

_PLACE = (("cursor",), "is not a cursor of this list")


def encode(listing: object, value: str | datetime | int, key: UUID | int | None) -> str:
    """The cursor behind a row. `listing` is what the page was asked with; its `repr` must tell two askings apart."""
    shown = value.isoformat() if isinstance(value, datetime) else value
    content = [_mark(listing), shown, str(key) if isinstance(key, UUID) else key]
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def decode(cursor: str, listing: object, *kinds: type) -> tuple[Any, Any]:
    """`(value, key)` of the row; `kinds` are their types. Raises InvalidInput for a cursor of anything else."""
    try:
        content = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        mark, value, key = content
        if mark != _mark(listing):
            raise _refused("It belongs to a list with other filters or another order.")
        return _typed(value, kinds[0]), _typed(key, kinds[1])
    except (binascii.Error, ValueError, TypeError, RecursionError) as exc:
        raise _refused("It is damaged.") from exc


def _typed(value: object, kind: type) -> object:
    if kind is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError(value)
        return moment
    if kind is UUID and isinstance(value, str):
        return UUID(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    if kind is str and isinstance(value, str) and "\x00" not in value:
        value.encode()  # a lone surrogate is no text of a database
        return value
    raise ValueError(value)


def _mark(listing: object) -> str:
    return hashlib.sha256(repr(listing).encode()).hexdigest()[:12]


def _refused(why: str) -> InvalidInput:
    return InvalidInput(f"The cursor cannot be used. {why}", hint="Begin without a cursor.", fields=(_PLACE,))
