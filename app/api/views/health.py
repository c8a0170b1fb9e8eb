"""How the API says how it is."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from app.api.views.base import Told, View, examples


class LiveOut(View):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra=examples({"status": "live"}))

    status: Literal["live"] = "live"


class PartOut(View):
    """One thing that is needed. Degraded: it works without, for a while."""

    name: str
    state: Literal["ok", "degraded", "broken"]
    detail: Told
    hint: str


class ReadyOut(View):
    """Whether the process can do its work."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {
                "ready": True,
                "parts": [
                    {"name": "database", "state": "ok", "detail": "sqlite, at the revision of this version", "hint": ""}
                ],
            }
        )
    )

    ready: bool
    parts: tuple[PartOut, ...]


class VersionOut(View):
    """What runs here."""

    model_config = ConfigDict(json_schema_extra=examples({"version": "0.1.0", "api": "v1", "python": "3.11.9"}))

    version: str
    api: Literal["v1"] = "v1"
    python: str
