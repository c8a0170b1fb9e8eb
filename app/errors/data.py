"""Where files come from and where rows go: the source, the catalog and its tables."""

from __future__ import annotations

from app.errors.root import AutoloaderError


class SourceError(AutoloaderError):
    code = "source"
    status_code = 502


class SourceNotFound(SourceError):
    code = "source-not-found"


class SourceAccessDenied(SourceError):
    code = "source-access-denied"


class SourceUnavailable(SourceError):
    code = "source-unavailable"
    retryable = True


class ObjectUnavailable(SourceUnavailable):
    """The store answers, for this object, with an error of its own; whether it serves others is to be looked at."""

    code = "object-unavailable"


class AllRejected(SourceError):
    """Files were read, and each record of theirs was rejected: the run ends PARTIAL and keeps this as its reason."""

    code = "all-rejected"
    status_code = 422


class FileMissing(SourceError):
    code = "file-missing"


class FileChanged(SourceError):
    code = "file-changed"


class CatalogError(AutoloaderError):
    code = "catalog"
    status_code = 502


class CatalogUnavailable(CatalogError):
    code = "catalog-unavailable"
    retryable = True


class CatalogRefused(CatalogError):
    """The catalog or the warehouse's storage does not let us: right again once the credentials are."""

    code = "catalog-refused"


class CatalogNotFound(CatalogError):
    """A cluster knows no catalog of that name."""

    code = "catalog-not-found"


class TableNotFound(CatalogError):
    code = "table-not-found"
    status_code = 404


class TableChanged(CatalogError):
    code = "table-changed"
    status_code = 409


class CommitConflict(CatalogError):
    code = "commit-conflict"
    retryable = True


class CommitUnknown(CatalogError):
    """The outcome of a commit is not known: nobody may write again, or delete its files, before looking."""

    code = "commit-unknown"


class LandingIncomplete(CatalogError):
    """What a landed batch left beside the table is gone or broken for good: only a person can end the batch.

    Raised only where that is certain. Everything else that keeps us from reading it may be mended.
    """

    code = "landing-incomplete"
    status_code = 409
