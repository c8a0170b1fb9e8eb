"""Ingestions that load the same files into the same table, and the ledger that a new one goes on with (promise P1)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.database import Session
from app.errors import Conflict
from app.ingest.discovery import DiscoveryRules, Sieve
from app.models import Ingestion
from app.repositories import file_views, ingestions
from app.schemas.ingestion import IngestionShape
from app.services.context import part_of, url_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an ingestion shall load: `base` is the canonical address of its source without a pattern.

    `created_at` and `now` are for rules that speak of times.
    """

    tenant_id: str
    shape: IngestionShape
    base: str
    table_name: str
    created_at: datetime
    now: datetime


def adopted(session: Session, wanted: Wanted) -> Ingestion | None:
    """The deleted ingestion whose ledger a new one goes on with, if there is one.

    That of the very same address, else the last one of the same base. Raises Conflict as `refuse` does: also for
    the other deleted ones, because their rows are in the table and not in the ledger that is adopted.
    """
    others = _overlapping(session, wanted, None)
    url, tenant = wanted.shape.source.url, wanted.tenant_id
    ledgers = [
        other
        for other in others
        if other.deleted_at is not None and other.source_url == wanted.base and other.tenant_id == tenant
    ]
    ledgers.sort(key=lambda other: (_url(other) == url, other.deleted_at), reverse=True)
    chosen = ledgers[0] if ledgers else None
    refuse(session, wanted, [other for other in others if other is not chosen], chosen.id if chosen else None)
    return chosen


def refuse_change(session: Session, wanted: Wanted, row: Ingestion) -> None:
    """Raise Conflict when the ingestion, changed so, would load what another one has loaded, deleted ones too."""
    others = _overlapping(session, wanted, row.id)
    same_source = part_of(row, "source") == wanted.shape.source.model_dump(mode="json")
    refuse(session, wanted, others, row.id, look_into_ledgers=not same_source)


def refuse(
    session: Session,
    wanted: Wanted,
    others: Sequence[Ingestion],
    own: UUID | None,
    *,
    look_into_ledgers: bool = True,
) -> None:
    """Raise Conflict for others that overlap, unless that is allowed and no ledger shows a file that both load.

    To allow an overlap is to say that the files differ. A file that another one loaded, that the source takes, and
    that the own ledger does not know would be there twice, and nobody would be told.
    """
    for other in others:
        if not wanted.shape.policies.allow_overlap:
            instead = "Use that ingestion" if other.deleted_at is None else "Make that ingestion again"
            raise Conflict(
                f"Ingestion {other.name!r} ({_state(other)}) loads {_url(other)} into {wanted.table_name} too:"
                " files below both would be loaded twice.",
                hint=f"{instead}, use another table, or --allow-overlap if their files surely differ.",
            )
        path = _first_of_both(session, wanted, other, own) if look_into_ledgers else None
        if path is not None:
            raise Conflict(
                f"Ingestion {other.name!r} ({_state(other)}) has loaded {path} into {wanted.table_name}, and"
                f" {wanted.shape.source.url} takes it too: its rows would be there twice.",
                hint="Narrow the source with a pattern or --exclude, or use another table.",
            )


def _overlapping(session: Session, wanted: Wanted, own: UUID | None) -> list[Ingestion]:
    return [
        other
        for other in ingestions.into_table(session, wanted.table_name)
        if other.id != own and overlap(wanted.base, other.source_url)
    ]


def _first_of_both(session: Session, wanted: Wanted, other: Ingestion, own: UUID | None) -> str | None:
    rules = DiscoveryRules.of(wanted.shape.source, local_min_age_seconds=0.0)
    sieve = Sieve(rules, wanted.base, now=wanted.now, created_at=wanted.created_at)
    loaded = file_views.loaded_below(session, other.id, wanted.base, own)
    return next((file.path for file in loaded if sieve.reason(file) is None), None)


def _url(ingestion: Ingestion) -> str:
    return url_of(ingestion)


def _state(ingestion: Ingestion) -> str:
    return "active" if ingestion.deleted_at is None else "deleted, but its rows are in the table"


# --- addresses -------------------------------------------------------------------------------


def overlap(one: str, other: str) -> bool:
    """Whether one address is the other, or lies below it; folders also by where their links lead."""
    return _below(one, other) or _below(_followed(one), _followed(other))


def _below(one: str, other: str) -> bool:
    return one == other or one.startswith(other.rstrip("/") + "/") or other.startswith(one.rstrip("/") + "/")


def _followed(address: str) -> str:
    return os.path.realpath(address) if address.startswith("/") else address
