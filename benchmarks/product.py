"""The product as a person drives it: `autoloader load SOURCE TABLE --json`, each time in a home of its own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import CommandFailed, Measured, run

AUTOLOADER = str(Path(sys.executable).with_name("autoloader"))
TABLE = "bench.rows"


def load(
    source: str, home: Path, *, environment: Mapping[str, str] | None = None, expected: int | None = None
) -> Measured:
    """One run. Raises CommandFailed also when it loaded another number of rows than `expected`."""
    settings = {"AUTOLOADER_HOME": str(home), "LOG_LEVEL": "WARNING", **(environment or {})}
    measured = run([AUTOLOADER, "load", source, TABLE, "--json"], settings)
    if expected is not None and (found := number(measured.answer, "rows")) != expected:
        message = f"Loaded {found} rows of {expected} from {source}: {measured.answer}"
        raise CommandFailed(message)
    return measured


def fresh_load(source: str, home: Path, expected: int, environment: Mapping[str, str] | None = None) -> Measured:
    """A first run: nothing is known, no table is there."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    return load(source, home, environment=environment, expected=expected)


def number(answer: Mapping[str, object], name: str) -> int | None:
    """The number of that name in the answer, or in one of its objects."""
    for key, value in answer.items():
        if key == name and isinstance(value, int):
            return value
        if isinstance(value, dict) and (found := number(value, name)) is not None:
            return found
    return None
