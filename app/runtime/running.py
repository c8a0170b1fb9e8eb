"""Who runs `autoloader up` for a home: one at a time, and what everybody may know of it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.errors import AlreadyUp, InvalidInput
from app.runtime.part import PartState, PartStatus

_LOCK = "up.lock"
_STATE = "up.json"
_BEFORE = "up.json.before"  # of one that was killed
_LOOKED_AT_SECONDS = 0.5  # `seen` holds the lock for a moment; that is nobody who runs


@dataclass(frozen=True, slots=True)
class Running:
    """An `up` as it tells of itself in `up.json`. No secrets."""

    pid: int
    started: str
    api_url: str
    prefect_url: str
    parts: tuple[PartStatus, ...] = ()


@contextmanager
def only_one(home: Path) -> Iterator[bool]:
    """Hold the home's lock, which ends with the process, however it ends. Answers whether the one before ended badly.

    What that one told of itself is seen no more: its ports may be another's by now.

    Raises AlreadyUp, and InvalidInput for a home that cannot be written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InvalidInput(
            f"{home} cannot be written: {error.strerror}.", hint="Set AUTOLOADER_HOME to a folder that can be written."
        ) from error
    try:
        _take(lock, home)
        try:
            with suppress(FileNotFoundError):
                (home / _STATE).replace(home / _BEFORE)
            yield (home / _BEFORE).exists()  # also when the one between was killed before it could tell anything
        finally:
            for name in (_STATE, _BEFORE):
                (home / name).unlink(missing_ok=True)
    finally:
        os.close(lock)


def _take(lock: int, home: Path) -> None:
    until = time.monotonic() + _LOOKED_AT_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise _already(home) from error
            time.sleep(_LOOKED_AT_SECONDS / 10)
        else:
            return


def _already(home: Path) -> AlreadyUp:
    other = _read(home)
    who = f" (process {other.pid}: API {other.api_url}, Prefect {other.prefect_url})" if other is not None else ""
    return AlreadyUp(
        f"`autoloader up` runs already for {home}{who}.",
        hint="See it: autoloader up --status. Stop it with Ctrl-C there, or set another AUTOLOADER_HOME.",
    )


def write(home: Path, running: Running) -> None:
    """Tell how it stands; whoever reads it meanwhile sees the old or the new, whole."""
    draft = home / f"{_STATE}.new"
    draft.write_text(json.dumps(asdict(running), indent=1), encoding="utf-8")
    draft.replace(home / _STATE)


def seen(home: Path) -> Running | None:
    """What runs for the home now; None when nothing does. Takes no lock that anybody could meet for long."""
    try:
        lock = os.open(home / _LOCK, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(home)
    finally:
        os.close(lock)
    return None


def _read(home: Path) -> Running | None:
    try:
        found: dict[str, Any] = json.loads((home / _STATE).read_text(encoding="utf-8"))
        parts: Sequence[dict[str, Any]] = found.pop("parts", ())
        return Running(**found, parts=tuple(PartStatus(**{**one, "state": PartState(one["state"])}) for one in parts))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # about to be written, or of another version
