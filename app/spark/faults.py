"""What a Spark Connect server and its client raise, as our errors. Errors carry their kind only in their text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.errors import (
    AutoloaderError,
    CatalogError,
    CatalogNotFound,
    CatalogRefused,
    CatalogUnavailable,
    CommitConflict,
    CommitUnknown,
    FileMissing,
    SourceAccessDenied,
    SparkError,
    SparkInterrupted,
    SparkJobFailed,
    SparkRefused,
    SparkSessionLost,
    SparkUnavailable,
    TableNotFound,
)
from app.log import redact
from app.spark.hints import INSTALL, LOGIN, NEXT, NO_TLS, TRY, hint_for

_STATUS = re.compile(r"StatusCode\.([A-Z_]+)")
_DETAILS = re.compile(r'details = "(.*?)"\n', re.DOTALL)
_WORD = re.compile(r"\[([A-Z][A-Z0-9_.]+)\]")
# Before it may stand the exceptions it came in.
_FIRST_WORD = re.compile(r"(?:\s|\([\w.$]+\)|[\w.$]+(?:Exception|Error):)*\[([A-Z][A-Z0-9_.]+)\]")
_JAVA = re.compile(r"\(((?:[a-z0-9_]+\.)+[A-Z]\w+)\)|\b((?:[a-z0-9_]+\.){2,}[A-Z]\w*(?:Exception|Error))\b")
_LONGEST = 500
# What the scheduler says before a task's own error; it helps nobody who only wants to load.
_SCHEDULER = re.compile(
    r"^(?:\([\w.$]+\) )?Job aborted due to stage failure: Task [\d.]+ in stage [\d.]+ failed \d+ times?, most recent"
    r" failure: Lost task [\d.]+ in stage [\d.]+ \(TID \d+\) \([^)]*\): (?:org\.apache\.spark\.SparkException: )?"
)
_UNTOLD = " Details:"  # what ends a line whose reason stands in a trace
# What Hadoop says of a file called `.gz` that is cut, or goes on behind its end; it names none.
_NOT_WHOLE = re.compile(
    r"EOFException: Unexpected end of input stream|gzip stream CRC failure|stored gzip size doesn't match"
    r"|IOException: not a gzip file"
)
_CAUSE = re.compile(r"^Caused by: (.+)$", re.MULTILINE)
# The catalog that is not there, in the words of Spark's two errors.
_CATALOG = re.compile(r"(?:, but got (?:\w+ )?|[Cc]atalog )`([^`]+)`")
_LOOKED_AT = 4000  # characters in which names are looked for: a plan may follow, with names of the user's


@dataclass(frozen=True, slots=True)
class Said:
    """An error of Spark's. `word` is its error class or a gRPC status, and may be empty; `java` are the exceptions it
    names, without their packages: a job's own error is told inside another.
    """

    word: str
    java: tuple[str, ...]
    sentence: str

    @classmethod
    def by(cls, error: BaseException) -> Said:
        text = str(error).partition("\n\nJVM stacktrace:")[0]
        status, details = _STATUS.search(text), _DETAILS.search(text)
        if status and "RPC" in text:
            body = details[1] if details else text
            found = _WORD.search(body)
            return cls(found[1] if found else status[1], _java(body), _sentence(body, error))
        found = _FIRST_WORD.match(text)
        return cls(found[1] if found else "", _java(text), _sentence(text, error))


def _java(text: str) -> tuple[str, ...]:
    return tuple((one or other).rpartition(".")[2] for one, other in _JAVA.findall(text[:_LOOKED_AT]))


def _sentence(text: str, error: BaseException) -> str:
    """The first line without a secret, the scheduler's words and its full stop, and the reason that a trace tells."""
    first = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    first = _SCHEDULER.sub("", first)
    if first.endswith(_UNTOLD):
        causes = _CAUSE.findall(text)
        first = first.removesuffix(_UNTOLD).rstrip(". ") + (f": {causes[-1]}" if causes else "")
    first = redact(first)[:_LONGEST].rstrip(". ")
    return f"{first} (a packed file is not a whole gzip file)" if _NOT_WHOLE.search(first) else first


