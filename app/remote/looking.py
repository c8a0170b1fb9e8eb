"""Looks through a server: at a source before anything is saved, and at how the server itself is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any
from uuid import UUID

from app.errors import AutoloaderError, InvalidInput
from app.remote.connections import RemoteConnections
from app.remote.http import LONG, Server
from app.remote.ingestions import RemoteIngestions
from app.services.estimate_service import Estimate
from app.services.health_service import BROKEN, OK, WARNING, Check
from app.services.preview_service import Preview

_STATES = {"ok": OK, "degraded": WARNING}


def address_of(url: str, server: Server) -> str:
    """The address as the server reads it. Raises InvalidInput for a path that depends on where somebody stands."""
    if "://" in url or url.startswith(("/", "~")):
        return url
    raise InvalidInput(
        f"{url!r} depends on the folder this command is called in; the server {server.url} reads folders of its own"
        " machine.",
        hint="Give the absolute path of a folder there, or an s3://, az:// or gs:// address; to read this machine's"
        " folder: --embedded",
    )


def preview(server: Server, source: str, given: Mapping[str, Any]) -> Preview:
    """As `PreviewService.preview`, of what the server reaches."""
    body = {"source": {**given.get("source", {}), "url": address_of(source, server)}}
    if given.get("format"):
        body["format"] = given["format"]
    found = server.post("/v1/preview", body, safe=True, seconds=LONG)
    return server.read(Preview, {**found, "schema": found.get("columns")})


def estimate(server: Server, ingestion_id: UUID, seconds: float) -> Estimate:
    """As `EstimateService.estimate`, by the server."""
    found = server.get(f"/v1/ingestions/{ingestion_id}/estimate", {"seconds": seconds}, seconds=LONG)
    return server.read(Estimate, found)


def checks(server: Server) -> Iterator[Check]:
    """What the server says of itself, and what waits there for a person. What goes wrong is a result, never raised."""
    try:
        yield from _server(server)
        yield from _waiting(server)
    except AutoloaderError as error:
        yield Check(f"server {server.url}", BROKEN, error.message, error.hint)


def _server(server: Server) -> Iterator[Check]:
    found, ours = server.get("/version"), version("iomete-autoloader")
    theirs = str(found.get("version"))
    told = f"version {theirs}, Python {found.get('python')}"
    if theirs == ours:
        yield Check(f"server {server.url}", OK, told)
    else:
        hint = "Bring both to one version: commands may need what the other one lacks."
        yield Check(f"server {server.url}", WARNING, f"{told}; this command is of version {ours}", hint)
    for part in server.health():
        state = _STATES.get(part["state"], BROKEN)
        yield Check(str(part["name"]), state, str(part["detail"]), str(part["hint"]))


def _waiting(server: Server) -> Iterator[Check]:
    for one in RemoteConnections(server).listed():
        if one.unreadable:
            anew = f"Store it anew: autoloader connections add {one.name} {one.kind}"
            yield Check(f"connection {one.name}", BROKEN, one.unreadable, anew)
    for name, evidence in RemoteIngestions(server).blocked().items():
        hint = f"See the evidence and decide: autoloader ingestions resolve {name}"
        yield Check(f"ingestion {name}", BROKEN, f"blocked: {evidence}", hint)
