"""The end of a Parquet file that lies in an object store, as a local file: what tells its columns and rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from app.storage import Store
from app.values import BatchFile

_MAGIC = b"PAR1"
_HEAD = 16  # what is looked at to say what a file is
_TAIL = 64 * 1024  # most footers are shorter
_LONGEST = 256 * 1024 * 1024


@contextmanager
def footer_of(store: Store, file: BatchFile) -> Iterator[Path]:
    """A local file whose footer is that of `file`, which it is itself where it is local.

    Else it is of the same size and holds the first bytes and the footer; what lies between takes no room. Raises
    FileMissing, SourceAccessDenied, SourceUnavailable.
    """
    local = store.local_path(file.path)
    if local is not None:
        yield local
        return
    with NamedTemporaryFile(prefix="autoloader-footer-") as made:
        made.truncate(file.size)
        for start, data in _parts(store, file):
            made.seek(start)
            made.write(data)
        made.flush()
        yield Path(made.name)


def _parts(store: Store, file: BatchFile) -> Iterator[tuple[int, bytes]]:
    start = max(0, file.size - _TAIL)
    tail = store.read(file.path, start)
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if tail.endswith(_MAGIC) and len(tail) < length <= min(file.size, _LONGEST):
        start = file.size - length
        tail = store.read(file.path, start)
    if start:
        yield 0, store.read(file.path, 0, _HEAD)
    # An object that has grown or shrunk since it was discovered: it is found to be another when it was read.
    yield start, tail[: file.size - start]
