"""Standard output and standard error, whatever they lead to: a closed pipe, a full disk, nothing at all."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from app.errors import OutputRefused


class Answers(io.TextIOWrapper):
    """Standard output. Raises OutputRefused where it cannot be written, and BrokenPipeError when its reader has gone:
    that one has heard what it wanted.
    """

    def write(self, text: str, /) -> int:
        with _told():
            return super().write(text)

    def flush(self) -> None:
        with _told():
            super().flush()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputRefused(
            f"Standard output could not be written: {error.strerror or error}.",
            hint="Is the disk full that it leads to? What the command did stays done; see runs: autoloader runs list",
        ) from error


def prepare() -> None:
    """Make both streams such that nothing that is written to them ends the command as a fault of the program."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # whoever began us closed it
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for as long as we live
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # a terminal that lacks a letter
    found = sys.stdout
    if type(found) is io.TextIOWrapper:
        settings = (found.encoding, found.errors, None, found.line_buffering, found.write_through)
        sys.stdout = Answers(found.detach(), *settings)


def silence(stream: TextIO) -> None:
    """Let the stream lead nowhere: Python would write what it still holds at its end, and exit with 120."""
    with contextlib.suppress(OSError, ValueError):  # a stream of tests has no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
