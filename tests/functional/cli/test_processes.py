"""The command as a process: signals, watching, pipes."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.ingest.engines.embedded import EmbeddedEngine
from app.vault import Vault
from tests.functional.cli.conftest import put, rows, start


def until(condition, seconds=180.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


@pytest.mark.parametrize(("number", "code", "word"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
def test_a_stopped_run_ends_cancelled_and_the_next_one_goes_on(cli, landing, tmp_path, number, code, word):
    put(landing, "a.jsonl", rows(0, 5))
    gate = tmp_path / "gate"

    process = start("load", "landing", "shop.orders", AUTOLOADER_FAILPOINTS=f"written=wait:{gate}")
    until((tmp_path / "gate.reached").exists)
    process.send_signal(number)
    out, err = process.communicate(timeout=180)

    assert process.returncode == code
    assert out == ""
    assert err.endswith(
        f"Error: Stopped by {word}.\nNext: Nothing is half done: the same command goes on where it stopped.\n"
    )
    assert [run["state"] for run in cli("runs", "list", "--json").answer["runs"]] == ["CANCELLED"]
    again = cli("load", "landing", "shop.orders", "--json").answer
    assert (again["state"], again["metrics"]["rows"]) == ("SUCCESS", 5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_meets_upkeep_ends_the_run_like_any_other(cli, landing, monkeypatch, number):
    put(landing, "a.jsonl", rows(0, 5))
    monkeypatch.setattr(EmbeddedEngine, "expire", lambda *arguments: signal.raise_signal(number))

    ran = cli("load", "landing", "shop.orders")

    assert ran.code == 128 + number
    assert [run["state"] for run in cli("runs", "list", "--json").answer["runs"]] == ["CANCELLED"]
    assert [run["error_code"] for run in cli("runs", "list", "--json").answer["runs"]] == ["interrupted"]


def test_a_signal_ends_the_checks_and_is_no_result_of_one(cli, monkeypatch):
    monkeypatch.setenv("AUTOLOADER_SECRET_KEY", "a key, so that there is something to check")
    monkeypatch.setattr(Vault, "from_settings", lambda *arguments: signal.raise_signal(signal.SIGINT))

    assert cli("doctor", "--json").code == 130


def test_a_second_signal_kills_at_once(home, landing, tmp_path):
    put(landing, "a.jsonl", rows(0, 5))
    with (
        closing(sqlite3.connect(home / "autoloader.db", isolation_level=None)) as ledger,
        start("load", "landing", "shop.orders", AUTOLOADER_FAILPOINTS=f"written=wait:{tmp_path / 'gate'}") as process,
    ):
        until((tmp_path / "gate.reached").exists)
        ledger.execute("BEGIN IMMEDIATE")  # the end of the run waits for it, inside a library's call
        process.send_signal(signal.SIGINT)
        until(lambda: handled_as_usual(process.pid))
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)

    assert process.returncode == -signal.SIGINT


def handled_as_usual(pid):
    """Whether the process has no handler of its own for SIGINT any more."""
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return not int(caught.group(1), 16) & 1 << (signal.SIGINT - 1)


def test_watching_loads_files_as_they_arrive_and_ctrl_c_is_its_regular_end(home, landing):
    put(landing, "a.jsonl", rows(0, 5))

    process = start("load", "landing", "shop.orders", "--watch", "--every", "0.2", "--json")
    first = json.loads(process.stdout.readline())
    put(landing, "b.jsonl", rows(5, 2))
    second = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=180)

    assert (first["metrics"]["rows"], second["metrics"]["rows"]) == (5, 2)
    assert (process.returncode, out) == (0, ""), err


def test_a_reader_that_goes_away_gets_no_traceback(cli, landing):
    put(landing, "a.jsonl", rows(0, 5))
    cli("load", "landing", "shop.orders")

    with start("files", "list") as process:
        process.stdout.close()
        err = process.stderr.read()

    assert (err, process.returncode) == ("", 0)


def test_a_reader_that_goes_away_changes_no_exit_code(cli, landing):
    put(landing, "bad.jsonl.gz", b"no gzip")

    with start("load", "landing", "shop.orders", "--json", "--format", "jsonl") as process:
        process.stdout.close()

    assert process.returncode == 3


@pytest.mark.parametrize("level", ["WARNING", "DEBUG"])
def test_a_run_whose_notes_nobody_reads_goes_on(cli, landing, level):
    put(landing, "a.jsonl", rows(0, 5))

    with start("load", "landing", "shop.orders", LOG_LEVEL=level) as process:
        process.stderr.close()
        out = process.stdout.read()

    assert process.returncode == 0
    assert out.startswith("Loaded 1 file (120 B), 5 rows, into local.shop.orders")
    assert [run["state"] for run in cli("runs", "list", "--json").answer["runs"]] == ["SUCCESS"]


def test_an_error_that_nobody_reads_keeps_its_exit_code(home):
    with start("load", "nowhere", "shop.orders") as process:
        process.stderr.close()

    assert process.returncode == 1


def test_debug_shows_where_an_error_came_from_and_no_key_of_an_address(cli, landing):
    put(landing, "a.jsonl", rows(0, 1))
    cli("connections", "add", "far", "catalog", "-o", "type=rest", "-o", "uri=http://127.0.0.1:9/?token=canary")

    process = start("load", "landing", "far.shop.orders", "--debug")
    out, err = process.communicate(timeout=180)
    tested = cli("connections", "test", "far")

    assert process.returncode == 1
    assert "Traceback" in err
    assert "canary" not in out + err + tested.out + tested.err


def test_without_a_terminal_there_is_no_bar(home, landing):
    put(landing, "a.jsonl", rows(0, 5))

    process = start("load", "landing", "shop.orders")
    out, err = process.communicate(timeout=180)

    assert process.returncode == 0
    assert "\x1b" not in out + err
    assert err.splitlines() == [
        "Made the ingestion shop.orders.",
        "Format jsonl: 1 file ends in .jsonl.",
        "Reading a sample to infer the schema.",
    ]


def test_the_sample_of_a_process_that_was_killed_goes_with_the_next_run(cli, home, landing):
    put(landing, "a.jsonl", rows(0, 5))
    killed = (
        "import os; from app.cli.main import run; from app.ingest.engines.sandbox import Sandbox;"
        "Sandbox.infer = lambda *_: os._exit(9); run(['load', 'landing', 'shop.orders'])"
    )
    root = str(Path(__file__).parents[3])
    subprocess.run([sys.executable, "-c", killed], env={**os.environ, "PYTHONPATH": root}, check=False)
    left = list((home / "spool").iterdir())

    assert cli("load", "landing", "shop.orders").code == 0
    assert left
    assert list((home / "spool").iterdir()) == []


def test_a_ledger_comes_to_be_by_itself(landing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(landing, "a.jsonl", rows(0, 5))

    process = start("load", "landing", "shop.orders", "--json", AUTOLOADER_HOME=str(tmp_path / "new"), DATABASE_URL="")
    out, err = process.communicate(timeout=120)

    assert json.loads(out)["metrics"]["rows"] == 5, err


def ended(before: str, then: str) -> subprocess.CompletedProcess[bytes]:
    """A process of the console script in which `run` is something else."""
    code = f"import atexit, gc, sys, threading, time; {before}; from app.cli import main; {then}; main.script()"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.run(
        [sys.executable, "-c", code], check=False, env=environment, stdout=subprocess.PIPE, timeout=180
    )


def test_what_is_to_be_done_at_the_end_of_the_process_is_done_and_the_exit_code_is_the_commands():
    """Python's own end is cut short."""
    done = (
        "late = lambda: (time.sleep(0.5), print('thread'));"
        "main.run = lambda _: (threading.Thread(target=late).start(), atexit.register(print, 'registered'), 3)[-1]"
    )
    found = ended("atexit.register(print, 'early')", done)
    assert (found.stdout, found.returncode) == (b"thread\nregistered\nearly\n", 3)


