"""ETags of ingestions: `"r<revision>.<of what is shown>"`.

The whole of it tells whether anything that is shown is new (If-None-Match). The revision alone decides whether a change
was made from the configuration as it is (If-Match): files and runs come and go without making a change stale.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

from fastapi import Header, Response

from app.api.views.ingestions import IngestionOut
from app.errors import InvalidInput, StaleRevision
from app.services.ingestion_query_service import IngestionDetail

_TAG = re.compile(r'\s*(?:W/)?"(?:r(\d{1,9})(?:\.[0-9a-f]*)?|[^"]*)"\s*')

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=500,
        description="The ETag of what the change was made from. Refused with 412 when the configuration was changed"
        " since; without it the change is made to whatever is there.",
    ),
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", max_length=500, description="Answer 304 when the ETag is still this one.")
]


def tagged(detail: IngestionDetail, *, status_code: int = 200, if_none_match: str | None = None) -> Response:
    """The ingestion with its ETag; nothing but the tag where the caller has it already."""
    content = IngestionOut.model_validate(detail).model_dump_json(by_alias=True)
    tag = f'"r{detail.revision}.{hashlib.sha256(content.encode()).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if if_none_match is not None and tag in {one.strip().removeprefix("W/") for one in if_none_match.split(",")}:
        return Response(status_code=304, headers=headers)
    if status_code == 201:  # noqa: PLR2004 - created
        headers["Location"] = f"/v1/ingestions/{detail.id}"
    return Response(content, status_code, headers=headers, media_type="application/json")


def expected_revision(if_match: str | None) -> int | None:
    """The revision that a change must have been made from; None: whatever is there. Raises StaleRevision."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = [_TAG.fullmatch(part) for part in if_match.split(",")]
    if len(found) != 1 or found[0] is None:
        raise InvalidInput("If-Match is not one ETag.", hint='Send the ETag as it came, such as "r3.5f0c1d2e3a4b5c6d".')
    if found[0].group(1) is None:
        raise StaleRevision("If-Match is no ETag of this ingestion.", hint="Read it again, then change what you see.")
    return int(found[0].group(1))
