"""Clusters: Spark Connect endpoints."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from app.api.deps import Given
from app.api.documents import problems
from app.api.keyed import KEYED, KeyedRoute
from app.api.views.clusters import ClusterContent, ClusterListOut, ClusterOut, ClusterShape
from app.api.views.connections import ProbeOut

router = APIRouter(prefix="/v1", tags=["clusters"])
keyed = APIRouter(prefix="/v1", tags=["clusters"], route_class=KeyedRoute, dependencies=[KEYED])

ClusterId = Annotated[UUID, Path(description="The cluster's id.")]
Write = Annotated[bool, Query(description="Also make a table, publish a row in it, and remove both.")]
Namespace = Annotated[
    str | None,
    Query(max_length=128, description="Where that table is made; empty: in a namespace that is made, and removed too."),
]


@keyed.post("/clusters", status_code=201, summary="Create a cluster", responses=problems(409))
def create_cluster(given: Given, shape: ClusterShape, response: Response) -> ClusterOut:
    """Token and secrets are encrypted, and never shown again."""
    made = given.clusters.create(shape.name, shape.url, **_rest(shape))
    response.headers["Location"] = f"/v1/clusters/{made.id}"
    return ClusterOut.model_validate(made)


@router.get("/clusters", summary="List clusters")
def list_clusters(given: Given) -> ClusterListOut:
    """All of them, by name; of their secrets only the names."""
    return ClusterListOut.model_validate({"items": given.clusters.listed()})


@router.get("/clusters/{cluster_id}", summary="Read a cluster", responses=problems(404))
def read_cluster(given: Given, cluster_id: ClusterId) -> ClusterOut:
    """Of its secrets only the names."""
    return ClusterOut.model_validate(given.clusters.read(cluster_id))


@router.put("/clusters/{cluster_id}", summary="Replace a cluster", responses=problems(404))
def update_cluster(given: Given, cluster_id: ClusterId, content: ClusterContent) -> ClusterOut:
    """All but its name anew: what is left out is gone, token and secrets too."""
    return ClusterOut.model_validate(given.clusters.replace(cluster_id, content.url, **_rest(content)))


@router.delete("/clusters/{cluster_id}", status_code=204, summary="Delete a cluster", responses=problems(404, 409))
def delete_cluster(given: Given, cluster_id: ClusterId) -> None:
    """With its token. Refused with 409 while an ingestion runs on it."""
    given.clusters.remove(cluster_id)


@router.post("/clusters/{cluster_id}/test", summary="Test a cluster", responses=problems(404, 429))
def test_cluster(  # it is no test of ours
    given: Given,
    cluster_id: ClusterId,
    write: Write = True,  # noqa: PT028
    namespace: Namespace = None,  # noqa: PT028
) -> ProbeOut:
    """Whether its endpoint takes connections, which Spark answers, whether the token is right, and what is there of
    what loads need: Iceberg, the catalog, staging. Up to the first step that the others rest on and that fails.
    """
    with given.at.long_call():
        steps = given.clusters.test(cluster_id, write=write, namespace=namespace)
    return ProbeOut.model_validate({"ok": all(step.ok for step in steps), "steps": steps})


def _rest(content: ClusterContent) -> dict[str, Any]:
    return {
        "catalog": content.catalog,
        "options": content.options,
        "token": content.token.get_secret_value() if content.token is not None else None,
        "secrets": {key: value.get_secret_value() for key, value in content.secrets.items()},
    }
