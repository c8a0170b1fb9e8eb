"""The command in this process, with a home and a working folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.cli import place
from app.cli.main import run
from app.config import get_settings

LONG_AGO = 1_700_000_000


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def home(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """AUTOLOADER_HOME with a ledger that is made already; the working folder is beside it."""
    for name in ("DATABASE_URL", "AUTOLOADER_SECRET_KEY", "AUTOLOADER_FAILPOINTS"):
        monkeypatch.delenv(name, raising=False)
    made = tmp_path / "home"
    made.mkdir()
    shutil.copy(sqlite_template, made / "autoloader.db")
    monkeypatch.setenv("AUTOLOADER_HOME", str(made))
    monkeypatch.setenv("PARSER_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield made
    get_settings.cache_clear()


@pytest.fixture
def cli(home: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Ran]]:
    def call(*arguments: str) -> Ran:
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    yield call
    place.choose(None)  # the process goes on, and other tests print commands, too


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, data: bytes | str) -> Path:
    """A file that was delivered long ago, so that no run waits for it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def rows(first: int, count: int) -> str:
    return "".join(json.dumps({"id": first + at, "name": f"n{first + at}"}) + "\n" for at in range(count))


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """The command as a process; AUTOLOADER_HOME is the test's."""
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", *arguments],
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
