"""The bytes of one file: decompressed, decoded to UTF-8, bounded, and checked for what they are.

Every fault of a file is a `BadFile` with a stable reason; nobody above needs to know the libraries' errors.
"""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from app.errors import InvalidInput
from app.ingest.formats.base import Job
from app.ingest.formats.contract import ParseFile, ParseLimits

CHUNK = 2 * 1024 * 1024
_SLACK = 64 * 1024 * 1024  # output that is never called an expansion: small files may shrink by any factor
_MAGIC = {
    b"PAR1": "Parquet",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
    b"Obj\x01": "Avro",
    b"ORC": "ORC",
    b"%PDF": "PDF",
    b"SQLite format 3": "SQLite",
    b"\x7fELF": "an executable",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"\xfd7zXZ": "xz",
    b"ARROW1": "Arrow",
}
_NAMED = {"gzip": "gzip", "zstd": "zstd", "bzip2": "bz2"}  # compressions, as `format.compression` calls them
_ENCODINGS = {"utf-8": "utf-8", "utf8": "utf-8", "utf-16": "utf-16", "utf16": "utf-16"}
_ENCODINGS |= {"utf-16-le": "utf-16-le", "utf-16-be": "utf-16-be"}
_ENCODINGS |= {"latin-1": "latin-1", "latin1": "latin-1", "iso-8859-1": "latin-1"}


class BadFile(Exception):
    """A file that cannot be loaded: a reason of ParsedFile's list and the sentence for a person."""

    def __init__(self, reason: str, error: str, state: str = "FAILED") -> None:
        super().__init__(error)
        self.reason = reason
        self.error = error
        self.state = state


def check_encoding(value: object) -> str:
    """Python's name of the encoding. Raises InvalidInput for one that is not offered."""
    name = str(value or "utf-8").strip().lower().replace("_", "-")
    if name not in _ENCODINGS:
        raise InvalidInput(f"The encoding {value!r} is not known.", hint="Use utf-8, utf-16 or latin-1.")
    return _ENCODINGS[name]


