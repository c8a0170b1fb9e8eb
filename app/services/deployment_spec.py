"""What an ingestion's deployment has to look like, and how one in Prefect differs from that. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from app.config import Settings
from app.models import Ingestion
from app.schemas.ingestion import IngestionShape, ScheduleShape
from app.services.context import shape_of
from app.services.engine_rule import EMBEDDED, Rule
from app.values import SyncState, Trigger

FLOW_NAME = "run-ingestion"
ENTRYPOINT = "app.prefect.flows.run_ingestion.run_ingestion_flow"
TAG = "autoloader"
_LEDGER = f"{TAG}-ledger:"  # no ingestion's name may pass for such a tag
SLUG = "schedule"  # of the one schedule that a deployment has


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """One schedule as Prefect keeps it. `anchor` is the moment that intervals are counted from."""

    kind: str  # cron, interval, rrule
    value: str
    timezone: str
    anchor: datetime | None = None
    active: bool = True
    slug: str | None = SLUG


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """A deployment, as far as we care. Its parameters are ids and one word: Prefect shows them to everybody."""

    name: str  # the ingestion's id
    description: str
    tags: tuple[str, ...]
    entrypoint: str | None
    parameters: Mapping[str, Any]
    schedules: tuple[ScheduleSpec, ...]
    paused: bool
    work_pool: str | None
    work_queue: str | None
    concurrency_limit: int | None = 1
    collision: str | None = "CANCEL_NEW"


def is_wanted(row: Ingestion) -> bool:
    """Whether Prefect is to have a deployment of it at all."""
    return row.deleted_at is None and row.prefect_sync != SyncState.OFF.value


def wanted(row: Ingestion, settings: Settings, ledger_id: UUID) -> DeploymentSpec:
    """The deployment of an ingestion of that ledger. Raises ConfigUnreadable."""
    shape = shape_of(row)
    queues = {
        "default": settings.prefect_default_work_queue,
        "high_memory": settings.prefect_high_memory_work_queue,
    }
    return DeploymentSpec(
        name=str(row.id),
        description=f"IOMETE Autoloader: {row.name} loads new files into {row.table_name}.",
        tags=(TAG, ledger_tag(ledger_id), *(() if row.name.startswith(_LEDGER) else (row.name,))),
        entrypoint=ENTRYPOINT,
        parameters=parameters(row.id, Trigger.SCHEDULED),
        schedules=(schedule_spec(shape.schedule, row.created_at),) if shape.schedule else (),
        paused=row.paused,
        work_pool=settings.prefect_work_pool,
        work_queue=queues[work_queue(shape, settings)],
    )


def ledger_tag(ledger_id: UUID) -> str:
    """By it a deployment tells whose it is, also when its ingestion is in no ledger any more."""
    return f"{_LEDGER}{ledger_id}"


def work_queue(shape: IngestionShape, settings: Settings) -> str:
    """`default` or `high_memory`: what was chosen by hand, else by the largest batch that may be loaded embedded.

    What a cluster loads needs no memory here.
    """
    if shape.work_queue != "auto":
        return shape.work_queue
    rule, policies = Rule.of(shape, settings), shape.policies
    largest = policies.batch_max_bytes or settings.batch_max_bytes
    if rule.large != EMBEDDED:
        largest = min(largest, rule.max_bytes) if rule.small == EMBEDDED else 0
    return "high_memory" if largest > settings.high_memory_batch_bytes else "default"


def parameters(ingestion_id: UUID, trigger: Trigger) -> dict[str, str]:
    """Of a flow run: ids and that word, nothing else."""
    return {"ingestion_id": str(ingestion_id), "trigger": trigger.value}


def schedule_spec(shape: ScheduleShape, created_at: datetime) -> ScheduleSpec:
    """Intervals count from the ingestion's creation: many ingestions do not start in the same second."""
    if shape.cron is not None:
        return ScheduleSpec("cron", " ".join(shape.cron.split()), shape.timezone)
    if shape.rrule is not None:
        return ScheduleSpec("rrule", shape.rrule.strip(), shape.timezone)
    return ScheduleSpec("interval", f"{shape.interval_seconds or 0:g}", "UTC", created_at.replace(microsecond=0))


def differences(want: DeploymentSpec, have: DeploymentSpec) -> tuple[str, ...]:
    """Names of the fields that are not as they should be. Tags that a person added do not count."""
    return tuple(
        field.name
        for field in fields(DeploymentSpec)
        if not _same(field.name, getattr(want, field.name), getattr(have, field.name))
    )


def _same(name: str, want: Any, have: Any) -> bool:
    if name == "tags":
        return set(want) <= set(have)
    if name == "schedules":
        return len(want) == len(have) and all(map(_same_schedule, want, have))
    return bool(want == have)


def _same_schedule(want: ScheduleSpec, have: ScheduleSpec) -> bool:
    """Prefect stores a rule with a beginning of its own (DTSTART) where it was given without one."""
    if want.kind == have.kind == "rrule" and "DTSTART" not in want.value.upper():
        head, _, rest = have.value.partition("\n")
        have = ScheduleSpec(
            have.kind, rest if head.startswith("DTSTART") else have.value, have.timezone, None, have.active, have.slug
        )
    return want == have
