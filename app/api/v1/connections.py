"""Connections: how object stores and catalogs are reached."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from app.api.deps import Given
from app.api.documents import problems
from app.api.keyed import KEYED, KeyedRoute
from app.api.views.connections import (
    ConnectionContent,
    ConnectionListOut,
    ConnectionOut,
    ConnectionShape,
    Name,
    ProbeIn,
    ProbeOut,
)
from app.errors import NotFound
from app.services.connection_service import ConnectionView

router = APIRouter(prefix="/v1", tags=["connections"])
keyed = APIRouter(prefix="/v1", tags=["connections"], route_class=KeyedRoute, dependencies=[KEYED])

Checked = Annotated[
    bool, Query(description="Refuse options that the kind does not have, or that lack their other half.")
]
OneName = Annotated[Name, Path(description="The connection's name.")]


@keyed.post("/connections", status_code=201, summary="Create a connection", responses=problems(409))
def create_connection(
    given: Given, shape: ConnectionShape, response: Response, check: Checked = False
) -> ConnectionOut:
    """Options may be shown; secrets are encrypted, and never shown again."""
    response.headers["Location"] = f"/v1/connections/{shape.name}"
    return _put(given, shape.name, shape, replace=False, check=check)


@router.get("/connections", summary="List connections")
def list_connections(given: Given) -> ConnectionListOut:
    """All of them, by name; of their secrets only the names."""
    return ConnectionListOut.model_validate({"items": given.connections.listed()})


@router.get("/connections/{name}", summary="Read a connection", responses=problems(404))
def read_connection(given: Given, name: OneName) -> ConnectionOut:
    """Of its secrets only the names."""
    return ConnectionOut.model_validate(_known(given, name))


@router.put("/connections/{name}", summary="Replace a connection", responses=problems(404, 409))
def update_connection(given: Given, name: OneName, content: ConnectionContent, check: Checked = False) -> ConnectionOut:
    """Options and secrets anew: what is left out is gone, secrets too."""
    _known(given, name)
    return _put(given, name, content, replace=True, check=check)


@router.delete("/connections/{name}", status_code=204, summary="Delete a connection", responses=problems(404, 409))
def delete_connection(given: Given, name: OneName) -> None:
    """With its secrets. Refused with 409 while an ingestion uses it."""
    given.connections.remove(name)


@router.post("/connections/{name}/test", summary="Test a connection", responses=problems(404, 429, 502))
def test_connection(given: Given, name: OneName, wanted: ProbeIn) -> ProbeOut:
    """Open, list and read, up to the first step that fails. Writes nothing."""
    with given.at.long_call():
        steps = given.health.test(name, wanted.url)
    return ProbeOut.model_validate({"ok": all(step.ok for step in steps), "steps": steps})


def _known(given: Given, name: str) -> ConnectionView:
    for view in given.connections.listed():
        if view.name == name:
            return view
    raise NotFound(f"There is no connection {name!r}.", hint="GET /v1/connections lists them.")


def _put(given: Given, name: str, content: ConnectionContent, *, replace: bool, check: bool) -> ConnectionOut:
    secrets = {key: value.get_secret_value() for key, value in content.secrets.items()}
    options = {**content.options, **secrets}
    store = given.connections.add if check else given.connections.put
    view = store(name, content.kind, options, secret_names=secrets, replace=replace)
    return ConnectionOut.model_validate(view)
