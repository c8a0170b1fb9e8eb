"""This machine's own disk, where a worker keeps what it looks at: when it fails, no file is to blame."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import SourceUnavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Nothing but writes into the folder. Raises SourceUnavailable, which is retried, where the disk fails."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            message, hint = f"The disk of {folder.parent} is full.", "Free space there, or set TMPDIR to a larger disk."
        else:
            message, hint = f"{folder} cannot be written: {error.strerror or error}.", "Set TMPDIR to a healthy disk."
        raise SourceUnavailable(message, hint=hint) from error
