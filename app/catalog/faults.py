"""What catalogs and their libraries raise, as our errors: one context manager for reading, one for committing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pyiceberg.exceptions import (
    AuthorizationExpiredError,
    BadRequestError,
    CommitFailedException,
    ForbiddenError,
    NoSuchNamespaceError,
    NoSuchTableError,
    NotInstalledError,
    OAuthError,
    RESTError,
    ServerError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
)

from app.catalog.names import DEFAULT_CATALOG
from app.errors import (
    AutoloaderError,
    CatalogError,
    CatalogRefused,
    CatalogUnavailable,
    CommitConflict,
    CommitUnknown,
    TableNotFound,
)
from app.log import redact

_REFUSED = (UnauthorizedError, ForbiddenError, OAuthError, AuthorizationExpiredError)
# Arrow's and botocore's errors are of one class each; what they are about stands only in the text.
_REFUSAL = re.compile(
    r"AWS Error (ACCESS_DENIED|INVALID_ACCESS_KEY_ID|INVALID_CLIENT_TOKEN_ID|SIGNATURE_DOES_NOT_MATCH|REQUEST_EXPIRED)"
    r"|\(HTTP status 40[13]\)"
    r"|\((AccessDenied|ExpiredToken|InvalidClientTokenId|InvalidSignature|UnrecognizedClient)\w*\) when calling"
)
_BUSY = (ServiceUnavailableError, ServerError, TooManyRequestsError)
# Errors of these libraries say that the other side could not be reached or did not answer.
_TRANSPORT = frozenset({"sqlalchemy", "requests", "urllib3", "botocore", "psycopg", "sqlite3", "thrift"})
_LONGEST = 500
_CATALOG_OF = re.compile(r"catalog (\w+)|(\w+)(?:\.\w+){2,}")

# The first line that fits counts.
_READING: tuple[tuple[tuple[type[Exception], ...], type[CatalogError], str, str], ...] = (
    (
        (NoSuchTableError, NoSuchNamespaceError),
        TableNotFound,
        "There is no table {what}.",
        "Look at the name (tables that are loaded: autoloader ingestions list); was it dropped?",
    ),
    (_REFUSED, CatalogRefused, "The catalog refused us ({what}): {said}.", "Check its credentials."),
    (
        (FileNotFoundError,),
        CatalogError,
        "A file of {what} is missing: {said}.",
        "Somebody removed files of the table by hand.",
    ),
    (
        (PermissionError,),
        CatalogRefused,
        "Files of {what} may not be used: {said}.",
        "Check the warehouse's credentials and rights.",
    ),
    ((NotInstalledError,), CatalogError, "{what}: {said}.", "Install the library that this catalog needs."),
    ((OSError,), CatalogUnavailable, "The storage of {what} did not answer: {said}.", "Is it reachable?"),
    (
        (RESTError, CommitFailedException, ValueError),
        CatalogError,
        "{what} could not be used: {said}.",
        "Check each dependency, and the options of its connection: autoloader doctor",
    ),
)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Errors met while `what` (a table's name, or the catalog) is read.

    Raises TableNotFound, CatalogUnavailable where trying again can help, CatalogRefused for credentials and
    rights, else CatalogError.
    """
    try:
        yield
    except AutoloaderError:
        raise
    except Exception as error:
        translated = _read_fault(error, what)
        if translated is None:
            raise
        raise translated from error


@contextmanager
def committing(what: str) -> Iterator[None]:
    """Errors met while a commit to `what` is under way, from the first byte sent.

    Raises CommitConflict only when the catalog answered that it did not take the commit for its requirements,
    CatalogRefused or CatalogError when it answered that it will not, and CommitUnknown for everything else: no
    answer is not "no" (protocol, P3).
    """
    try:
        yield
    except AutoloaderError:
        raise
    except CommitFailedException as error:
        raise CommitConflict(
            f"{what} was changed by another commit: {_sentence(error)}.",
            hint="Nothing was lost; run again. If it happens often, set COMMIT_ATTEMPTS higher.",
        ) from error
    except (NoSuchTableError, NoSuchNamespaceError) as error:
        raise TableNotFound(
            f"Table {what} does not exist any more.",
            hint="Was it dropped or renamed? Run again: the next run says how to go on.",
        ) from error
    except (BadRequestError, *_REFUSED) as error:
        ours = CatalogError if isinstance(error, BadRequestError) else CatalogRefused
        raise ours(
            f"The catalog refused a commit to {what}: {_sentence(error)}.", hint="May this user write to the table?"
        ) from error
    except Exception as error:
        raise CommitUnknown(
            f"The answer to a commit to {what} was lost: {_sentence(error)}.",
            hint="Only the table knows whether it landed; the next run looks.",
        ) from error


def _read_fault(error: Exception, what: str) -> AutoloaderError | None:
    """Ours for one of theirs; None for what is a fault of the program."""
    said = _sentence(error)
    if (isinstance(error, OSError) or _is_transport(error)) and _REFUSAL.search(str(error)):
        return CatalogRefused(f"We may not use {what}: {said}.", hint="Check the credentials and their rights.")
    if isinstance(error, _BUSY) or _is_transport(error):
        return CatalogUnavailable(
            f"The catalog did not answer ({what}): {said}.",
            hint=f"Is it running, and is its address right? {_how_to_try(what)}",
        )
    for kinds, ours, text, hint in _READING:
        if isinstance(error, kinds):
            return ours(text.format(what=what, said=said), hint=hint)
    return None


def _how_to_try(what: str) -> str:
    """A command that looks at the catalog which `what` is of, by its name where it tells one."""
    found = _CATALOG_OF.fullmatch(what)
    name = (found[1] or found[2]) if found else "NAME"
    command = "doctor" if name == DEFAULT_CATALOG else f"connections test {name}"
    return f"Look at it: autoloader {command}"


def _is_transport(error: Exception) -> bool:
    return any(kind.__module__.partition(".")[0] in _TRANSPORT for kind in type(error).__mro__)


def _sentence(error: Exception) -> str:
    """The first line of what the library said, without its full stop, and without a key in an address."""
    text = redact(_unreached(error) or str(error)).strip() or type(error).__name__
    return text.splitlines()[0][:_LONGEST].rstrip(". ")


def _unreached(error: Exception) -> str:
    """Where nobody answered and why, for what `requests` tells by printing the objects of its libraries; else empty."""
    met = error.args[0] if error.args else None  # urllib3's MaxRetryError
    pool, cause = getattr(met, "pool", None), getattr(getattr(met, "reason", None), "__cause__", None)
    if pool is None or not isinstance(cause, OSError):
        return ""
    return f"{pool.host}:{pool.port}: {cause.strerror or cause}"
