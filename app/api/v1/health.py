"""Health and version of this process."""

from __future__ import annotations

import platform

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from app.api.deps import state_of
from app.api.views.health import LiveOut, ReadyOut, VersionOut

router = APIRouter(tags=["service"])


@router.get("/health/live", summary="Whether the process answers")
async def live() -> LiveOut:
    """Looks at nothing else: what is wrong with the database does not get better by a restart."""
    return LiveOut()


@router.get(
    "/health/ready",
    response_model=ReadyOut,
    summary="Whether the process can do its work",
    responses={503: {"model": ReadyOut, "description": "The database does not answer, or is not at this version."}},
)
def ready(request: Request) -> Response:
    """The database must answer and be at this version's revision. Without Prefect the API is ready all the same:
    changes are stored, and Prefect follows when it is back.
    """
    found = state_of(request).readiness.look()
    return JSONResponse(ReadyOut.model_validate(found).model_dump(mode="json"), 200 if found.ready else 503)


@router.get("/version", summary="What runs here")
async def show_version(request: Request) -> VersionOut:
    """The version of the Autoloader, of its API and of Python."""
    return VersionOut(version=request.app.version, python=platform.python_version())
