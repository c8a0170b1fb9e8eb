"""Clusters: Spark Connect endpoints."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from app.api.deps import Given
from app.api.documents import problems
from app.api.keyed import KEYED, KeyedRoute
from app.api.views.connections import ClusterListOut, ClusterOut, ClusterShape, ProbeOut

router = APIRouter(prefix="/v1", tags=["clusters"])
keyed = APIRouter(prefix="/v1", tags=["clusters"], route_class=KeyedRoute, dependencies=[KEYED])

ClusterId = Annotated[UUID, Path(description="The cluster's id.")]


@keyed.post("/clusters", status_code=201, summary="Create a cluster", responses=problems(409))
def create_cluster(given: Given, shape: ClusterShape, response: Response) -> ClusterOut:
    """The token is encrypted, and never shown again."""
    made = given.clusters.create(
        shape.name,
        shape.url,
        catalog=shape.catalog,
        options=shape.options,
        token=shape.token.get_secret_value() if shape.token is not None else None,
    )
    response.headers["Location"] = f"/v1/clusters/{made.id}"
    return ClusterOut.model_validate(made)


@router.get("/clusters", summary="List clusters")
def list_clusters(given: Given) -> ClusterListOut:
    """All of them, by name."""
    return ClusterListOut.model_validate({"items": given.clusters.listed()})


@router.get("/clusters/{cluster_id}", summary="Read a cluster", responses=problems(404))
def read_cluster(given: Given, cluster_id: ClusterId) -> ClusterOut:
    """Of its token only whether there is one."""
    return ClusterOut.model_validate(given.clusters.read(cluster_id))


@router.delete("/clusters/{cluster_id}", status_code=204, summary="Delete a cluster", responses=problems(404, 409))
def delete_cluster(given: Given, cluster_id: ClusterId) -> None:
    """With its token. Refused with 409 while an ingestion runs on it."""
    given.clusters.remove(cluster_id)


@router.post("/clusters/{cluster_id}/test", summary="Test a cluster", responses=problems(404, 429))
def test_cluster(given: Given, cluster_id: ClusterId) -> ProbeOut:
    """Whether its endpoint takes connections, and whether a session can be had; up to the first step that fails."""
    with given.at.long_call():
        steps = given.clusters.test(cluster_id)
    return ProbeOut.model_validate({"ok": all(step.ok for step in steps), "steps": steps})
