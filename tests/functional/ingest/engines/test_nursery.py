"""A parsing child that the nursery forks is one like any other, and losing the nursery costs no file."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from app.ingest.engines import parser_start
from app.ingest.engines.nursery import PARSER_OF
from app.ingest.engines.nursery_client import Nursery
from app.ingest.engines.parser_start import NurseryUnusable, clean_environment, use_starter
from app.ingest.engines.sandbox import Sandbox
from tests.functional.ingest.parsing import LIMITS, parse, request

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no nursery")
SCHEMA = "id bigint, name string"


@pytest.fixture
def nursery():
    with Nursery() as made:
        yield made


@pytest.fixture
def sandbox(nursery):
    with Sandbox(LIMITS, timeout_seconds=60, start=nursery.start) as made:
        yield made


@pytest.fixture
def inherited(nursery):
    """As in a worker's run: whoever starts a parser finds the nursery."""
    use_starter(nursery.start)
    yield nursery
    use_starter(None)


def until(condition, seconds=180.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        time.sleep(0.01)


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # also where it goes between two looks
        return True


def parent(pid):
    return psutil.Process(pid).ppid()


def sockets_of(pid):
    return [one for one in Path(f"/proc/{pid}/fd").iterdir() if str(one.readlink()).startswith("socket:")]


def changed(monkeypatch, folder):
    """Nurseries find the modules of the folder first."""
    environment = {**clean_environment(), "PYTHONPATH": f"{folder}:{clean_environment()['PYTHONPATH']}"}
    monkeypatch.setattr("app.ingest.engines.nursery_client.clean_environment", lambda: environment)


def test_its_child_is_in_a_session_of_its_own_and_named_for_who_asked(nursery, sandbox, small, tmp_path):
    assert parse(sandbox, small, SCHEMA, tmp_path).rows("id, name") == [(1, "x")]

    assert parent(sandbox.pid) == nursery.pid
    assert os.getsid(sandbox.pid) == sandbox.pid
    assert Path(f"/proc/{sandbox.pid}/comm").read_text().strip() == f"{PARSER_OF}{os.getpid()}"


def test_the_nursery_knows_nothing_of_our_environment_and_its_children_hold_no_socket(
    nursery, sandbox, small, tmp_path, monkeypatch
):
    monkeypatch.setenv("AUTOLOADER_SECRET_KEY", "hidden")
    with Nursery() as later, Sandbox(LIMITS, timeout_seconds=60, start=nursery.start) as second:
        parse(sandbox, small, SCHEMA, tmp_path)
        parse(second, small, SCHEMA, tmp_path)
        held = sockets_of(sandbox.pid), sockets_of(second.pid)
        known = psutil.Process(later.pid).environ()

    assert held == ([], [])
    assert set(known) <= {*clean_environment(), "LC_CTYPE"}


def test_a_child_that_is_dead_keeps_its_number_until_its_asker_knows(nursery, sandbox, small, tmp_path):
    parse(sandbox, small, SCHEMA, tmp_path)
    child = sandbox.pid
    os.kill(child, signal.SIGKILL)
    until(lambda: psutil.Process(child).status() == psutil.STATUS_ZOMBIE)

    sandbox.close()

    until(lambda: not psutil.pid_exists(child))
    assert nursery.alive()


def test_children_are_served_at_the_same_time_and_end_each_by_itself(nursery, sandbox, small, tmp_path):
    with Sandbox(LIMITS, timeout_seconds=60, start=nursery.start) as other:
        parse(sandbox, small, SCHEMA, tmp_path)
        parse(other, small, SCHEMA, tmp_path)
        ended = other.pid
        assert ended != sandbox.pid
    until(lambda: gone(ended))
    kept = sandbox.pid
    assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]
    assert sandbox.pid == kept


def test_a_nursery_that_dies_in_the_midst_of_a_request_costs_no_file(nursery, sandbox, tmp_path, monkeypatch):
    for pause in ("_POLL_SECONDS", "_SIZE_SECONDS"):  # however fast the parser: it is looked at long before it is done
        monkeypatch.setattr(f"app.ingest.engines.sandbox.{pause}", 0.005)
    path = tmp_path / "big.jsonl"
    path.write_text('{"id": 1, "name": "x"}\n' * 700_000)
    seen = []

    def kill(_: int) -> None:
        if not seen:
            seen.append(sandbox.pid)
            os.kill(nursery.pid, signal.SIGKILL)

    result = sandbox.parse(request([path], SCHEMA, tmp_path), on_progress=kill)

    assert [(file.state, file.rows) for file in result.files] == [("SUCCESS", 700_000)]
    assert parent(sandbox.pid) == os.getpid()
    until(lambda: gone(seen[0]))


def test_without_its_nursery_a_run_starts_its_parsers_anew_and_says_so_once(inherited, small, tmp_path, caplog):
    os.kill(inherited.pid, signal.SIGKILL)
    until(lambda: not inherited.alive())

    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with Sandbox(LIMITS, timeout_seconds=60) as sandbox:
                assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]

    [said] = [one.getMessage() for one in caplog.records if one.name == parser_start.__name__]
    assert said.startswith("Parsers are started anew, which takes half a second each: the nursery does not answer (")


