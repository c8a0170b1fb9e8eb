"""Clusters as the API takes and answers them. Secrets go in and never come out."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field, SecretStr

from app.api.views.base import Told, View, examples
from app.api.views.connections import Name, OptionName
from app.schemas.ingestion import Shape

_EXAMPLE: dict[str, Any] = {
    "url": "sc://spark.example.com:15002",
    "catalog": "lake",
    "options": {"max_sessions": "4"},
    "token": "…",
}


class ClusterContent(Shape):
    """All of a cluster but its name."""

    model_config = ConfigDict(json_schema_extra=examples(_EXAMPLE))

    url: str = Field(max_length=300, description="`sc://host:port`, without the token.")
    catalog: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="The catalog that a test looks at. A load writes to the one in its table's name.",
    )
    options: dict[OptionName, str] = Field(
        default_factory=dict,
        max_length=100,
        description="Shown to everybody: `tls`, `ca_file`, `user`, `max_sessions`, `source_access`, `header.NAME`,"
        " `conf.NAME`.",
    )
    token: SecretStr | None = Field(default=None, description="Encrypted, and never shown again.")
    secrets: dict[OptionName, SecretStr] = Field(
        default_factory=dict,
        max_length=100,
        description="Options that are encrypted, and never shown again, such as `header.x-api-key`.",
    )


class ClusterShape(ClusterContent):
    """A cluster: a Spark Connect endpoint."""

    model_config = ConfigDict(json_schema_extra=examples({"name": "big", **_EXAMPLE}))

    name: Name


class ClusterOut(View):
    """A cluster as people may see it: of its secrets only their names."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {
                "id": "5d0c1b1e-0000-4000-8000-000000000003",
                "name": "big",
                "url": "sc://spark.example.com:15002",
                "catalog": "lake",
                "options": {"max_sessions": "4"},
                "has_token": True,
                "secret_names": ["token"],
                "unreadable": "",
                "created_at": "2026-02-01T08:00:00Z",
                "updated_at": "2026-02-01T08:00:00Z",
            }
        )
    )

    id: UUID
    name: str
    url: str
    catalog: str | None
    options: dict[str, str]
    has_token: bool
    secret_names: tuple[str, ...]
    unreadable: Told = Field(description="Why its secrets cannot be read here; empty: they can.")
    created_at: datetime
    updated_at: datetime


class ClusterListOut(View):
    """All clusters, by name."""

    items: tuple[ClusterOut, ...]