def test_python_does_not_take_a_process_apart_that_has_ended():
    dies = "main.kept = type('Kept', (), {'__del__': lambda _: print('taken apart', flush=True)})()"
    found = ended("pass", f"{dies}; main.run = lambda _: 0")
    assert (found.stdout, found.returncode) == (b"", 0)


@pytest.mark.parametrize("unbuffered", ["1", ""])
@pytest.mark.parametrize("words", ["--version", "--help", "ingestions list", "ingestions list --json"])
def test_an_answer_that_a_full_disk_does_not_take_is_told_as_such_and_not_as_a_fault_of_the_program(
    home, words, unbuffered
):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "app.cli.main", *words.split()]
    with Path("/dev/full").open("wb") as full:
        found = subprocess.run(
            command, check=False, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=180
        )
    assert found.stderr == (
        "Error: Standard output could not be written: No space left on device.\n"
        "Next: Is the disk full that it leads to? What the command did stays done; see runs: autoloader runs list\n"
    )
    assert found.returncode == 1


def test_of_a_load_whose_summary_met_a_full_disk_nothing_is_said_to_be_left_to_do(home, landing):
    put(landing, "a.jsonl", rows(0, 2))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-m", "app.cli.main", "load", str(landing), "shop.orders"]
    with Path("/dev/full").open("wb") as full:
        found = subprocess.run(
            command, check=False, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=180
        )
    assert "Error: Standard output could not be written" in found.stderr
    assert "is kept" not in found.stderr


def test_a_process_without_standard_output_ends_as_well():
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-m", "app.cli.main", "--version"]
    shell = f"exec {' '.join(command)} >&-"
    found = subprocess.run(["/bin/sh", "-c", shell], check=False, env=environment, stderr=subprocess.PIPE, timeout=180)
    assert (found.stderr, found.returncode) == (b"", 0)
