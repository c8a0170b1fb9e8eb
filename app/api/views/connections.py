"""Connections as the API takes and answers them. Secrets go in and never come out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, SecretStr, field_validator

from app.api.views.base import Told, View, examples
from app.schemas.ingestion import Shape

ConnectionKind = Literal["s3", "az", "gs", "catalog"]
OptionName = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,99}$", description="Letters, digits, `_` and `-`; not a digit first."),
]

_EXAMPLE: dict[str, Any] = {
    "kind": "s3",
    "options": {"region": "eu-central-1", "access_key_id": "AKIDEXAMPLE"},
    "secrets": {"secret_access_key": "…"},
}


class ConnectionContent(Shape):
    """All of a connection but its name."""

    model_config = ConfigDict(json_schema_extra=examples(_EXAMPLE))

    kind: ConnectionKind
    options: dict[OptionName, str] = Field(
        default_factory=dict, max_length=100, description="Shown to everybody. What looks like a secret is encrypted."
    )
    secrets: dict[OptionName, SecretStr] = Field(
        default_factory=dict, max_length=100, description="Options that are encrypted, and never shown again."
    )

    @field_validator("secrets")
    @classmethod
    def _storable_secrets(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if any("\x00" in secret.get_secret_value() for secret in value.values()):
            message = "a secret must not hold a NUL character"
            raise ValueError(message)
        return value


class ConnectionShape(ConnectionContent):
    """A connection: how an object store or a catalog is reached."""

    model_config = ConfigDict(json_schema_extra=examples({"name": "shop", **_EXAMPLE}))

    name: Name


class ConnectionOut(View):
    """A connection as people may see it: of its secrets only their names."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {
                "name": "shop",
                "kind": "s3",
                "options": {"region": "eu-central-1", "access_key_id": "AKIDEXAMPLE"},
                "secret_names": ["secret_access_key"],
                "unreadable": "",
                "created_at": "2026-02-01T08:00:00Z",
                "updated_at": "2026-02-01T08:00:00Z",
            }
        )
    )

    name: str
    kind: ConnectionKind
    options: dict[str, str]
    secret_names: tuple[str, ...]
    unreadable: Told = Field(description="Why its secrets cannot be read here; empty: they can.")
    created_at: datetime
    updated_at: datetime


class ConnectionListOut(View):
    """All connections, by name."""

    items: tuple[ConnectionOut, ...]


class ProbeIn(Shape):
    """What to try a connection with."""

    model_config = ConfigDict(json_schema_extra=examples({"url": "s3://shop/orders/"}))

    url: str | None = Field(
        default=None, max_length=2048, description="Address to list and read; empty: where its first ingestion reads."
    )


class StepOut(View):
    """One thing that was tried."""

    name: str
    ok: bool
    detail: Told


class ProbeOut(View):
    """What was tried, up to the first step that failed."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {"ok": True, "steps": [{"name": "open", "ok": True, "detail": "s3://shop/orders (s3)"}]}
        )
    )

    ok: bool
    steps: tuple[StepOut, ...]
