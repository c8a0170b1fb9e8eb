"""Ingestions: create, list, read, change, delete, run, pause."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Response

from app.api.deps import Given
from app.api.documents import problems
from app.api.etags import IfMatch, IfNoneMatch, expected_revision, tagged
from app.api.keyed import KEYED, KeyedRoute
from app.api.v1.common import Cursor, IngestionId, Limit, ShapeBody
from app.api.views.ingestions import (
    DeletedOut,
    FiresOut,
    IngestionDetailPageOut,
    IngestionOut,
    IngestionPageOut,
    TriggerOut,
)
from app.services.ingestion_query_service import IngestionQuery
from app.services.steering_service import Deleted, TriggerView

router = APIRouter(prefix="/v1", tags=["ingestions"])
keyed = APIRouter(prefix="/v1", tags=["ingestions"], route_class=KeyedRoute, dependencies=[KEYED])

_ETAG = {"ETag": {"description": "Send it back as If-Match or If-None-Match.", "schema": {"type": "string"}}}
_LOCATION = {"Location": {"description": "Where the ingestion is.", "schema": {"type": "string"}}}

Text = Annotated[str | None, Query(max_length=400)]
Sort = Literal["name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"]


@keyed.post(
    "/ingestions",
    status_code=201,
    response_model=IngestionOut,
    summary="Create an ingestion",
    responses={201: {"headers": {**_ETAG, **_LOCATION}}, **problems(409)},
)
def create_ingestion(given: Given, shape: ShapeBody) -> Response:
    """Store a new ingestion, and bring Prefect in step with it. When Prefect is down, it is stored all the same:
    `prefect.sync` is `pending` until it is back.

    A deleted ingestion with the same source and table is adopted with its ledger: nothing is loaded twice. Refused with
    409 when the name is taken, or when another ingestion's source overlaps into the same table.
    """
    return tagged(given.steering.create(shape), status_code=201)


@router.get("/ingestions", response_model=IngestionPageOut | IngestionDetailPageOut, summary="List ingestions")
def list_ingestions(
    given: Given,
    name: Annotated[Text, Query(description="Exactly this name.")] = None,
    search: Annotated[Text, Query(description="A part of the name, whatever its case.")] = None,
    state: Annotated[Literal["active", "paused", "blocked"] | None, Query(description="Only in this state.")] = None,
    table: Annotated[Text, Query(description="Only into this table.")] = None,
    connection: Annotated[Text, Query(description="Only those that read with this connection.")] = None,
    format_: Annotated[Text, Query(alias="format", description="Only of this format.")] = None,
    work_queue: Annotated[
        Literal["auto", "default", "high_memory"] | None, Query(description="Only with this choice of a queue.")
    ] = None,
    prefect_sync: Annotated[
        Literal["in_sync", "pending", "error", "off"] | None, Query(description="How far Prefect follows.")
    ] = None,
    sort: Annotated[Sort, Query(description="Order; `-` turns it round.")] = "name",
    details: Annotated[
        bool, Query(description="Each as it is read alone: with configuration, schema and all its files by state.")
    ] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> IngestionPageOut | IngestionDetailPageOut:
    """Page by page, filtered and sorted, each with its newest run and with how many files are not loaded.

    `details` counts the loaded files too, which takes long where there are millions.
    """
    query = IngestionQuery(
        tenant_id=given.tenant_id,
        name=name,
        search=search,
        table=table,
        connection=connection,
        format=format_,
        work_queue=work_queue,
        state=state,
        prefect_sync=prefect_sync,
        sort=sort.removeprefix("-"),
        down=sort.startswith("-"),
        limit=limit,
    )
    if details:
        return IngestionDetailPageOut.model_validate(given.ingestions.detailed_page(query, cursor))
    return IngestionPageOut.model_validate(given.ingestions.page(query, cursor))


@router.get(
    "/ingestions/{ingestion_id}",
    response_model=IngestionOut,
    summary="Read an ingestion",
    responses={200: {"headers": _ETAG}, **problems(304, 404)},
)
def read_ingestion(given: Given, ingestion_id: IngestionId, if_none_match: IfNoneMatch = None) -> Response:
    """Its configuration, its schema with the evidence, its files by state, its newest run, and how far Prefect
    follows.
    """
    return tagged(given.ingestions.read(ingestion_id), if_none_match=if_none_match)


@router.put(
    "/ingestions/{ingestion_id}",
    response_model=IngestionOut,
    summary="Replace an ingestion's configuration",
    responses={200: {"headers": _ETAG}, **problems(404, 409, 412)},
)
def update_ingestion(given: Given, ingestion_id: IngestionId, shape: ShapeBody, if_match: IfMatch = None) -> Response:
    """The whole configuration anew; what it leaves out has its default, but `paused`, which stays as it is.

    Source and table cannot be changed (409): the ledger says what of that source is in that table.
    """
    return tagged(given.steering.replace(ingestion_id, shape, expected_revision(if_match)))


@router.patch(
    "/ingestions/{ingestion_id}",
    response_model=IngestionOut,
    summary="Change some fields of an ingestion",
    responses={200: {"headers": _ETAG}, **problems(404, 409, 412)},
)
def patch_ingestion(
    given: Given,
    ingestion_id: IngestionId,
    patch: Annotated[
        dict[str, Any],
        Body(
            media_type="application/merge-patch+json",
            openapi_examples={"schedule": {"value": {"schedule": {"interval_seconds": 300}, "arrival": None}}},
        ),
    ],
    if_match: IfMatch = None,
) -> Response:
    """A JSON merge patch (RFC 7396) of the configuration: fields that are given are set, null gives a field its
    default, all others stay.
    """
    return tagged(given.steering.patch(ingestion_id, patch, expected_revision(if_match)))


@router.delete("/ingestions/{ingestion_id}", summary="Delete an ingestion", responses=problems(404, 409, 412))
def delete_ingestion(
    given: Given,
    ingestion_id: IngestionId,
    running: Annotated[
        Literal["refuse", "cancel", "finish"],
        Query(description="A run that is active: refuse the deletion, cancel the run, or let it go on to its end."),
    ] = "refuse",
    if_match: IfMatch = None,
) -> DeletedOut:
    """Forget the configuration, and remove its deployment from Prefect. The table and the ledger stay: made again for
    the same source and table, the ingestion goes on where it stopped.
    """
    done: Deleted = given.steering.delete(ingestion_id, running, expected_revision(if_match))
    return DeletedOut.model_validate(done)


@router.get("/ingestions/{ingestion_id}/schedule", summary="See when it runs next", responses=problems(404))
def read_schedule(
    given: Given,
    ingestion_id: IngestionId,
    count: Annotated[int, Query(ge=1, le=100, description="How many moments.")] = 5,
) -> FiresOut:
    """The moments at which Prefect starts it, in the zone of its schedule; what a change of clocks makes of them is
    told with them.
    """
    return FiresOut.model_validate(given.ingestions.fires(ingestion_id, count))


# --- run, pause ------------------------------------------------------------------------------


@keyed.post(
    "/ingestions/{ingestion_id}/run", status_code=202, summary="Run an ingestion now", responses=problems(404, 409)
)
def trigger_run(given: Given, ingestion_id: IngestionId) -> TriggerOut:
    """Store the wish for a run, and hand it to Prefect. When Prefect is down, it is delivered when it is back.

    One that comes while a run is active starts another run after it.
    """
    return _out(given.steering.run(ingestion_id))


@router.get("/triggers/{trigger_id}", summary="See what became of a wish for a run", responses=problems(404))
def read_trigger(
    given: Given, trigger_id: Annotated[UUID, Path(description="The id that the call for the run was answered with.")]
) -> TriggerOut:
    """Whether it was delivered to Prefect, and which run it became."""
    return _out(given.steering.trigger(trigger_id))


@router.post(
    "/ingestions/{ingestion_id}/pause",
    response_model=IngestionOut,
    summary="Pause an ingestion",
    responses={200: {"headers": _ETAG}, **problems(404)},
)
def pause_ingestion(given: Given, ingestion_id: IngestionId) -> Response:
    """It refuses to run until it is resumed; a run that is active goes on to its end."""
    return tagged(given.steering.pause(ingestion_id, paused=True))


@router.post(
    "/ingestions/{ingestion_id}/resume",
    response_model=IngestionOut,
    summary="Resume a paused ingestion",
    responses={200: {"headers": _ETAG}, **problems(404)},
)
def resume_ingestion(given: Given, ingestion_id: IngestionId) -> Response:
    """Its schedule and its events count again; the next run takes all that came meanwhile."""
    return tagged(given.steering.pause(ingestion_id, paused=False))


def _out(view: TriggerView) -> TriggerOut:
    return TriggerOut.model_validate(view)
