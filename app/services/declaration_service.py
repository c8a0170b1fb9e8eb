"""Ingestions as somebody declares them, by YAML or by source and table: the database first, then Prefect follows.

For whoever works with another machine: paths that depend on where a process was started are refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.config import Settings
from app.database import Database
from app.errors import InvalidInput, NotConfirmed
from app.models import DEFAULT_TENANT
from app.services import shape_service
from app.services.apply_service import Action, ApplyService, Step
from app.services.follower import Follower
from app.services.ingestion_query_service import IngestionDetail, IngestionQueryService
from app.services.ingestion_service import IngestionService
from app.services.load_service import LoadService

_PARTS = ("source", "format", "destination", "columns", "policies", "row_columns")


@dataclass(frozen=True, slots=True)
class Declared:
    """What documents would do, or did: `applied`. `confirmation` tells this plan from another one."""

    steps: tuple[Step, ...]
    applied: bool
    confirmation: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The ingestion that loads a source into a table. `notes` say what was inferred or changed."""

    ingestion: IngestionDetail
    created: bool
    notes: tuple[str, ...]


class DeclarationService:
    def __init__(
        self, database: Database, settings: Settings, follower: Follower, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.follower = follower
        self.applying = ApplyService(database, settings, tenant_id)
        self.loading = LoadService(database, settings, tenant_id=tenant_id)
        self.ingestions = IngestionService(database, settings, tenant_id=tenant_id)
        self.queries = IngestionQueryService(database, tenant_id)

    def plan(self, documents: str, name: str) -> Declared:
        """What the documents would do; `name` stands for them in messages. Raises as `ApplyService.plan` does."""
        steps = self.applying.plan(documents, name, None, everywhere=True)
        return Declared(tuple(steps), applied=False, confirmation=_mark(steps))

    def apply(self, documents: str, name: str, confirmation: str | None) -> Declared:
        """Do all that they say, or nothing. Raises as `plan` and `carry_out` do, and NotConfirmed when `confirmation`
        is of another plan.
        """
        plan = self.plan(documents, name)
        if confirmation is not None and confirmation != plan.confirmation:
            raise NotConfirmed(
                "The documents would do something else than what was shown.", hint="Look at the difference again."
            )
        changing = [step for step in plan.steps if step.action is not Action.NOTHING]
        self.applying.carry_out(plan.steps)
        for step in changing:
            self.follower.push(self.ingestions.find(step.name).id)
        return Declared(plan.steps, applied=bool(changing), confirmation=plan.confirmation)

    def load(self, url: str, table: str, fields: Mapping[str, Any]) -> Ready:
        """The ingestion for it: found, made, or changed where `fields` of its shape differ. Raises as
        `LoadService.prepare` does.
        """
        shape_service.require_everywhere(url, ("url",))
        for part in _PARTS:
            if not isinstance(fields.get(part, {}), Mapping):
                problem = "this part has fields of its own"
                raise InvalidInput(f"{part}: {problem}.", hint="Give an object.", fields=[(("fields", part), problem)])
        prepared = self.loading.prepare(url, table, fields)
        if prepared.created or prepared.notes:
            self.follower.push(prepared.ingestion.id)
        return Ready(self.queries.read(prepared.ingestion.id), prepared.created, prepared.notes)


def _mark(steps: Sequence[Step]) -> str:
    told = [[step.name, step.action, [[one.field, one.old, one.new] for one in step.changes]] for step in steps]
    return hashlib.sha256(json.dumps(told, default=str).encode("utf-8", "backslashreplace")).hexdigest()[:32]
