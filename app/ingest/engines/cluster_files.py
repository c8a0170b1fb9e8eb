"""Files beside a table that only a cluster reaches, and the errors of what a table needs for itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import CatalogError, CatalogUnavailable, SourceAccessDenied, SparkError, SparkJobFailed
from app.spark import Session, spark_errors
from app.spark.files import escaped

LOOK_SECONDS = 120.0
CHANGE_SECONDS = 900.0
# S3's addresses as Iceberg writes them, and as Hadoop's library is called where nobody has named it for them.
_ALIASES = {"s3": "s3a", "s3n": "s3a"}


def write(session: Session, path: str, text: str, table: str) -> None:
    """A folder of that name with one packed file. Raises CatalogUnavailable, CatalogError."""
    for address in _addresses(path):
        with _writing(), _known_scheme(), of_table(session, path, CHANGE_SECONDS):
            one = session.spark.createDataFrame([(text,)], "value string").coalesce(1)
            one.write.mode("overwrite").option("compression", "gzip").text(address)
            return
    raise _unreadable(path, table)


def content(session: Session, path: str, table: str) -> bytes:
    """The bytes of a file, or of the files of a folder. Raises FileMissing, and as `write`."""
    for address in _addresses(path):
        with _known_scheme(), of_table(session, path, LOOK_SECONDS):
            found = session.spark.read.format("binaryFile").load(escaped(address)).select("path", "content")
            return b"".join(bytes(row["content"]) for row in sorted(found.collect(), key=lambda row: row["path"]))
    raise _unreadable(path, table)


def _unreadable(path: str, table: str) -> CatalogError:
    return CatalogError(
        f"The cluster reads {path} through Iceberg, and not as a file: {table} cannot be loaded into.",
        hint="Give it the library for that storage (hadoop-aws for s3://), or a connection that reaches the"
        " catalog from here: autoloader connections add NAME catalog --replace",
    )


@contextmanager
def of_table(session: Session, what: str, seconds: float, *, committing: bool = False) -> Iterator[None]:
    """Errors of what a table needs for itself. Where a job of it fails, no file of the source had a part in it."""
    try:
        with session.within(seconds), spark_errors(session.endpoint, what, committing=committing):
            yield
    except SparkJobFailed as error:
        raise _nobodys(error) from error


@contextmanager
def _writing() -> Iterator[None]:
    """A small file that cannot be written is no more the batch's fault, whatever Spark calls it."""
    try:
        yield
    except SparkError as error:
        if type(error) is not SparkError:  # away, lost, refused or interrupted: said already
            raise
        raise _nobodys(error) from error


def _nobodys(error: SparkError) -> CatalogUnavailable:
    return CatalogUnavailable(
        f"The cluster could not do what table and receipts need; no file of the source is to blame: {error.message}",
        hint=f"Has its storage room, and may the cluster write there? {error.hint}",
    )


def _addresses(path: str) -> list[str]:
    """The address as it is, and as Hadoop may call it."""
    scheme, colon, rest = path.partition("://")
    return [path, f"{_ALIASES[scheme]}{colon}{rest}"] if scheme in _ALIASES else [path]


@contextmanager
def _known_scheme() -> Iterator[None]:
    """What Hadoop has no library for, or may not read, is no answer: another name of the same file may be."""
    try:
        yield
    except SparkError as error:
        if "No FileSystem for scheme" not in error.message and "UnsupportedFileSystem" not in error.message:
            raise
    except SourceAccessDenied as error:
        raise CatalogError(error.message, hint=error.hint) from error
