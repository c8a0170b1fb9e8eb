"""The same call twice, one effect: the first makes it, the second gets the first one's answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.config import Settings
from app.database import Database
from app.errors import KeyReused
from app.ingest.ports import Clock, SystemClock
from app.models import DEFAULT_TENANT
from app.repositories import idempotency_keys

ABANDONED = timedelta(seconds=330)  # no call of ours takes longer, and no client waits longer; its process died


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to make the call of a key."""

    key: str
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the first call was answered."""

    status_code: int
    headers: dict[str, str]
    body: str


class IdempotencyService:
    def __init__(
        self, database: Database, settings: Settings, clock: Clock | None = None, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.database = database
        self.keep = timedelta(seconds=settings.idempotency_keep_seconds)
        self.clock = clock or SystemClock()
        self.tenant_id = tenant_id

    def begin(self, key: str, fingerprint: str) -> Claim | StoredAnswer | None:
        """The right to make the call, or its answer, or None while another one is making it.

        Raises KeyReused for a key that came with another call.
        """
        now = self.clock.now()
        with self.database.session_scope() as session:
            idempotency_keys.prune(session, now - self.keep)
            if idempotency_keys.claim(session, self.tenant_id, key, fingerprint, now):
                return Claim(key, now)
            seen = idempotency_keys.read(session, self.tenant_id, key)
            if seen is None:  # its call was refused a moment ago
                return None
            if seen.fingerprint != fingerprint:
                raise KeyReused(
                    "This Idempotency-Key came with another call before.",
                    hint="Make a new key for each new call; repeat a call with the very same body.",
                )
            if seen.status_code is not None:
                kept = json.loads(seen.body or "{}")
                return StoredAnswer(seen.status_code, kept.get("headers", {}), kept.get("body", ""))
            if now - seen.created_at > ABANDONED and idempotency_keys.take_over(session, seen, now):
                return Claim(key, now)
            return None

    def end(self, claim: Claim, status_code: int, headers: Mapping[str, str], body: str) -> None:
        """Keep the answer for who asks again."""
        kept = json.dumps({"headers": dict(headers), "body": body})
        with self.database.session_scope() as session:
            idempotency_keys.answer(session, self.tenant_id, claim.key, claim.claimed_at, status_code, kept)

    def give_up(self, claim: Claim) -> None:
        """The call was refused and had no effect: the key is free again."""
        with self.database.session_scope() as session:
            idempotency_keys.give_up(session, self.tenant_id, claim.key, claim.claimed_at)
