"""The files of a batch as Spark reads them: listed one by one, and each row with the id of its file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from app.errors import AutoloaderError, FileMissing, SourceAccessDenied
from app.ingest.engines.spark_rows import PATH
from app.ingest.formats.spark.words import FILE
from app.ingest.formats.streams import BadFile
from app.spark import FileAccess, Session, spark_errors
from app.spark.files import SEEN
from app.storage import Store
from app.values import BatchFile, FileOutcome, FileState

_TASK, _TASK_BYTES = "spark.sql.files.maxPartitionBytes", 64 * 1024 * 1024
_LEAST = "spark.sql.files.minPartitionNum"
# Spark lists the files that it is given with one task each, and packs small ones by what it thinks that opening one
# costs: by default that is most of the time that 10,000 files take.
SETTINGS = {
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    "spark.sql.files.openCostInBytes": "65536",
    _TASK: str(_TASK_BYTES),  # the larger the tasks, the longer the last one is waited for alone
    "spark.sql.files.maxPartitionNum": str(2**31 - 1),  # beyond it Spark makes tasks larger than the line above says
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.caseSensitive": "true",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",  # what TIMESTAMP means
    "spark.sql.legacy.codingErrorAction": "true",  # 4.0 would fail over bytes that are not UTF-8; 3.5 does not know it
    "spark.sql.codegen.hugeMethodLimit": "8000",  # the JVM does not compile what is larger, and Spark can split it
    "spark.sql.analyzer.maxIterations": "1000",  # nested types are expressions within expressions
}
# An object store answers each path slowly and many at once. Options of reads stand in the statements that a server
# shows on its pages and keeps in its event log: what they hold is none of its readers' business.
_REMOTE = {"spark.sql.sources.parallelPartitionDiscovery.parallelism": "32"}
_REDACTION = "spark.sql.redaction.string.regex"
_HIDDEN = r'"fs\.[^"\n]*"\s+value: [^\n]*'
# Encodings by Python's names, as Java calls them; those whose line ends are bytes of their own, and no part of others.
DECODED = {"utf-8": "", "latin-1": "ISO-8859-1"}
_TOLD = re.compile(r"autoloader-(changed|unknown):(-?\d+)(?: (\S+))?")  # the message may be cut behind it
_UNKNOWN = "CAST(raise_error(concat('autoloader-unknown:0 ', seen)) AS BIGINT)"
_BY_NAME = (
    f"CASE WHEN file IS NULL THEN {_UNKNOWN}"
    " WHEN seen_size = size AND coalesce(seen_modified = modified, true) THEN file"
    " ELSE CAST(raise_error(concat('autoloader-changed:', CAST(file AS STRING))) AS BIGINT) END"
)
_BY_SIZE = (
    f"CASE WHEN (seen = key OR seen = other) AND coalesce(seen_modified = modified, true) THEN file ELSE {_UNKNOWN} END"
)
CHANGED = "changed"
# A column to ask `read` for: this is the first line that its task reads, and of a part that is a file's first one.
BEGIN = f"monotonically_increasing_id() % {1 << 33} = 0 AND _metadata.file_block_start = 0"
_AT_ONCE = 16
_FILES = "key string, other string, path string, file long, size long, modified long"


def prepare(session: Session, access: FileAccess) -> None:
    """Make the session one that reads sources, and these files in this way."""
    session.files = access
    shown = session.setting(_REDACTION)
    hidden = _HIDDEN
    if shown:  # a session that another run had may know ours already
        hidden = shown if _HIDDEN in shown else f"(?:{shown})|{_HIDDEN}"
    remote = {**_REMOTE, _REDACTION: hidden} if access.root else {}
    session.set({**SETTINGS, **remote})


def read(session: Session, files: Sequence[BatchFile], reader: Any, columns: Sequence[str], where: str = "true") -> Any:
    """A DataFrame of what `reader` makes of the files: `columns` of it, FILE and PATH, where `where` is true of these.

    A file that is not as it was discovered, by its size and time, fails the job: `culprit` reads which it was.
    """
    with spark_errors(session.endpoint):
        known = _listed(files, session.files)
        table = session.spark.createDataFrame(known.rows, _FILES).hint("broadcast")
        seen = _loaded(session, files, reader).selectExpr(
            *columns,
            f"{known.seen} AS seen",
            "_metadata.file_size AS seen_size",
            "unix_millis(_metadata.file_modification_time) AS seen_modified",
        )
        on = seen["seen_size"] == table["size"] if known.by_size else seen["seen"] == table["key"]
        joined = seen.where(where).join(table, on, "left")
        names = [name.rpartition(" AS ")[2] for name in columns]
        return joined.selectExpr(*names, f"{_BY_SIZE if known.by_size else _BY_NAME} AS {FILE}", PATH)


def cut_whole(session: Session, files: Sequence[BatchFile]) -> None:
    """Have Spark cut no bzip2 file of these into parts smaller than its blocks, from now on.

    Many cores want many parts. Of a part in which no block begins, and behind which one does at once, Hadoop 3.3.4
    reads that block (HADOOP-18321), and so does the next part: its rows would be there twice.
    """
    if any(file.path.endswith(".bz2") for file in files):
        session.set({_LEAST: "1"})
    else:
        session.reset(_LEAST)


def cut_for(session: Session, files: Sequence[BatchFile]) -> None:
    """Have Spark cut what it reads from now on so that BEGIN is true of the first line of each of these files, which
    are large and not packed.

    A task reads parts of files, the longer ones first, until they have the most bytes of a task. The first part of a
    file that is longer than half of these has no other before it. It must be proved: a cluster may be set otherwise.
    """
    most = min((2 * file.size for file in files), default=_TASK_BYTES)
    session.set({_TASK: str(min(most, _TASK_BYTES))})


def _loaded(session: Session, files: Sequence[BatchFile], reader: Any) -> Any:
    reader = reader.options(recursiveFileLookup="true", **session.files.options)  # folders named a=b are no columns
    return reader.load([session.files.path(file.path) for file in files])


@dataclass(frozen=True, slots=True)
class _Known:
    """`rows` of _FILES; `seen` is SQL for what a row calls its file, as `key` or `other` has it."""

    rows: list[tuple[Any, ...]]
    seen: str
    by_size: bool = False  # one row a file, which its size tells from all others


def _listed(files: Sequence[BatchFile], access: FileAccess) -> _Known:
    """The SQL is worked out for each row, so it is Spark's own name of the file where all have names that need no
    decoding: to make an address of it costs more than to read a line. A number is found faster than a name.
    """
    told = [(file.path, file.file_id, file.size, _milliseconds(file)) for file in files]
    names = [access.seen(file.path) for file in files]
    if not all(names):
        return _Known([(one[0], None, *one) for one in told], access.address_sql)
    if len({file.size for file in files}) == len(files):
        return _Known([(some[0], some[-1], *one) for one, some in zip(told, names, strict=True)], SEEN, by_size=True)
    return _Known([(name, None, *one) for one, some in zip(told, names, strict=True) for name in some], SEEN)


def text_of(encoding: str) -> str:
    """The column of a file's text, or of its lines, that `read` is asked for: Spark itself takes all bytes for UTF-8.

    `encoding` is one of DECODED.
    """
    charset = DECODED[encoding]
    return f"decode(CAST(value AS BINARY), '{charset}') AS value" if charset else "value"


def reach(session: Session, file: BatchFile) -> None:
    """Have the cluster look at the file, and read nothing of it. Raises what that raises."""
    with spark_errors(session.endpoint):
        reader = session.spark.read.format("binaryFile").options(recursiveFileLookup="true", **session.files.options)
        reader.load(session.files.path(file.path)).select("length").collect()


def unseen(session: Session, files: Sequence[BatchFile]) -> list[BatchFile]:
    """Those of the files that Spark has no line of, not even an empty one. A packed file may hold none."""
    plain = [file for file in files if not file.path.endswith((".gz", ".bz2"))]
    if not plain:
        return []
    with spark_errors(session.endpoint):
        rows = read(session, plain, session.spark.read.format("text"), ["value"]).select(FILE).distinct().collect()
    seen = {int(row[FILE]) for row in rows}
    return [file for file in plain if file.file_id not in seen]


def _milliseconds(file: BatchFile) -> int | None:
    """When the file was last changed, where its version tells: that of a local file does."""
    found = re.fullmatch(r"\d+-(-?\d+)", file.version)
    return int(found[1]) // 1_000_000 if found and file.path.startswith("/") else None


def culprit(error: AutoloaderError, files: Sequence[BatchFile], access: FileAccess) -> FileOutcome | None:
    """The outcome of the file that a job failed with, as far as Spark's error names one."""
    said = access.told(error.message)
    told = _TOLD.search(error.message)
    if told and told[1] == "changed":
        file = next((file for file in files if file.file_id == int(told[2])), None)
        return _changed(file) if file else None
    name = (told[3] or "").rstrip(".,") if told else ""
    other = next((file for file in files if name in access.seen(file.path)), None)
    if other:  # it is there by its name, and not as it was
        return _changed(other)
    plain = unquote(said)  # some errors name files as URLs
    named = [file for file in files if file.path in said or file.path in plain]
    if not named:
        return None
    file = max(named, key=lambda one: len(one.path))
    # A store may fail to give what it has; a disk does not, and Spark does not tell the one from the other.
    reason = "undecodable" if file.path.startswith("/") else "job-failed"
    return FileOutcome(file.file_id, FileState.FAILED, reason=reason, error=f"{file.path} cannot be read: {said}")


