"""Every error a person can meet, in one tree, and the end that is none.

AutoloaderError
├── InvalidInput                 what was asked for cannot be right        422
│   ├── InvalidSchemaText        a schema text that does not parse
│   ├── InvalidTableName
│   ├── ConfigUnreadable         an ingestion's stored configuration
│   └── KeyReused                an Idempotency-Key came with another call
├── NotFound                     no ingestion, run, file, ... by that name 404
├── Conflict                     right in itself, wrong now                409
│   ├── AlreadyUp                `autoloader up` runs for this home already
│   ├── PortTaken                something else listens there
│   ├── LeaseHeld                another run is active
│   ├── IllegalTransition        the state machine refuses the move
│   ├── IngestionBlocked         a batch is UNKNOWN; a person must decide
│   ├── CallInProgress           the same call is being answered; retry helps
│   ├── NotConfirmed             what was seen before confirming has changed
│   ├── NotOffered               it cannot be done without risk to the rows
│   └── StaleRevision            it was changed since it was read          412
├── CallRefused                  how the call came, not what it asks for
│   ├── MalformedCall            the body cannot be read                   400
│   ├── NotAuthenticated         no key, or a wrong one                    401
│   ├── CrossSite                a page of another site sent it            403
│   ├── MethodNotAllowed                                                   405
│   ├── CallTooLarge                                                       413
│   ├── UnsupportedMediaType                                               415
│   ├── WrongHost                a name that is not the API's              421
│   └── TooBusy                  retry helps                               429
├── LeaseLost                    another owner runs this ingestion now     409
├── DatabaseError                                                          503
│   ├── DatabaseUnavailable      retry helps
│   └── DatabaseNotMigrated
├── SourceError                                                            502
│   ├── SourceNotFound           bucket or folder
│   ├── SourceAccessDenied
│   ├── SourceUnavailable        retry helps
│   ├── FileMissing              listed, then gone
│   └── FileChanged              listed, then another version
├── CatalogError                                                           502
│   ├── CatalogUnavailable       retry helps
│   ├── CatalogRefused           credentials that are wrong, expired, or may not
│   ├── CatalogNotFound          the cluster has none of that name
│   ├── TableNotFound
│   ├── TableChanged             dropped, recreated, or its columns changed type
│   ├── CommitConflict           main moved; look, then try again
│   ├── CommitUnknown            the answer was lost; only the table knows
│   └── LandingIncomplete        a batch landed; its receipt or rejects are gone
├── SparkError                   the cluster cannot do what it was asked   502
│   ├── SparkUnavailable         retry helps                               503
│   ├── SparkRefused             the token, no right to it, no Spark there, or no library for it
│   ├── SparkSessionLost         the server forgot it; retry helps
│   ├── SparkInterrupted         the operation was ended from outside      409
│   └── SparkJobFailed           a job failed there, and named no file
├── QueueError                                                             502
│   ├── QueueUnavailable         retry helps                               503
│   └── QueueRefused             no such queue, no right to it, or no library for it
├── PrefectError                                                           502
│   ├── PrefectUnavailable       retry helps                               503
│   └── PrefectRefused           the server said no; the same again is refused again
├── ServerError                  the Autoloader that a command works with  502
│   ├── ServerUnavailable        retry helps                               503
│   ├── NotAutoloader            something else answers there
│   └── VersionMismatch          it is of another version
├── SchemaChangeRefused          new columns under `fail`                  409
├── TooManyErrors                the threshold of `on_error` was passed    409
├── ParserDied                   the parsing child crashed or hit a limit  500
├── PreloadFailed                the worker cannot import the flow         500
├── PartFailed                   a part of `autoloader up` does not start  500
└── SecretUnreadable             wrong or missing AUTOLOADER_SECRET_KEY    500

Interrupted                      Ctrl-C or SIGTERM                         499
"""

from __future__ import annotations

from collections.abc import Sequence

from app.errors.root import AutoloaderError as AutoloaderError
from app.errors.root import Interrupted as Interrupted
from app.errors.spark import SparkError as SparkError
from app.errors.spark import SparkInterrupted as SparkInterrupted
from app.errors.spark import SparkJobFailed as SparkJobFailed
from app.errors.spark import SparkRefused as SparkRefused
from app.errors.spark import SparkSessionLost as SparkSessionLost
from app.errors.spark import SparkUnavailable as SparkUnavailable


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


class CallRefused(AutoloaderError):
    code = "call-refused"
    status_code = 400


class MalformedCall(CallRefused):
    code = "malformed-call"


class NotAuthenticated(CallRefused):
    code = "not-authenticated"
    status_code = 401


class CrossSite(CallRefused):
    code = "cross-site"
    status_code = 403


class MethodNotAllowed(CallRefused):
    code = "method-not-allowed"
    status_code = 405


class CallTooLarge(CallRefused):
    code = "call-too-large"
    status_code = 413


class UnsupportedMediaType(CallRefused):
    code = "unsupported-media-type"
    status_code = 415


class WrongHost(CallRefused):
    code = "wrong-host"
    status_code = 421


class TooBusy(CallRefused):
    code = "too-busy"
    status_code = 429
    retryable = True


class LeaseLost(AutoloaderError):
    code = "lease-lost"
    status_code = 409


class DatabaseError(AutoloaderError):
    code = "database"
    status_code = 503


class DatabaseUnavailable(DatabaseError):
    code = "database-unavailable"
    retryable = True


class DatabaseNotMigrated(DatabaseError):
    code = "database-not-migrated"


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


class SchemaChangeRefused(AutoloaderError):
    code = "schema-change-refused"
    status_code = 409


class TooManyErrors(AutoloaderError):
    code = "too-many-errors"
    status_code = 409


class ParserDied(AutoloaderError):
    """The child that parses was killed or hit a limit; which file did it is not known."""

    code = "parser-died"


class PreloadFailed(AutoloaderError):
    """A worker that cannot import the flow would fail each run: it does not begin."""

    code = "preload-failed"


class PartFailed(AutoloaderError):
    code = "part-failed"


class SecretUnreadable(AutoloaderError):
    code = "secret-unreadable"
