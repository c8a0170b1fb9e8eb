"""The hook by which stores tell of new objects: who may call it, and what a message becomes."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

from app.config import Settings
from app.database import Database
from app.errors import Conflict, NotAuthenticated
from app.log import register_secret
from app.models import DEFAULT_TENANT
from app.services import arrival_messages
from app.services.arrival_messages import Notice
from app.services.follower import Follower
from app.services.ingestion_query_service import IngestionDetail, IngestionQueryService
from app.services.ingestion_service import source_base
from app.values import SyncState, Trigger
from app.vault import Vault

_SHOWN = 20
SIGNATURE_PREFIX = "sha256="


@dataclass(frozen=True, slots=True)
class NotifyAnswer:
    """`stored` says whether a run was asked for; if not, `why` says why, and the sender need not send it again."""

    stored: bool
    trigger_id: UUID | None
    objects: int
    why: str | None


class NotifyService:
    def __init__(
        self, database: Database, settings: Settings, follower: Follower, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.follower = follower
        self.vault = Vault.from_settings(settings)
        self.queries = IngestionQueryService(database, tenant_id)

    def token(self, ingestion_id: UUID) -> str:
        """The ingestion's own secret for the hook; the same on each machine with the same AUTOLOADER_SECRET_KEY."""
        self.queries.name(ingestion_id)
        return self._token(ingestion_id)

    def _token(self, ingestion_id: UUID) -> str:
        token = self.vault.sign(str(ingestion_id), purpose="notify")
        register_secret(token)
        return token

    def authenticate(self, ingestion_id: UUID, token: str | None, signature: str | None, body: bytes) -> None:
        """Raise NotAuthenticated unless the call carries the ingestion's token, or a body signed with it.

        Says the same for an ingestion that is not there: only who has a token learns that.
        """
        expected = self._token(ingestion_id)
        if token is not None and hmac.compare_digest(expected.encode(), token.encode(errors="replace")):
            return
        if signature is not None:
            made = SIGNATURE_PREFIX + hmac.digest(expected.encode(), body, hashlib.sha256).hex()
            if hmac.compare_digest(made.encode(), signature.strip().lower().encode(errors="replace")):
                return
        raise NotAuthenticated(
            "The hook was called without a right token or signature.",
            hint=f"See both with: POST /v1/ingestions/{ingestion_id}/notify-token",
        )

    def notify(self, ingestion_id: UUID, body: bytes) -> Notice | NotifyAnswer:
        """Store the wish for a run, to be delivered after the quiet period; a handshake's notice is answered back.

        Raises NotFound, InvalidInput, and Conflict where the ingestion takes no events.
        """
        found = self.queries.read(ingestion_id)
        notice = arrival_messages.read(body)
        if notice.validation_code is not None or notice.subscription is not None:
            return notice
        arrival = found.config.get("arrival") or {}
        if not arrival.get("notify"):
            raise Conflict(f"{found.name} takes no events.", hint="Set arrival.notify to true.")
        if found.config["paused"]:
            why = "The ingestion is paused; its first run after that finds the objects by itself."
            return NotifyAnswer(stored=False, trigger_id=None, objects=len(notice.objects), why=why)
        if found.prefect.sync == SyncState.OFF.value:
            why = "Prefect does not run the ingestion: its migration was rolled back."
            return NotifyAnswer(stored=False, trigger_id=None, objects=len(notice.objects), why=why)
        inside = self._inside(found, notice)
        if not inside and not notice.plain:
            why = "None of these objects is new and below the ingestion's source."
            return NotifyAnswer(stored=False, trigger_id=None, objects=0, why=why)
        payload = {"sender": notice.sender, "count": len(inside), "objects": inside[:_SHOWN]}
        quiet = float(arrival.get("quiet_seconds", 0.0))
        trigger_id = self.follower.request(ingestion_id, Trigger.ARRIVAL, payload, quiet_seconds=quiet)
        return NotifyAnswer(stored=True, trigger_id=trigger_id, objects=len(inside), why=None)

    def _inside(self, found: IngestionDetail, notice: Notice) -> list[str]:
        return arrival_messages.below(notice.objects, source_base(found.source_url))
