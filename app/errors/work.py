"""What ends our own work: the lease, the database, a parser, a part that does not start."""

from __future__ import annotations

from app.errors.root import AutoloaderError


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


class OutputRefused(AutoloaderError):
    """What a command answers could not be written; what it does is done."""

    code = "output-refused"


class SecretUnreadable(AutoloaderError):
    code = "secret-unreadable"
