"""Refresh: load what is new, or everything again. Each is seen in numbers first, then confirmed by a token.

The token says what was seen: it is refused when ingestion or ledger changed since, or after some minutes.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from app.config import Settings
from app.database import Database
from app.errors import NotConfirmed, NotOffered
from app.ingest.ports import Clock, SystemClock
from app.models import DEFAULT_TENANT
from app.services.estimate_service import Estimate, EstimateService
from app.services.follower import Follower
from app.services.ingestion_query_service import IngestionDetail, IngestionQueryService
from app.services.steering_service import SteeringService, TriggerView
from app.values import FileState
from app.vault import Vault

Kind = Literal["new_only", "full"]

_VALID = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """What a refresh would do. `loaded_files` are in the table already; a full refresh would load them again."""

    kind: Kind
    offered: bool
    why_not: str | None
    estimate: Estimate
    loaded_files: int
    confirmation: str
    valid_until: datetime


class RefreshService:
    def __init__(
        self,
        database: Database,
        settings: Settings,
        follower: Follower,
        tenant_id: str = DEFAULT_TENANT,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.vault = Vault.from_settings(settings)
        self.queries = IngestionQueryService(database, tenant_id)
        self.estimates = EstimateService(database, settings, self.clock, tenant_id)
        self.steering = SteeringService(database, settings, follower, tenant_id)

    def plan(self, ingestion_id: UUID, kind: Kind, seconds: float) -> RefreshPlan:
        """The numbers, and the token that confirms them. Changes nothing. Raises as `estimate` does."""
        seen = self.queries.read(ingestion_id)
        until = (self.clock.now() + _VALID).replace(microsecond=0)
        return RefreshPlan(
            kind=kind,
            offered=kind == "new_only",
            why_not=None if kind == "new_only" else _WHY_NOT,
            estimate=self.estimates.estimate(ingestion_id, seconds),
            loaded_files=seen.files.get(FileState.SUCCESS.value, 0),
            confirmation=self._token(seen, kind, int(until.timestamp())),
            valid_until=until,
        )

    def refresh(self, ingestion_id: UUID, kind: Kind, confirmation: str | None) -> TriggerView:
        """Do what was seen. Raises NotConfirmed without a token of this very state, NotOffered for a full one."""
        seen = self.queries.read(ingestion_id)
        self._require(seen, kind, confirmation)
        if kind == "full":
            raise NotOffered(
                _WHY_NOT,
                hint="To load everything again, make an ingestion into another table, and switch its readers over.",
            )
        return self.steering.run(ingestion_id)

    def _require(self, seen: IngestionDetail, kind: Kind, confirmation: str | None) -> None:
        hint = "Call with dry_run: true, look at the numbers, then send its `confirmation` with dry_run: false."
        if not confirmation:
            raise NotConfirmed("A refresh is confirmed by the token of its dry run.", hint=hint)
        text = confirmation.partition(".")[0]
        until = int(text) if text.isdecimal() and text.isascii() and len(text) < 12 else 0  # noqa: PLR2004 - a moment
        expected = self._token(seen, kind, until)
        if not hmac.compare_digest(expected.encode(), confirmation.encode(errors="replace")):
            raise NotConfirmed("What was seen in the dry run has changed since.", hint=hint)
        if until < self.clock.now().timestamp():
            raise NotConfirmed("The dry run is too long ago.", hint=hint)

    def _token(self, seen: IngestionDetail, kind: Kind, until: int) -> str:
        last = seen.last_run.run_id if seen.last_run else None
        state = (str(seen.id), kind, seen.revision, sorted(seen.files.items()), str(last), until)
        return f"{until}.{self.vault.sign(repr(state), purpose='refresh')}"


_WHY_NOT = (
    "A full refresh is not offered yet: the old rows and the new ones would have to change places in one commit,"
    " and this version cannot do that; in two commits readers would see rows twice, or not at all."
)
