"""Parameters that many calls have."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Body, Path, Query

from app.api.views.ingestions import EXAMPLE_SHAPE
from app.schemas.ingestion import IngestionShape

IngestionId = Annotated[UUID, Path(description="The ingestion's id.")]
RunId = Annotated[UUID, Path(description="The run's id.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Most items of the page.")]
Cursor = Annotated[
    str | None, Query(max_length=8000, description="`next_cursor` of the page before; other parameters as they were.")
]
OfIngestion = Annotated[UUID, Query(description="The ingestion whose files are meant.")]
ListSeconds = Annotated[float, Query(gt=0, le=60, description="Longest time of listing the source.")]
ShapeBody = Annotated[IngestionShape, Body(openapi_examples={"orders": {"value": EXAMPLE_SHAPE}})]
