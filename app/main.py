"""The API as one application: `uvicorn --factory app.main:create_app`, or `autoloader api`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import Depends, FastAPI

from app.api import documents, error_handlers, v1
from app.api.calls import Calls
from app.api.guard import Guard, require_safe
from app.api.queries import only_known
from app.api.state import State
from app.config import Settings, get_settings
from app.runtime.loops import Loops


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application. Raises InvalidInput where it would stand open to a network."""
    settings = settings or get_settings()
    require_safe(settings)  # here, because what stands around the application is made with its first call
    state = State.of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        loops = Loops(state.database, settings, state.prefect)
        if settings.reconcile_in_api:
            loops.start()
        yield
        loops.stop()
        state.close()

    app = FastAPI(
        title="IOMETE Autoloader",
        summary="Loads new files into Apache Iceberg tables, each exactly once.",
        version=version("iomete-autoloader"),
        lifespan=lifespan,
        dependencies=[Depends(only_known)],
        generate_unique_id_function=documents.operation_id,
        redirect_slashes=False,
        docs_url=None,  # their pages fetch programs from a network
        redoc_url=None,
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )
    app.state.autoloader = state
    for router in v1.routers:
        app.include_router(router)
    documents.install(app)
    error_handlers.install(app)
    app.add_middleware(partial(Guard, settings=settings))
    app.add_middleware(Calls)
    return app
