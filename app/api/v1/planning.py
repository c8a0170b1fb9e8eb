"""Looks ahead: preview, estimate, refresh."""

from __future__ import annotations

from fastapi import APIRouter, Response
from starlette.responses import JSONResponse

from app.api.deps import Given
from app.api.documents import problems
from app.api.v1.common import IngestionId, ListSeconds
from app.api.views.ingestions import TriggerOut
from app.api.views.planning import EstimateOut, RefreshIn, RefreshPlanOut
from app.api.views.preview import PreviewIn, PreviewOut

router = APIRouter(prefix="/v1", tags=["planning"])

_DRY_RUN_SECONDS = 30.0


@router.post("/preview", summary="Look at a source before anything is saved", responses=problems(404, 409, 429, 502))
def preview_source(given: Given, wanted: PreviewIn) -> PreviewOut:
    """Its files, its format, the schema with the evidence for each column, and some rows. Stores nothing."""
    fields = wanted.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    with given.at.long_call():
        found = given.previews.preview(wanted.source.url, fields)
    return PreviewOut.model_validate(
        {**{name: getattr(found, name) for name in found.__slots__}, "columns": found.schema}
    )


@router.get(
    "/ingestions/{ingestion_id}/estimate",
    summary="Estimate the next run",
    responses=problems(404, 429, 502),
)
def estimate_run(given: Given, ingestion_id: IngestionId, seconds: ListSeconds = 10.0) -> EstimateOut:
    """Lists the source and compares it with the ledger: files, bytes, batches, and the time, by the speed of past
    runs. Changes nothing.
    """
    with given.at.long_call():
        return EstimateOut.model_validate(given.estimates.estimate(ingestion_id, seconds))


@router.post(
    "/ingestions/{ingestion_id}/refresh",
    response_model=RefreshPlanOut,
    summary="Load what is new, or everything again",
    responses={
        202: {"model": TriggerOut, "description": "Confirmed: the wish for a run is stored."},
        **problems(404, 409, 429, 502),
    },
)
def refresh_ingestion(given: Given, ingestion_id: IngestionId, wanted: RefreshIn) -> Response:
    """First with `dry_run: true`: the numbers, and a token. Then with `dry_run: false` and the token: it is done, if
    nothing has changed since.

    `new_only` does what `run` does. A `full` refresh is not offered yet (409): the old and the new rows would have to
    change places in one commit; its dry run says how much it would load.
    """
    if wanted.dry_run:
        with given.at.long_call():
            plan = given.refreshes.plan(ingestion_id, wanted.kind, _DRY_RUN_SECONDS)
        return JSONResponse(RefreshPlanOut.model_validate(plan).model_dump(mode="json"))
    made = given.refreshes.refresh(ingestion_id, wanted.kind, wanted.confirmation)
    return JSONResponse(TriggerOut.model_validate(made).model_dump(mode="json"), status_code=202)
