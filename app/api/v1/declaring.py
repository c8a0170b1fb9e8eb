"""Ingestions as somebody declares them: YAML documents, or a source and a table."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.deps import Given
from app.api.documents import problems
from app.api.keyed import KEYED, KeyedRoute
from app.api.views.declaring import ApplyIn, ApplyOut, LoadIn, LoadOut

router = APIRouter(prefix="/v1", tags=["ingestions"])
keyed = APIRouter(prefix="/v1", tags=["ingestions"], route_class=KeyedRoute, dependencies=[KEYED])


@router.post("/apply", summary="Make ingestions as documents say", responses=problems(404, 409, 429))
def apply_documents(given: Given, wanted: ApplyIn) -> ApplyOut:
    """What `autoloader apply` does: all that the documents say, or nothing. First with `dry_run: true`, to see the
    difference; the same again changes nothing. Ingestions that they do not name are left alone.
    """
    with given.at.long_call():
        if wanted.dry_run:
            return ApplyOut.model_validate(given.declarations.plan(wanted.documents, wanted.name))
        return ApplyOut.model_validate(given.declarations.apply(wanted.documents, wanted.name, wanted.confirmation))


@keyed.post("/load", summary="Make ready what loads a source into a table", responses=problems(404, 409, 429, 502))
def prepare_load(given: Given, wanted: LoadIn) -> LoadOut:
    """What `autoloader load` does before it runs: find the ingestion of that source and table, or make it, its format
    inferred; a field that is given and differs changes it. Then POST /v1/ingestions/{id}/run loads what is new.
    """
    with given.at.long_call():
        return LoadOut.model_validate(given.declarations.load(wanted.url, wanted.table, wanted.fields))
