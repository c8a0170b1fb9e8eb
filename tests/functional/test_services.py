"""The servers that other tests rest on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.services import keeper
from tests.services.recipes import POSTGRES
from tests.services.shared import Recipe, StartFailed, _start


def test_each_test_has_a_database_of_its_own(postgres):
    with psycopg.connect(postgres.dsn) as session:
        session.execute("CREATE TABLE mine (n int)")
        assert session.execute("SELECT current_database()").fetchone() == (postgres.name,)
        assert session.execute("SHOW server_encoding").fetchone() == ("UTF8",)


def test_a_server_ends_with_its_test_run_and_leaves_no_files(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as run:
        serve = [sys.executable, "-c", "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)"]
        command = [sys.executable, keeper.__file__, str(run.pid), str(folder), "SIGKILL", "--", *serve]
        with subprocess.Popen(command) as keeping:
            until = time.monotonic() + 20
            while not (folder / "pid").exists() or not (folder / "pid").read_text():
                assert time.monotonic() < until
                time.sleep(0.02)
            server = int((folder / "pid").read_text())
            assert keeper.started_at(server)
            run.kill()
            keeping.wait(20)
    assert not keeper.started_at(server)
    assert not folder.exists()


def test_a_server_that_is_not_installed_says_what_to_install(tmp_path):
    def command(folder: Path, ports: object) -> list[str]:
        raise FileNotFoundError("the program")

    recipe = Recipe("nothing", 1, command, POSTGRES.ready, "Install it.")
    with pytest.raises(StartFailed, match=r"nothing is not installed \(the program\)\. Install it\."):
        _start(recipe, tmp_path)


def test_the_prefect_server_answers_the_questions_of_prefects_own_commands(prefect_server):
    """They send nulls for what is not asked for, which not every release of the web framework lets through."""
    for question in (["work-pool", "ls"], ["deployment", "ls"], ["flow-run", "ls", "--limit", "1"]):
        asked = subprocess.run(
            [sys.executable, "-m", "prefect", *question], capture_output=True, text=True, timeout=120, check=False
        )
        assert asked.returncode == 0, asked.stdout + asked.stderr
