"""What was asked for: it cannot be right, is not there, or does not fit what is there now."""

from __future__ import annotations

from collections.abc import Sequence

from app.errors.root import AutoloaderError


class InvalidInput(AutoloaderError):
    """`fields` say which parts are wrong, where that is known: the place of each, and what is wrong with it."""

    code = "invalid-input"
    status_code = 422

    def __init__(
        self, message: str, *, hint: str = "", fields: Sequence[tuple[tuple[str | int, ...], str]] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.fields = tuple(fields)


class InvalidSchemaText(InvalidInput):
    code = "invalid-schema-text"


class InvalidTableName(InvalidInput):
    code = "invalid-table-name"


class ConfigUnreadable(InvalidInput):
    code = "config-unreadable"


class KeyReused(InvalidInput):
    code = "idempotency-key-reused"


class NotFound(AutoloaderError):
    code = "not-found"
    status_code = 404


class Conflict(AutoloaderError):
    code = "conflict"
    status_code = 409


class AlreadyUp(Conflict):
    code = "already-up"


class PortTaken(Conflict):
    code = "port-taken"


class LeaseHeld(Conflict):
    """Another run of the ingestion is active; `seconds_left` until its lease runs out at the latest."""

    code = "lease-held"
    retryable = True

    def __init__(self, message: str, *, hint: str = "", seconds_left: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.seconds_left = seconds_left


class IllegalTransition(Conflict):
    code = "illegal-transition"


class IngestionBlocked(Conflict):
    code = "ingestion-blocked"


class CallInProgress(Conflict):
    code = "call-in-progress"
    retryable = True


class NotConfirmed(Conflict):
    code = "not-confirmed"


class NotOffered(Conflict):
    code = "not-offered"


class StaleRevision(Conflict):
    code = "stale-revision"
    status_code = 412
