"""The hook by which stores tell of new objects."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from app.api.deps import Given
from app.api.documents import problems
from app.api.v1.common import IngestionId
from app.api.views.planning import NotifyOut, NotifyTokenOut
from app.services.arrival_messages import Notice
from app.services.notify_service import NotifyAnswer

router = APIRouter(prefix="/v1", tags=["events"])

_S3 = {
    "Records": [
        {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "shop"}, "object": {"key": "orders/2026-03-01.jsonl.gz"}},
        }
    ]
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "description": "What S3 (also by SNS or EventBridge), Event Grid or Pub/Sub send; `{}` says: look now.",
        "content": {"application/json": {"schema": {}, "examples": {"s3": {"value": _S3}, "plain": {"value": {}}}}},
    }
}
_HANDSHAKE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A handshake was answered: Event Grid's validation, or an SNS topic that waits to be confirmed.",
        "content": {
            "application/json": {
                "schema": {"type": "object", "additionalProperties": {"type": "string"}},
                "example": {"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"},
            }
        },
    }
}

Token = Annotated[
    str | None, Query(max_length=200, description="The ingestion's token, for senders that can set no header.")
]
TokenHeader = Annotated[
    str | None, Header(alias="X-Autoloader-Token", max_length=200, description="The ingestion's token.")
]
Signature = Annotated[
    str | None,
    Header(alias="X-Autoloader-Signature", max_length=200, description="`sha256=` and the HMAC of the body."),
]


@router.post(
    "/ingestions/{ingestion_id}/notify",
    status_code=202,
    response_model=NotifyOut,
    summary="Tell that objects arrived",
    responses={**_HANDSHAKE, **problems(404, 409)},
    openapi_extra=_BODY,
)
async def notify_ingestion(
    request: Request,
    given: Given,
    ingestion_id: IngestionId,
    token: Token = None,
    token_header: TokenHeader = None,
    signature: Signature = None,
) -> Response:
    """A message of a store is a hint: a run is asked for, after a quiet period, and the listing stays the truth. The
    wish is stored before it is answered. Takes the ingestion's own token, a signed body, or the API key.
    """
    body = await request.body()
    bearer = _bearer(request)
    sent = token or token_header or (bearer if not request.scope["trusted"] else None)
    if not request.scope["trusted"] or token or token_header or signature:
        await run_in_threadpool(given.notices.authenticate, ingestion_id, sent, signature, body)
    return _answer(await run_in_threadpool(given.notices.notify, ingestion_id, body))


def _bearer(request: Request) -> str | None:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None


def _answer(found: Notice | NotifyAnswer) -> Response:
    if isinstance(found, NotifyAnswer):
        return JSONResponse(NotifyOut.model_validate(found).model_dump(mode="json"), status_code=202)
    if found.validation_code is not None:
        return JSONResponse({"validationResponse": found.validation_code})
    next_step = "Confirm the subscription with the address in its message; it is not called from here."
    return JSONResponse({"topic": str(found.subscription), "next": next_step})


@router.post(
    "/ingestions/{ingestion_id}/notify-token", summary="Show the token of an ingestion's hook", responses=problems(404)
)
def show_notify_token(given: Given, ingestion_id: IngestionId) -> NotifyTokenOut:
    """The secret that a sender needs. It is derived from AUTOLOADER_SECRET_KEY: another key makes other tokens."""
    token = given.notices.token(ingestion_id)
    return NotifyTokenOut(
        token=token,
        path=f"/v1/ingestions/{ingestion_id}/notify?token={token}",
        signature="X-Autoloader-Signature: sha256=<HMAC-SHA256 of the body, key: the token, hexadecimal>",
    )
