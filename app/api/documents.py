"""The OpenAPI document: what FastAPI knows, with the errors of every call, the key, and the words around it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from app import errors
from app.api.views.problems import MEDIA_TYPE, Problem

DESCRIPTION = """\
Files land in object storage; the Autoloader loads each of them exactly once into an Apache Iceberg table.

- Errors are problems (RFC 9457) with a stable `code`, the fields that are wrong, and the next step in `hint`.
- Fields and parameters that are not documented are refused.
- Lists come in pages: give `next_cursor` as `cursor` to go on.
- Ids of files and snapshots have 64 bits, and are texts, so that no program rounds them.
"""

TAGS = [
    {"name": "ingestions", "description": "What is loaded from where into which table: create, change, run, pause."},
    {"name": "planning", "description": "Looks ahead: preview, estimate, refresh."},
    {"name": "runs", "description": "Executions of ingestions, with live progress."},
    {"name": "files", "description": "The ledger: where is this file now?"},
    {"name": "decisions", "description": "What no machine can decide."},
    {"name": "events", "description": "The hook by which stores tell of new objects."},
    {"name": "connections", "description": "How object stores and catalogs are reached."},
    {"name": "clusters", "description": "Spark Connect endpoints."},
    {"name": "service", "description": "Health and version of the API itself."},
]

_MEANINGS = {
    304: "The caller has it already.",
    400: "The body cannot be read.",
    401: "No key, or a wrong one.",
    403: "A page of another site sent the call.",
    404: "There is no such thing, or it is another tenant's.",
    405: "The path does not take this method.",
    409: "Right in itself, wrong now: `hint` says what to do first.",
    412: "It was changed since it was read.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
    421: "The API is not known by this name.",
    422: "A field or parameter cannot be right: see `errors`.",
    429: "Too many calls that take long go on. Try again.",
    500: "A fault of the program; `request_id` finds it in the log.",
    502: "Source or catalog do not answer as they should.",
    503: "The database does not answer, or is not at this version's revision.",
}
_EXAMPLES: dict[int, errors.AutoloaderError] = {
    401: errors.NotAuthenticated("The call carries no key.", hint="Send AUTOLOADER_API_KEY as Authorization: Bearer."),
    404: errors.NotFound("There is no such thing.", hint="GET /v1/ingestions lists them."),
    409: errors.LeaseHeld("Another run of this ingestion is active.", hint="Wait for it, or stop it."),
    412: errors.StaleRevision("orders was changed meanwhile: it is at revision 4, not 3.", hint="Read it again."),
    422: errors.InvalidInput("The call cannot be right: #/source/url: this field is needed.", hint="Mend the fields."),
}
_EVERYWHERE = (401, 421, 422, 500)
_WITH_DATABASE = (503,)
_WITH_BODY = (400, 413, 415)


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The errors of one call beyond those that each call may have."""
    return {code: _answer(code) for code in codes}


def _answer(code: int) -> dict[str, Any]:
    if code == 304:  # noqa: PLR2004 - not modified: has no body
        return {"description": _MEANINGS[code]}
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if code in _EXAMPLES:
        error = _EXAMPLES[code]
        content["example"] = {
            "type": f"urn:iomete:autoloader:problem:{error.code}",
            "title": error.code.replace("-", " ").capitalize(),
            "status": code,
            "detail": error.message,
            "code": error.code,
            "hint": error.hint,
            "retryable": error.retryable,
            "errors": [{"in": "body", "pointer": "#/source/url", "detail": "this field is needed"}]
            if code == 422  # noqa: PLR2004 - the fields
            else [],
            "request_id": "5f0c1d2e3a4b5c6d",
        }
    return {"description": _MEANINGS[code], "content": {MEDIA_TYPE: content}}


def operation_id(route: APIRoute) -> str:
    """The handler's name: it stays when paths move."""
    return route.name


def install(app: FastAPI) -> None:
    """Let the application answer our document, made once."""

    def made_once() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = made_once  # type: ignore[method-assign] # the way FastAPI's own documentation names


def _document(app: FastAPI) -> dict[str, Any]:
    """The whole of it. Each call names all errors it can be answered with."""
    made = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    reference = "#/components/schemas/{model}"
    problem = Problem.model_json_schema(ref_template=reference, mode="serialization")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    made["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "AUTOLOADER_API_KEY."},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "AUTOLOADER_API_KEY."},
    }
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return made


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    is_open = path.startswith("/health/")
    codes = [*_EVERYWHERE, *(() if is_open or path == "/version" else _WITH_DATABASE)]
    if method in {"post", "put", "patch", "delete"}:
        codes += [403, *_WITH_BODY]
    answers = operation["responses"]
    for code in codes:
        answers.setdefault(str(code), _answer(code))
    answers["422"] = _answer(422)  # FastAPI has put its own form there
    operation["responses"] = dict(sorted(answers.items()))
    # On loopback the key may be left out; health is open everywhere.
    operation["security"] = [] if is_open else [{"bearer": []}, {"apiKey": []}, {}]