def precheck(file: ParseFile) -> int:
    """The file's size. Raises BadFile: `missing`, `denied`, `not-this-format` (a folder), `changed`."""
    if file.offset is not None:
        return file.size  # our own copy, just made: reading it tells the rest
    try:
        found = os.stat(file.local_path)  # noqa: PTH116 20,000 times a batch
        if not stat.S_ISREG(found.st_mode):
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
            raise BadFile("not-this-format", f"{file.path} is {kind}.")
        if not os.access(file.local_path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
            raise BadFile("denied", f"{file.path} cannot be read: permission denied.")
    except FileNotFoundError as exc:
        raise BadFile("missing", f"{file.path} is gone: it was listed, but is not there any more.") from exc
    except (PermissionError, NotADirectoryError) as exc:
        raise BadFile("denied", f"{file.path} cannot be read: {exc.strerror}.") from exc
    except OSError as exc:
        raise BadFile("undecodable", f"{file.path} cannot be read: {exc.strerror}.") from exc
    if file.expected_stat is not None and (found.st_size, found.st_mtime_ns) != tuple(file.expected_stat):
        raise BadFile("changed", f"{file.path} changed after it was listed.")
    return found.st_size


def unchanged(file: ParseFile) -> bool:
    """Whether a file that is read in place is still what was listed."""
    if file.expected_stat is None:
        return True
    try:
        found = os.stat(file.local_path)  # noqa: PTH116 as above
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == tuple(file.expected_stat)


def foreign_kind(head: bytes) -> str:
    """What binary format `head` announces; empty when it may be text."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")


def read_chunks(file: ParseFile, limits: ParseLimits, encoding: str = "utf-8") -> Iterator[bytes]:
    """The file's bytes, decompressed and as UTF-8 without a byte order mark, in chunks of about CHUNK.

    For `utf-8` the bytes are passed on unchecked. Raises BadFile: `truncated`, `undecodable`, `expansion`
    (QUARANTINED), `not-this-format` (the head is that of another format), `missing`, `denied`.
    """
    chunks = _decoded(file, limits, encoding)
    head = next(chunks, b"")
    _refuse_foreign(file, head, encoding)
    yield head.removeprefix(codecs.BOM_UTF8)
    yield from chunks


def read_raw(file: ParseFile, limits: ParseLimits) -> Iterator[bytes]:
    """The file's bytes, decompressed, whatever they hold. Raises BadFile as `read_chunks` does."""
    return _raw(file, limits)


def unpack(job: Job, file: ParseFile, encoding: str = "utf-8") -> str:
    """The path of a plain UTF-8 copy below the job's folder, or the safe path when the file is one already.

    For readers that need a path. Raises BadFile as `read_chunks` does.
    """
    if file.compression == "none" and encoding == "utf-8":
        return job.safe_path(file)
    target = Path(job.folder) / "plain" / str(file.file_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("wb") as out:
            for chunk in read_chunks(file, job.limits, encoding):
                out.write(chunk)
    except BadFile:
        target.unlink(missing_ok=True)
        raise
    return str(target)


def _refuse_foreign(file: ParseFile, head: bytes, encoding: str) -> None:
    kind = foreign_kind(head)
    if kind:
        hint = f" Say format.compression: {_NAMED[kind]}, or end its name so." if kind in _NAMED else ""
        raise BadFile("not-this-format", f"{file.path} holds {kind}, not text.{hint}")
    if encoding == "utf-8" and head[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        raise BadFile("undecodable", f"{file.path} is UTF-16; set the option encoding: utf-16.")


def _decoded(file: ParseFile, limits: ParseLimits, encoding: str) -> Iterator[bytes]:
    if encoding == "utf-8":
        yield from _raw(file, limits)
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for chunk in _raw(file, limits):
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as exc:
        raise BadFile("undecodable", f"{file.path} is not {encoding}: {exc}.") from exc


def _raw(file: ParseFile, limits: ParseLimits) -> Iterator[bytes]:
    if file.offset is not None:
        yield from _from_pack(file, limits)
        return
    if file.compression == "none":
        with _reading(file), Path(file.local_path).open("rb", buffering=0) as handle:
            while chunk := handle.read(CHUNK):
                yield chunk
        return
    with _reading(file), pa.OSFile(file.local_path) as packed:
        yield from _plain(file, limits, packed)


def _from_pack(file: ParseFile, limits: ParseLimits) -> Iterator[bytes]:
    with _reading(file):
        data = packed_bytes(file)
        if file.compression == "none":
            yield data
        else:
            yield from _plain(file, limits, pa.BufferReader(data))


def packed_bytes(file: ParseFile) -> bytes:
    """All bytes of a file in a pack, as they are. Raises OSError, and BadFile where they are not all there."""
    with open(file.local_path, "rb", buffering=0) as pack:  # noqa: PTH123 20,000 times a batch
        data = os.pread(pack.fileno(), file.size, file.offset or 0)
    if len(data) != file.size:
        raise BadFile("changed", f"The copy of {file.path} in the spool was cut short.")
    return data


def _plain(file: ParseFile, limits: ParseLimits, packed: pa.NativeFile) -> Iterator[bytes]:
    with pa.CompressedInputStream(packed, file.compression) as plain:
        produced = 0
        while chunk := plain.read(CHUNK):
            produced += len(chunk)
            _check_expansion(file, limits, produced, packed.tell())
            yield chunk


def _check_expansion(file: ParseFile, limits: ParseLimits, produced: int, consumed: int) -> None:
    if produced > limits.max_output_bytes:
        sentence = f"{file.path} decompresses to more than {limits.max_output_bytes:,} bytes."
        raise BadFile("expansion", sentence, "QUARANTINED")
    if produced > _SLACK and produced > limits.max_expansion * consumed:
        sentence = (
            f"{file.path} expands by more than {limits.max_expansion} times ({produced:,} from {consumed:,} bytes)."
        )
        raise BadFile("expansion", sentence, "QUARANTINED")


@contextmanager
def _reading(file: ParseFile) -> Iterator[None]:
    """The system's and Arrow's errors while reading one file, as BadFile."""
    try:
        yield
    except FileNotFoundError as exc:
        raise BadFile("missing", f"{file.path} is gone: it was listed, but is not there any more.") from exc
    except PermissionError as exc:
        raise BadFile("denied", f"{file.path} cannot be read: permission denied.") from exc
    except OSError as exc:
        text = str(exc)
        if text.startswith("Truncated"):
            raise BadFile("truncated", f"{file.path} ends before its {file.compression} stream does.") from exc
        raise BadFile("undecodable", f"{file.path} is not a sound {file.compression} stream: {text}.") from exc
