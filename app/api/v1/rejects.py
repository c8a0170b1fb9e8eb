"""Rejected records."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.deps import Given
from app.api.documents import problems
from app.api.v1.common import Cursor, IngestionId, Limit
from app.api.views.files import FileId, RejectPageOut

router = APIRouter(prefix="/v1", tags=["files"])


@router.get("/ingestions/{ingestion_id}/rejects", summary="List rejected records", responses=problems(404, 429, 502))
def list_rejects(
    given: Given,
    ingestion_id: IngestionId,
    file_id: Annotated[FileId | None, Query(description="Only of this file.")] = None,
    reason: Annotated[
        str | None, Query(pattern=r"^[a-z0-9-]{1,64}$", description="Only with this word as the reason.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> RejectPageOut:
    """Records that could not be parsed at all, with file, line, reason and raw text, in order of file and line. All
    pages are of one snapshot of the reject table.
    """
    of_file = int(file_id) if file_id is not None else None
    with given.at.long_call():
        found = given.rejects.page(ingestion_id, file_id=of_file, reason=reason, cursor=cursor, limit=limit)
    return RejectPageOut.model_validate(found)