def is_unknown(error: AutoloaderError) -> bool:
    """The job failed over a file that is none of its own, or not as it was: who tells files by size knows no more."""
    told = _TOLD.search(error.message)
    return bool(told and told[1] == "unknown")


def not_as_discovered(store: Store, files: Sequence[BatchFile]) -> list[FileOutcome]:
    """Outcomes of those files that are not any more what was discovered, by the store's own word.

    A file that still has the version of its discovery after it was read was not another in between.
    """
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="stat") as pool:
        return [outcome for outcome in pool.map(lambda file: _checked(store, file), files) if outcome]


def _checked(store: Store, file: BatchFile) -> FileOutcome | None:
    try:
        now = store.stat(file.path).version
    except (FileMissing, SourceAccessDenied) as error:
        return not_there(file, error)
    return None if now == file.version else _changed(file)


def not_there(file: BatchFile, error: FileMissing | SourceAccessDenied) -> FileOutcome:
    reason = "missing" if isinstance(error, FileMissing) else "denied"
    return FileOutcome(file.file_id, FileState.FAILED, reason=reason, error=error.message)


def not_readable(file: BatchFile, error: OSError) -> FileOutcome:
    """Of a file whose begin, or end, this machine cannot read."""
    sentence = f"{file.path} cannot be read: {error.strerror}."
    return FileOutcome(file.file_id, FileState.FAILED, reason="missing", error=sentence)


def flawed(file: BatchFile, bad: BadFile) -> FileOutcome:
    """Of a file whose own content says why it is not loaded."""
    return FileOutcome(file.file_id, FileState(bad.state), reason=bad.reason, error=bad.error)


def _changed(file: BatchFile) -> FileOutcome:
    sentence = f"{file.path} changed after it was discovered (was {file.version})."
    return FileOutcome(file.file_id, FileState.FAILED, reason=CHANGED, error=sentence)