# --- what is wrong with the cluster ----------------------------------------------------------

_AWAY = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED", "NO_ACTIVE_SESSION"})
_NO_TLS = re.compile("WRONG_VERSION_NUMBER")
_REFUSED = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})
_LOST = re.compile(r"INVALID_HANDLE\.(SESSION|OPERATION)_|INVALID_CURSOR|SESSION_CHANGED|SESSION_CLOSED")
_ENDED = "OPERATION_CANCELED"
_JOB = "SparkException"  # what a job ends with that began
VIEW = "autoloader_"  # how the names of views begin that a session of ours makes; no other session has them
_VIEW = re.compile(VIEW + r"(rows_)?[0-9a-f]{32}\b")

# --- what is wrong with a table or a file: the first line that fits counts -------------------

_KINDS: tuple[tuple[re.Pattern[str], type[AutoloaderError], str, str], ...] = (
    (
        re.compile(r"TABLE_OR_VIEW_NOT_FOUND|SCHEMA_NOT_FOUND|^NoSuch(Table|Namespace)Exception$"),
        TableNotFound,
        "There is no table {what}: {said}.",
        "Look at the name; was it dropped?",
    ),
    (
        re.compile(r"PATH_NOT_FOUND|^FileNotFoundException$|FILE_NOT_EXIST|READ_FILE_NOT_EXIST"),
        FileMissing,
        "Spark does not find a file ({what}): {said}.",
        "Was it removed, and does the cluster reach the same storage?",
    ),
    (
        re.compile(r"^CommitStateUnknownException$"),
        CommitUnknown,
        "The outcome of a commit to {what} is not known: {said}.",
        "Only the table knows whether it landed; the next run looks.",
    ),
    (
        re.compile(r"^(CommitFailedException|DuplicateWAPCommitException|CherrypickAncestorCommitException)$"),
        CommitConflict,
        "A commit to {what} was not taken: {said}.",
        "The next run looks whether it landed, and tries again.",
    ),
    (
        re.compile(r"^(NotAuthorizedException|ForbiddenException)$"),
        CatalogRefused,
        "The catalog refused the cluster ({what}): {said}.",
        "Check the catalog's credentials on the cluster, and their rights.",
    ),
    (
        re.compile(r"^(AccessDeniedException|AccessControlException|S3Exception|AbfsRestOperationException)$"),
        SourceAccessDenied,
        "The cluster may not use a file ({what}): {said}.",
        "Check the storage's credentials on the cluster, and their rights.",
    ),
    (
        re.compile(r"^(UncheckedSQLException|ServiceUnavailableException|ServiceFailureException|RESTException"
                   r"|PSQLException|ConnectException|UnknownHostException|RuntimeIOException)$"),
        CatalogUnavailable,
        "The cluster cannot use the catalog ({what}): {said}.",
        f"Is the catalog running, and does the cluster reach it? Look at it{TRY}",
    ),
    (
        re.compile(r"^(ClassNotFoundException|NoClassDefFoundError|UnsupportedFileSystemException)$"),
        SparkError,
        "The cluster lacks a library ({what}): {said}.",
        f"Which stores it reads, and what the others need{TRY}",
    ),
    (
        # The second is what Spark makes of a name whose catalog it does not know.
        re.compile(r"CATALOG_NOT_FOUND|REQUIRES_SINGLE_PART_NAMESPACE|^CatalogNotFoundException$"),
        CatalogError,
        "The cluster has no such catalog ({what}): {said}.",
        f"Define it where the server is started, as spark.sql.catalog.…; what is needed{TRY}",
    ),
)  # fmt: skip


