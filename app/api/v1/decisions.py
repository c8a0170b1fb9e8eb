"""What no machine can decide, shown to a person and decided by them."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.deps import Given
from app.api.documents import problems
from app.api.v1.common import IngestionId
from app.api.views.planning import BlockedOut, Decision, DecisionOut, TableEvidenceListOut

router = APIRouter(prefix="/v1", tags=["decisions"])


@router.get("/ingestions/{ingestion_id}/blocked", summary="See what blocks an ingestion", responses=problems(404))
def list_blocked(given: Given, ingestion_id: IngestionId) -> BlockedOut:
    """The batches of which nobody can tell whether they are in the table, as the ledger has them."""
    return BlockedOut.model_validate({"items": given.decisions.blocked(ingestion_id)})


@router.post(
    "/ingestions/{ingestion_id}/evidence",
    summary="Look at the table for evidence",
    responses=problems(404, 409, 429, 502),
)
def look_for_evidence(given: Given, ingestion_id: IngestionId) -> TableEvidenceListOut:
    """The same batches with what the table says at this moment; without any, whether it was dropped. Changes nothing
    and needs no lease.
    """
    with given.at.long_call():
        items = given.decisions.evidence(ingestion_id)
        changed = None if items else given.decisions.table_changed(ingestion_id)
    return TableEvidenceListOut.model_validate({"items": items, "table_changed": changed})


@router.post("/ingestions/{ingestion_id}/resolve", summary="Decide", responses=problems(404, 409, 429, 502))
def resolve_ingestion(given: Given, ingestion_id: IngestionId, decision: Decision) -> DecisionOut:
    """Take the decision that no machine can take. Look at the evidence first: a batch that is in the table and is said
    not to be is loaded twice; one that is not and is said to be is never loaded.
    """
    with given.at.long_call():
        if decision.batch_id is None:
            return DecisionOut(table_uuid=given.decisions.accept_table(ingestion_id))
        report = given.decisions.decide(ingestion_id, decision.batch_id, landed=bool(decision.landed))
    return DecisionOut(batch_id=report.batch_id, state=report.state.value, children=report.children)
