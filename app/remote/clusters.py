"""Clusters of a server: secrets go there, and never come back."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from app.errors import NotFound
from app.remote.connections import Step
from app.remote.http import LONG, Server
from app.services.cluster_service import ClusterView


class RemoteClusters:
    """As `ClusterService`. Raises as it does, and as `Server` does."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def create(
        self, name: str, url: str, *, catalog: str | None, options: Mapping[str, str], secrets: Mapping[str, str]
    ) -> ClusterView:
        """Raises Conflict, InvalidInput."""
        shape = {"name": name, **_content(url, catalog, options, secrets)}
        return self.server.read(ClusterView, self.server.post("/v1/clusters", shape, once=True))

    def replace(
        self, cluster_id: UUID, url: str, *, catalog: str | None, options: Mapping[str, str], secrets: Mapping[str, str]
    ) -> ClusterView:
        """Raises NotFound, InvalidInput."""
        answer = self.server.put(f"/v1/clusters/{cluster_id}", _content(url, catalog, options, secrets))
        return self.server.read(ClusterView, answer)

    def listed(self) -> list[ClusterView]:
        return self.server.read(list[ClusterView], self.server.get("/v1/clusters").get("items"))

    def named(self, name: str) -> ClusterView:
        """Raises NotFound."""
        for view in self.listed():
            if view.name == name:
                return view
        raise NotFound(f"There is no cluster {name!r}.", hint="See: autoloader clusters list")

    def remove(self, cluster_id: UUID) -> None:
        """Raises Conflict while an ingestion runs on it."""
        self.server.delete(f"/v1/clusters/{cluster_id}")

    def test(self, cluster_id: UUID, *, write: bool, namespace: str | None) -> list[Step]:
        """From the server's side."""
        answer = self.server.post(
            f"/v1/clusters/{cluster_id}/test",
            params={"write": write, "namespace": namespace},
            safe=True,
            seconds=LONG,
        )
        return self.server.read(list[Step], answer.get("steps"))


def _content(
    url: str, catalog: str | None, options: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, object]:
    return {"url": url, "catalog": catalog, "options": dict(options), "secrets": dict(secrets)}
