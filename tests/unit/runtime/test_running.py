from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from app.errors import AlreadyUp, InvalidInput
from app.runtime import running
from app.runtime.part import PartState, PartStatus
from app.runtime.running import Running

PART = PartStatus("api", PartState.READY, "http://127.0.0.1:2", 12, 0, "2026-01-31T00:00:00+00:00", "after 3 s")
ONE = Running(11, "2026-01-31T00:00:00+00:00", "http://127.0.0.1:2", "http://127.0.0.1:1", (PART,))
OTHER = replace(ONE, pid=12, prefect_url="http://127.0.0.1:3")


def test_whoever_runs_is_seen_until_it_ends(tmp_path):
    with running.only_one(tmp_path):
        running.write(tmp_path, ONE)
        assert running.seen(tmp_path) == ONE

    assert running.seen(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["up.lock"]


def test_a_second_one_is_refused_and_told_who_runs(tmp_path):
    with running.only_one(tmp_path):
        running.write(tmp_path, ONE)
        with pytest.raises(AlreadyUp) as caught, running.only_one(tmp_path):
            pass
        assert running.seen(tmp_path) == ONE

    assert caught.value.message == (
        f"`autoloader up` runs already for {tmp_path} (process 11: API http://127.0.0.1:2, Prefect http://127.0.0.1:1)."
    )


@pytest.mark.parametrize("left", ["", "{", '{"pid": 1}', "[]"])
def test_one_of_which_nothing_can_be_read_yet_is_refused_all_the_same(tmp_path, left):
    with running.only_one(tmp_path):
        (tmp_path / "up.json").write_text(left)
        with pytest.raises(AlreadyUp, match=rf"runs already for {tmp_path}\."), running.only_one(tmp_path):
            pass


def test_one_that_was_killed_is_not_seen_and_the_next_one_knows(tmp_path):
    running.write(tmp_path, ONE)

    assert running.seen(tmp_path) is None
    with running.only_one(tmp_path) as ended_badly:
        assert ended_badly
    with running.only_one(tmp_path) as ended_badly:
        assert not ended_badly


def test_where_one_that_was_killed_had_run_nobody_is_seen_before_the_next_one_tells(tmp_path):
    running.write(tmp_path, ONE)

    with running.only_one(tmp_path):
        assert running.seen(tmp_path) is None
        running.write(tmp_path, OTHER)
        assert running.seen(tmp_path) == OTHER

    assert [path.name for path in tmp_path.iterdir()] == ["up.lock"]


def test_one_that_was_killed_before_it_told_anything_hides_no_bad_end_before_it(tmp_path):
    code = "import os, sys; from pathlib import Path; from app.runtime import running\n"
    code += "with running.only_one(Path(sys.argv[1])): os._exit(0)"
    running.write(tmp_path, ONE)
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)

    with running.only_one(tmp_path) as ended_badly:
        assert ended_badly
    with running.only_one(tmp_path) as ended_badly:
        assert not ended_badly


def test_a_home_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(InvalidInput, match="cannot be written: File exists"), running.only_one(tmp_path / "file"):
        pass


def test_one_who_only_looks_keeps_nobody_from_starting(tmp_path):
    with running.only_one(tmp_path):
        pass
    over = threading.Event()

    def look():
        while not over.is_set():
            running.seen(tmp_path)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(20):
            with running.only_one(tmp_path):
                pass
    finally:
        over.set()
        looking.join()
