"""What an operation does not know is refused, in the query and where it takes no body: a typing error must be seen."""

from __future__ import annotations

import difflib
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from app.errors import InvalidInput

_METHODS_WITH_BODY = {"POST", "PUT", "PATCH", "DELETE"}


async def only_known(request: Request) -> None:
    """Raise InvalidInput for a query parameter that is not documented, or a body where none is taken."""
    operation = _operation(request)
    known = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
    for name, value in request.query_params.multi_items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            problem = f"there is no such parameter{f' (is {near[0]} meant?)' if near else ''}"
            raise _refused(name, problem)
        if "\x00" in value:
            raise _refused(name, "a text must not hold a NUL character")
    if request.method in _METHODS_WITH_BODY and "requestBody" not in operation:
        body = (await request.body()).strip()
        if body not in {b"", b"{}"}:
            raise InvalidInput("This call takes no body.", hint="Leave it out.", fields=[((), "is not taken here")])


def _operation(request: Request) -> dict[str, Any]:
    path = request.app.openapi()["paths"].get(request.scope["route"].path_format, {})
    found: dict[str, Any] = path.get(request.method.lower(), {})
    return found


def _refused(name: str, problem: str) -> RequestValidationError:
    return RequestValidationError([{"type": "query", "loc": ("query", name[:100]), "msg": problem, "input": None}])
