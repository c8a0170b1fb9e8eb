"""What tests of the API do again and again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

LONG_AGO = 1_700_000_000


def problem(answer: Any, status: int, code: str) -> Any:
    """The problem that the call was refused with."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert (found["status"], found["code"]) == (status, code)
    assert found["type"] == f"urn:iomete:autoloader:problem:{code}"
    assert found["request_id"] == answer.headers["x-request-id"]
    return found


def create(api: Any, shape: dict[str, Any]) -> Any:
    answer = api.post("/v1/ingestions", shape)
    assert answer.status_code == 201, answer.text
    return answer.json()


def walked(api: Any, path: str) -> list[Any]:
    """All items, page by page."""
    items, cursor = [], ""
    while True:
        mark = "&" if "?" in path else "?"
        page = api.get(f"{path}{mark}cursor={cursor}" if cursor else path).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def put(folder: Path, name: str, data: bytes | str) -> Path:
    """A file that was delivered long ago, so that no run waits for it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def rows(first: int, count: int) -> str:
    return "".join(json.dumps({"id": first + at, "name": f"n{first + at}"}) + "\n" for at in range(count))