@contextmanager
def spark_errors(where: object, what: str = "", *, committing: bool = False) -> Iterator[None]:
    """Errors met while the cluster at `where` works on `what` (a table's name, or a few words).

    Raises SparkUnavailable and SparkSessionLost where trying again can help, SparkRefused, SparkInterrupted, the
    CatalogError or SourceError that Spark names, SparkJobFailed for a job that ended so, else SparkError. While
    `committing` no answer is not "no": whatever does not say that nothing was committed is CommitUnknown (P3).
    """
    try:
        yield
    except AutoloaderError:
        raise
    except Exception as error:
        ours = translated(error, where, what)
        if ours is None:
            raise
        if committing and not isinstance(ours, CommitConflict | CatalogRefused | TableNotFound | SparkRefused):
            raise CommitUnknown(
                f"The answer to a commit to {what} was lost: {ours.message}",
                hint="Only the table knows whether it landed; the next run looks.",
            ) from error
        raise ours from error


def translated(error: Exception, where: object, what: str = "") -> AutoloaderError | None:
    """Ours for one of theirs; None for what is a fault of the program."""
    if isinstance(error, ImportError):
        missing = error.name or str(error)
        return SparkRefused(f"Spark clusters need a library that is not installed ({missing}).", hint=INSTALL)
    if not _is_theirs(error):
        return None
    said = Said.by(error)
    found = _of_cluster(said, str(where)) or _of_work(said, str(where), what)
    found.hint = hint_for(where, found.hint)
    return found


def _is_theirs(error: Exception) -> bool:
    if isinstance(error, ValueError) and "closed channel" in str(error):
        return True
    if isinstance(error, RuntimeError) and "OPERATION_NOT_FOUND" in str(error):
        return True
    return any(kind.__module__.partition(".")[0] in {"pyspark", "grpc"} for kind in type(error).__mro__)


def _of_cluster(said: Said, where: str) -> AutoloaderError | None:
    if _LOST.search(said.word) or "OPERATION_NOT_FOUND" in said.sentence:
        return SparkSessionLost(f"The session on {where} is lost: {said.sentence}.", hint="It is made anew by itself.")
    if said.word == "TABLE_OR_VIEW_NOT_FOUND" and _VIEW.search(said.sentence):
        return SparkSessionLost(
            f"{where} has forgotten the session: the server was started anew.", hint="It is made anew by itself."
        )
    if said.word == _ENDED:
        return SparkInterrupted(
            f"An operation on {where} was interrupted.", hint="The run was cancelled, or its successor took over."
        )
    if said.word in _AWAY and _NO_TLS.search(said.sentence):
        return SparkUnavailable(f"Spark Connect service not reachable at {where}: it does not speak TLS.", hint=NO_TLS)
    if said.word in _AWAY or "closed channel" in said.sentence:
        return SparkUnavailable(f"Spark Connect service not reachable at {where}: {said.sentence}.", hint=NEXT)
    if said.word in _REFUSED:
        return SparkRefused(
            f"{where} refuses us ({said.word}).",
            hint=LOGIN,
        )
    if said.word == "UNIMPLEMENTED":
        return SparkRefused(
            f"What answers at {where} is no Spark Connect service, or of a version that we do not know.", hint=NEXT
        )
    return None


def _of_work(said: Said, where: str, what: str) -> AutoloaderError:
    for pattern, kind, text, hint in _KINDS:
        if any(map(pattern.search, (said.word, *said.java))):
            missing = _CATALOG.search(said.sentence) if kind is CatalogError else None
            if missing:
                return _no_catalog(where, missing[1])
            return kind(text.format(what=what or where, said=said.sentence), hint=hint)
    # What only the plan is wrong with is a SparkError: it would be as wrong for fewer files.
    kind = SparkJobFailed if _JOB in said.java else SparkError
    on = f" ({what})" if what else ""
    return kind(f"Spark at {where} could not do it{on}: {said.sentence}.", hint="Its own log says more.")


def _no_catalog(where: str, name: str) -> CatalogNotFound:
    return CatalogNotFound(
        f"There is no catalog {name!r} on the cluster at {where}.",
        hint=f"Start its server with the settings of spark.sql.catalog.{name} (autoloader docs clusters), or load"
        " into one that it has.",
    )
