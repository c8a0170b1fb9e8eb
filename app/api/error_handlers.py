"""Whatever goes wrong becomes a problem (RFC 9457): no traceback, no SQL, no secret, and always the next step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Scope

from app.api.views.problems import MEDIA_TYPE, PROBLEM_TYPE, FieldProblem, Problem
from app.errors import (
    AutoloaderError,
    CallTooLarge,
    InvalidInput,
    LeaseHeld,
    MalformedCall,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
)
from app.log import get_logger, redact
from app.services import shape_service

log = get_logger(__name__)

_PARTS = {"body", "query", "path", "header"}


class ProblemResponse(JSONResponse):
    media_type = MEDIA_TYPE


def install(app: FastAPI) -> None:
    app.add_exception_handler(AutoloaderError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def problem(scope: Scope, error: AutoloaderError, errors: Sequence[FieldProblem] = ()) -> ProblemResponse:
    """The answer for an error of ours."""
    part = "query" if scope["method"] == "GET" else "body"  # services know fields, not where they came from
    found = errors or [_field((part, *place), detail) for place, detail in getattr(error, "fields", ())]
    content = Problem(
        type=PROBLEM_TYPE + error.code,
        title=error.code.replace("-", " ").capitalize(),
        status=error.status_code,
        detail=_told(error.message),
        code=error.code,
        hint=_told(error.hint),
        retryable=error.retryable,
        errors=list(found),
        request_id=str(scope.get("request_id", "")),
    )
    return ProblemResponse(
        content.model_dump(mode="json", by_alias=True), status_code=error.status_code, headers=_headers(error)
    )


def unexpected(scope: Scope) -> ProblemResponse:
    """The answer for a fault of the program: the log has what happened, the caller its number."""
    hint = "This is a fault of the program. Report it with the request id; the log tells more."
    return problem(scope, AutoloaderError("The call failed.", hint=hint))


def _headers(error: AutoloaderError) -> dict[str, str]:
    if isinstance(error, NotAuthenticated):
        return {"WWW-Authenticate": 'Bearer realm="autoloader"'}
    if isinstance(error, LeaseHeld):
        return {"Retry-After": str(max(1, math.ceil(error.seconds_left)))}
    return {"Retry-After": "1"} if error.retryable else {}


def _told(text: str) -> str:
    """Without secrets, and without what UTF-8 cannot write."""
    return redact(text).encode("utf-8", "backslashreplace").decode()


# --- by kind ---------------------------------------------------------------------------------


async def _known(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, AutoloaderError)  # noqa: S101 - for the type checker
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("a call was not answered", code=error.code, error=error.message)
    return problem(request.scope, error)


async def _invalid(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker
    items: Sequence[Mapping[str, Any]] = error.errors()
    if any(item["type"] == "json_invalid" for item in items):
        return problem(request.scope, MalformedCall("The body is not JSON.", hint="Send one JSON document."))
    errors = [_field(item["loc"], shape_service.problem_of(item)) for item in items]
    shown = "; ".join(f"{one.pointer or one.parameter}: {one.detail}" for one in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""  # noqa: PLR2004 - as many as are shown
    message = f"The call cannot be right: {shown}{more}."
    return problem(request.scope, InvalidInput(message, hint="Mend the fields named in `errors`."), errors)


async def _http(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    known: AutoloaderError
    if error.status_code == HTTPStatus.NOT_FOUND:
        known = NotFound("There is no such path.", hint="See the paths: GET /openapi.json")
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = dict(error.headers or {}).get("Allow", "")
        known = MethodNotAllowed("This path does not take that method.", hint=f"It takes {allowed}.")
    elif error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        known = CallTooLarge(str(error.detail), hint="Send less in one call.")
    else:
        known = MalformedCall("The call cannot be read.", hint="Send one JSON document, not too deep.")
    answer = problem(request.scope, known)
    answer.headers.update(dict(error.headers or {}))
    return answer


def _field(place: Sequence[str | int], detail: str) -> FieldProblem:
    """`("body", "source", "url")` → `#/source/url`; of a parameter or a header its name."""
    part = str(place[0]) if place and place[0] in _PARTS else "body"
    rest = shape_service.place_of(tuple(place[1:]))
    if part == "body":
        steps = "".join("/" + _told(str(step)).replace("~", "~0").replace("/", "~1") for step in rest)
        return FieldProblem.model_validate({"in": part, "pointer": f"#{steps}", "detail": _told(detail)})
    name = _told(str(rest[0])) if rest else ""
    return FieldProblem.model_validate({"in": part, "parameter": name, "detail": _told(detail)})
