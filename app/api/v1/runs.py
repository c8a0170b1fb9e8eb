"""Runs: list, read with live progress, retry, cancel."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from app.api.deps import Given
from app.api.documents import problems
from app.api.keyed import KEYED, KeyedRoute
from app.api.v1.common import Cursor, Limit, RunId
from app.api.views.ingestions import RunState, TriggerOut, TriggerWord
from app.api.views.runs import CancelledOut, RunOut, RunPageOut
from app.services.run_query_service import RunQuery

router = APIRouter(prefix="/v1", tags=["runs"])
keyed = APIRouter(prefix="/v1", tags=["runs"], route_class=KeyedRoute, dependencies=[KEYED])

Moment = AwareDatetime | None


@router.get("/runs", summary="List runs", responses=problems(404))
def list_runs(
    given: Given,
    ingestion_id: Annotated[UUID | None, Query(description="Only of this ingestion.")] = None,
    state: Annotated[list[RunState] | None, Query(description="Only in this state; may be repeated.")] = None,
    trigger: Annotated[TriggerWord | None, Query(description="Only those begun so.")] = None,
    since: Annotated[Moment, Query(description="Begun at this time or later.")] = None,
    until: Annotated[Moment, Query(description="Begun before this time.")] = None,
    id_prefix: Annotated[
        str | None, Query(pattern=r"^[0-9a-f-]{4,36}$", description="Only those whose id begins so.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> RunPageOut:
    """The newest first, page by page; also of an ingestion that was deleted."""
    query = RunQuery(
        tenant_id=given.tenant_id,
        ingestion_id=ingestion_id,
        states=tuple(state or ()),
        trigger=trigger,
        since=since,
        until=until,
        id_prefix=id_prefix,
        limit=limit,
    )
    return RunPageOut.model_validate(given.runs.page(query, cursor))


@router.get("/runs/{run_id}", summary="Read a run", responses=problems(404))
def read_run(given: Given, run_id: RunId) -> RunOut:
    """A run with its batches and the files that were not loaded. While it goes on, `progress` has its numbers of this
    moment, counted from the ledger.
    """
    return RunOut.model_validate(given.runs.read(run_id))


@keyed.post("/runs/{run_id}/retry", status_code=202, summary="Retry a run", responses=problems(404, 409))
def retry_run(
    given: Given,
    run_id: RunId,
    quarantined: Annotated[
        bool, Query(description="Let the files that this run quarantined wait for the next run again.")
    ] = False,
) -> TriggerOut:
    """Ask for another run of the ingestion. It takes up what the retried run left: files that failed are tried again,
    batches that were begun are ended. Refused with 409 for a run that goes on, or that loaded all there was.
    """
    return TriggerOut.model_validate(given.steering.retry(run_id, quarantined=quarantined))


@router.post("/runs/{run_id}/cancel", status_code=202, summary="Cancel a run", responses=problems(404, 409))
def cancel_run(
    given: Given,
    run_id: RunId,
    at_once: Annotated[
        bool, Query(description="Do not ask Prefect to end it in order: take its lease from it now.")
    ] = False,
) -> CancelledOut:
    """Prefect is asked to end it where it started it; otherwise the run loses its lease, and can change nothing more.

    Nothing is half done either way: the next run goes on with its batches.
    """
    return CancelledOut.model_validate(given.run_control.cancel(run_id, at_once=at_once))
