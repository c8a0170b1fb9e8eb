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