def test_a_nursery_that_does_not_answer_in_time_is_passed_over(inherited, small, tmp_path, monkeypatch):
    monkeypatch.setattr("app.ingest.engines.nursery_client._BIRTH_SECONDS", 0.1)
    os.kill(inherited.pid, signal.SIGSTOP)
    try:
        with Sandbox(LIMITS, timeout_seconds=60) as sandbox:
            assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]
            assert parent(sandbox.pid) == os.getpid()
    finally:
        os.kill(inherited.pid, signal.SIGCONT)
    until(lambda: not psutil.Process(inherited.pid).children())


def test_a_nursery_that_is_stopped_holds_nobody_up_who_ends_its_parser(nursery, sandbox, small, tmp_path, monkeypatch):
    monkeypatch.setattr("app.ingest.engines.nursery_client._END_SECONDS", 0.1)
    parse(sandbox, small, SCHEMA, tmp_path)
    child = sandbox.pid
    os.kill(nursery.pid, signal.SIGSTOP)
    try:
        sandbox.close()
        until(lambda: gone(child))
    finally:
        os.kill(nursery.pid, signal.SIGCONT)

    until(lambda: not psutil.pid_exists(child))
    assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]
    assert parent(sandbox.pid) == nursery.pid


def test_a_child_that_went_with_its_nursery_is_not_killed_by_its_number(nursery, sandbox, small, tmp_path, monkeypatch):
    parse(sandbox, small, SCHEMA, tmp_path)
    child, killed = sandbox.pid, []
    os.kill(nursery.pid, signal.SIGKILL)
    # Its child dies with the thread that forked it, its sockets close with its last one.
    until(lambda: gone(child) and not nursery.alive())
    monkeypatch.setattr(os, "killpg", lambda pid, number: killed.append((pid, number)))

    sandbox.close()

    assert killed == []


@pytest.fixture
def fails_once(tmp_path, monkeypatch):
    """A nursery whose first fork the system refuses."""
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, os\n"
        "fork = os.fork\n"
        "def refused():\n"
        "    os.fork = fork\n"
        "    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))\n"
        "os.fork = refused\n"
    )
    changed(monkeypatch, tmp_path)
    with Nursery() as made:
        yield made


def test_a_fork_that_the_system_refuses_costs_the_nursery_none_of_its_children(fails_once, small, tmp_path):
    with pytest.raises(NurseryUnusable):
        fails_once.start([])

    assert len(sockets_of(fails_once.pid)) == 1
    with Sandbox(LIMITS, timeout_seconds=60, start=fails_once.start) as sandbox:
        assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]
        assert parent(sandbox.pid) == fails_once.pid


@pytest.fixture
def kills_nobody(tmp_path, monkeypatch):
    """A nursery whose children outlive being killed by it, as one does that hangs in the kernel."""
    (tmp_path / "sitecustomize.py").write_text("import os\nos.kill = os.killpg = lambda pid, number: None\n")
    changed(monkeypatch, tmp_path)
    with Nursery() as made:
        yield made


def test_a_child_that_is_slow_to_die_holds_up_no_other(kills_nobody, small, tmp_path):
    slow = kills_nobody.start([])
    os.kill(slow.pid, signal.SIGSTOP)
    slow._answers.close()
    try:
        with Sandbox(LIMITS, timeout_seconds=60, start=kills_nobody.start) as sandbox:
            assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]
        assert psutil.pid_exists(slow.pid)
    finally:
        os.kill(slow.pid, signal.SIGKILL)
        for stream in (slow.stdin, slow.stdout, slow.stderr):
            stream.close()
    until(lambda: not psutil.pid_exists(slow.pid))


def test_it_stays_when_all_of_a_service_are_asked_to_end_and_goes_with_the_last_who_could_ask(small, tmp_path):
    with Nursery() as nursery:
        with Sandbox(LIMITS, timeout_seconds=60, start=nursery.start) as sandbox:
            parse(sandbox, small, SCHEMA, tmp_path)
            os.kill(nursery.pid, signal.SIGTERM)
            os.kill(sandbox.pid, signal.SIGTERM)
            assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]
        assert nursery.alive()
    assert not nursery.alive()


def test_a_parsing_child_never_imports_pandas(sandbox, small, tmp_path):
    """Arrow looks for it with the first value and finds it where Spark's client is installed: a quarter of a second."""
    with Sandbox(LIMITS, timeout_seconds=60, start=parser_start.start_anew) as alone:
        for one in (sandbox, alone):
            parse(one, small, SCHEMA, tmp_path)
            assert "/pandas/" not in Path(f"/proc/{one.pid}/maps").read_text()


def test_what_cannot_be_imported_ends_the_nursery_and_not_the_load(tmp_path, small, monkeypatch):
    (tmp_path / "duckdb.py").write_text("raise ImportError('not in the nursery')\n")
    changed(monkeypatch, tmp_path)
    with Nursery() as nursery, Sandbox(LIMITS, timeout_seconds=60) as sandbox:
        use_starter(nursery.start)
        assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]
        until(lambda: not nursery.alive())
