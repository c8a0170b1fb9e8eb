"""What one run carries from step to step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from app.config import Settings
from app.database import Database
from app.datatypes import TableSchema, parse_schema
from app.errors import ConfigUnreadable, Interrupted
from app.ingest.engines.sandbox import Sandbox
from app.ingest.ports import Clock, Engine, Progress
from app.models import Ingestion
from app.schemas.ingestion import IngestionShape
from app.services import engine_said
from app.services.engine_rule import Rule
from app.services.lease_service import HeldLease
from app.services.put_off import PutOff
from app.services.suspects import Suspects
from app.values import RejectSample

Stops = tuple[type[BaseException], ...]
STOPS: Stops = (Interrupted, KeyboardInterrupt)


def config_of(row: Ingestion) -> dict[str, Any]:
    """The whole configuration. Whether it is paused stands in its column alone: so it changes without the rest."""
    stored: object = row.config
    return {**engine_said.of_stored(stored if isinstance(stored, dict) else {}), "paused": row.paused}


def shape_of(row: Ingestion) -> IngestionShape:
    """The configuration as it is stored. Raises ConfigUnreadable: another version, or a hand, may have written it."""
    try:
        return IngestionShape.model_validate(config_of(row))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'config'}: {item['msg']}" for item in error.errors(include_url=False)
        )
        raise ConfigUnreadable(
            f"The stored configuration of {row.name} cannot be read ({problems}).",
            hint=f"Write it anew: autoloader apply, with an ingestion named {row.name}.",
        ) from error


def part_of(row: Ingestion, part: str) -> Mapping[str, Any]:
    """A part of the configuration as it is stored; empty where it has none, or cannot be read."""
    stored: object = row.config
    found = stored.get(part) if isinstance(stored, dict) else None
    return found if isinstance(found, dict) else {}


def url_of(row: Ingestion) -> str:
    """The source's address as it was written."""
    return str(part_of(row, "source").get("url", row.source_url))


@dataclass(frozen=True, slots=True)
class IngestionInfo:
    """An ingestion as a run needs it, outside any session."""

    id: UUID
    tenant_id: str
    name: str
    shape: IngestionShape
    schema: TableSchema | None
    table_name: str
    table_uuid: UUID | None
    created_at: datetime
    paused: bool

    @classmethod
    def of(cls, row: Ingestion) -> IngestionInfo:
        """Raises ConfigUnreadable."""
        return cls(
            id=row.id,
            tenant_id=row.tenant_id,
            name=row.name,
            shape=shape_of(row),
            schema=parse_schema(row.schema_text) if row.schema_text else None,
            table_name=row.table_name,
            table_uuid=row.table_uuid,
            created_at=row.created_at,
            paused=row.paused,
        )


@dataclass(slots=True)
class RunContext:
    """One run: its lease, its engine, and who watches. `seconds` collects the time of each step.

    An engine is opened by the first step that needs it: a run that finds nothing new never does.
    `stops` are what somebody stops it with: no fault of the files it has in hand. `put_off` are batches that wait for
    a cluster, `suspects` those that may be what fails jobs there. `unsent` are batches whose first claim is this
    process's, and for which it sent no commit. `first_reject` is the first record that was rejected, with the path of
    its file, whatever became of that.
    """

    database: Database
    settings: Settings
    ingestion: IngestionInfo
    run_id: UUID
    lease: HeldLease
    open_engine: Callable[[str], Engine]
    sandbox: Sandbox
    progress: Progress
    clock: Clock
    stops: Stops = STOPS
    seconds: dict[str, float] = field(default_factory=dict)
    put_off: PutOff = field(default_factory=PutOff)
    suspects: Suspects = field(default_factory=Suspects)
    unsent: set[UUID] = field(default_factory=set)
    first_reject: tuple[str, RejectSample] | None = None
    _engines: dict[str, Engine] = field(default_factory=dict, init=False)

    @property
    def rule(self) -> Rule:
        """Which engine takes which batch."""
        return Rule.of(self.ingestion.shape, self.settings)

    @property
    def engine(self) -> Engine:
        """The one that looks at the table where no batch says which. Raises what opening the catalog raises."""
        return self.engine_named(self.rule.small)

    def engine_named(self, name: str) -> Engine:
        """Raises what opening it raises; NotFound for a cluster that there is no more."""
        if name not in self._engines:
            self._engines[name] = opened = self.open_engine(name)
            opened.schema = opened.schema or self.ingestion.schema  # which may have been learned meanwhile
        return self._engines[name]

    @property
    def engine_opened(self) -> bool:
        """Whether a step has needed an engine."""
        return bool(self._engines)

    @property
    def max_attempts(self) -> int:
        return self.ingestion.shape.policies.max_attempts or self.settings.max_attempts
