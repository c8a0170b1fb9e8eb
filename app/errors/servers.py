"""What answers on a network beside source and catalog: queues, Prefect, another Autoloader. Not Spark: see `spark`."""

from __future__ import annotations

from app.errors.root import AutoloaderError


class QueueError(AutoloaderError):
    code = "queue"
    status_code = 502


class QueueUnavailable(QueueError):
    code = "queue-unavailable"
    status_code = 503
    retryable = True


class QueueRefused(QueueError):
    code = "queue-refused"


class PrefectError(AutoloaderError):
    code = "prefect"
    status_code = 502


class PrefectUnavailable(PrefectError):
    code = "prefect-unavailable"
    status_code = 503
    retryable = True


class PrefectRefused(PrefectError):
    """`answer` is the HTTP status that Prefect gave; 0 where there was none."""

    code = "prefect-refused"

    def __init__(self, message: str, *, hint: str = "", answer: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.answer = answer


class ServerError(AutoloaderError):
    code = "server"
    status_code = 502


class ServerUnavailable(ServerError):
    """`sent` tells whether the call may have reached the server, and so may have had its effect."""

    code = "server-unavailable"
    status_code = 503
    retryable = True

    def __init__(self, message: str, *, hint: str = "", sent: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent


class NotAutoloader(ServerError):
    code = "not-an-autoloader"


class VersionMismatch(ServerError):
    code = "version-mismatch"
