"""What a Spark cluster can answer with. Tables and files that it finds wrong are CatalogErrors and SourceErrors."""

from __future__ import annotations

from app.errors.root import AutoloaderError


class SparkError(AutoloaderError):
    code = "spark"
    status_code = 502


class SparkUnavailable(SparkError):
    code = "spark-unavailable"
    status_code = 503
    retryable = True


class SparkRefused(SparkError):
    code = "spark-refused"


class SparkSessionLost(SparkError):
    """The server knows nothing of the session any more: its settings and views are gone. What it was doing may have
    been done.
    """

    code = "spark-session-lost"
    retryable = True


class SparkInterrupted(SparkError):
    """Somebody ended the operation by its tag. What it was committing may have been committed."""

    code = "spark-interrupted"
    status_code = 409


class SparkJobFailed(SparkError):
    """A job failed on the cluster, over data or for want of memory, disk or else; which file did it is not known.

    `reason` is the ledger's word for the file, once it is known to be that one.
    """

    code = "spark-job-failed"

    def __init__(self, message: str, *, hint: str = "", reason: str = "job-failed") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
