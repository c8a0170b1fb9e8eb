"""Whatever happens to the parsing child, this process hears why and the next request is served."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from app.errors import InvalidInput, ParserDied
from app.ingest.engines.nursery_client import Nursery
from app.ingest.engines.parser_start import start_anew
from app.ingest.engines.sandbox import Sandbox, _folder_bytes
from tests.functional.ingest.parsing import LIMITS, MIB, parse, request

SCHEMA = "id bigint, name string"


@pytest.fixture
def endless(tmp_path):
    """A file that never ends: a pipe that nobody writes to would block, so a big one does. `1.0` is left to the exact
    way, which takes many times as long: read the quick way it was over before a busy machine looked after it.
    """
    path = tmp_path / "big.jsonl"
    line = '{"id": 1.0, "name": "' + "x" * 60 + '"}\n'
    path.write_text(line * 700_000)
    return path


@pytest.fixture(scope="module")
def nursery():
    with Nursery() as made:
        yield made


@pytest.fixture(params=["anew", "nursery"])
def start(request, nursery):
    """The two ways to a parsing child: whatever happens to it is the same."""
    return start_anew if request.param == "anew" else nursery.start


@pytest.fixture
def own(start):
    """Makes sandboxes that end with the test."""
    made = []

    def make(timeout_seconds=60.0, **limits):
        made.append(Sandbox(replace(LIMITS, **limits), timeout_seconds=timeout_seconds, start=start))
        return made[-1]

    yield make
    for sandbox in made:
        sandbox.close()


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


def test_one_child_serves_many_requests(own, small, tmp_path):
    sandbox = own()
    parse(sandbox, small, SCHEMA, tmp_path)
    first = sandbox.pid
    parsed = parse(sandbox, small, SCHEMA, tmp_path)
    assert sandbox.pid == first
    assert parsed.rows("id, name") == [(1, "x")]


def test_the_child_sees_nothing_of_our_environment(own, small, tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOLOADER_SECRET_KEY", "hidden")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:password@host/db")
    sandbox = own()
    parse(sandbox, small, SCHEMA, tmp_path)
    assert set(psutil.Process(sandbox.pid).environ()) <= {
        "PATH",
        "LANG",
        "TZ",
        "PYTHONPATH",
        "PYTHONSAFEPATH",
        "LC_CTYPE",
        "MALLOC_MMAP_THRESHOLD_",
        "MALLOC_TRIM_THRESHOLD_",
        "OPENBLAS_NUM_THREADS",
    }
    assert not [c for c in psutil.Process(sandbox.pid).net_connections() if c.status != psutil.CONN_NONE]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_killed_child_is_named_by_its_signal_and_replaced(own, small, endless, tmp_path, number):
    sandbox = own()
    parse(sandbox, small, SCHEMA, tmp_path)
    killed = sandbox.pid

    def kill(_: int) -> None:
        os.kill(sandbox.pid, number)

    with pytest.raises(ParserDied, match=number.name):
        sandbox.parse(request([endless], SCHEMA, tmp_path), on_progress=kill)
    assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]
    assert sandbox.pid != killed


def test_a_child_killed_between_requests_is_replaced(own, small, tmp_path):
    sandbox = own()
    parse(sandbox, small, SCHEMA, tmp_path)
    killed = sandbox.pid
    os.kill(killed, signal.SIGKILL)
    until(lambda: not sandbox._child.alive)
    assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]


def test_a_child_that_is_dead_is_killed_by_its_number_only_while_that_is_its_own(own, small, tmp_path, monkeypatch):
    dead, other = own(), own()
    parse(dead, small, SCHEMA, tmp_path)
    child, taken = dead.pid, []
    kill = os.killpg

    def killpg(pid: int, number: int) -> None:
        if pid == child:
            taken.append(psutil.pid_exists(pid))
        kill(pid, number)

    os.kill(child, signal.SIGKILL)
    until(lambda: not dead._child.alive)
    parse(other, small, SCHEMA, tmp_path)  # who frees numbers has had its turn
    monkeypatch.setattr(os, "killpg", killpg)
    dead.close()

    assert all(taken)
    until(lambda: not psutil.pid_exists(child))


def test_too_long_is_ended(own, endless, tmp_path):
    sandbox = own(timeout_seconds=0.2)
    with pytest.raises(ParserDied, match=r"0\.2 seconds \(time\)"):
        sandbox.parse(request([endless], SCHEMA, tmp_path))
    assert sandbox.pid is None


def test_too_much_memory_is_ended(own, endless, tmp_path, monkeypatch):
    monkeypatch.setattr("app.ingest.engines.sandbox._MEMORY_LEAST", 32 * MIB)
    sandbox = own(memory_bytes=16 * MIB)
    with pytest.raises(ParserDied, match="memory"):
        sandbox.parse(request([endless], SCHEMA, tmp_path))
    assert sandbox.pid is None


def test_too_much_output_is_ended(own, endless, tmp_path, small):
    sandbox = own(max_output_bytes=20_000)
    path = tmp_path / "random.jsonl"
    path.write_text("".join(f'{{"id": {i}, "name": "{os.urandom(16).hex()}"}}\n' for i in range(20_000)))
    with pytest.raises(ParserDied, match="output size"):
        sandbox.parse(request([path], SCHEMA, tmp_path))
    assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]


def test_progress_is_told_while_it_writes_and_at_the_end(own, endless, tmp_path):
    seen = []
    own().parse(request([endless], SCHEMA, tmp_path), on_progress=seen.append)
    assert seen[-1] > 0


def test_a_file_that_changes_while_it_is_read_is_not_loaded(own, endless, small, tmp_path, monkeypatch):
    monkeypatch.setattr("app.ingest.engines.sandbox._SIZE_SECONDS", 0.0)
    before = []

    def change(size: int) -> None:
        if size and not before:
            before.append(size)
            with endless.open("a") as file:
                file.write('{"id": 2}\n')

    asked = request([small, endless], SCHEMA, tmp_path, in_place=True)
    result = own().parse(asked, on_progress=change)
    assert before
    assert [(file.state, file.reason, file.rows) for file in result.files] == [
        ("SUCCESS", "", 1),
        ("FAILED", "changed", 0),
    ]


def test_the_size_is_measured_though_the_child_removes_folders_meanwhile(tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "data").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "inside" / "data")
    (tmp_path / "work").mkdir()
    real = os.scandir

    def scandir(path):
        if str(path).endswith("work"):
            Path(path).rmdir()
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert _folder_bytes(tmp_path) == 5
    assert not (tmp_path / "work").exists()


def test_progress_that_raises_ends_the_child(own, small, tmp_path):
    sandbox = own()

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sandbox.parse(request([small], SCHEMA, tmp_path), on_progress=stop)
    assert sandbox.pid is None


def test_a_request_that_cannot_be_right_is_refused_and_the_child_stays(own, small, tmp_path):
    sandbox = own()
    with pytest.raises(InvalidInput, match="no format 'xml'"):
        parse(sandbox, small, SCHEMA, tmp_path, format="xml")
    child = sandbox.pid
    assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]
    assert sandbox.pid == child


def test_a_fault_of_the_parser_itself_is_told(own, small, tmp_path):
    sandbox = own()
    with pytest.raises(ParserDied, match="it failed"):
        parse(sandbox, small, SCHEMA, tmp_path, ingested_at="no time")
    assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]


def test_close_leaves_no_process(own, small, tmp_path):
    sandbox = own()
    parse(sandbox, small, SCHEMA, tmp_path)
    pid = sandbox.pid
    sandbox.close()
    assert gone(pid)


PARENT = """
import sys, threading
from pathlib import Path
from tests.functional.ingest.parsing import LIMITS, request
from app.ingest.engines.nursery_client import Nursery
from app.ingest.engines.parser_start import start_anew
from app.ingest.engines.nursery_client import Nursery
from app.ingest.engines.parser_start import start_anew
from app.ingest.engines.sandbox import Sandbox

def run():
    sandbox = Sandbox(LIMITS, timeout_seconds=600, start=Nursery().start if sys.argv[4] == "nursery" else start_anew)
    path, folder = Path(sys.argv[1]), Path(sys.argv[2])
    told = []
    def tell(size):
        if not told:
            told.append(size)
            print(sandbox.pid, flush=True)
    while True:
        sandbox.parse(request([path], "id bigint, name string", folder), on_progress=tell)

if sys.argv[3] == "thread":
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
else:
    run()
"""


@pytest.mark.parametrize("way", ["anew", "nursery"])
@pytest.mark.parametrize("where", ["main", "thread"])
def test_the_child_dies_with_its_parent(endless, tmp_path, where, way):
    root = Path(__file__).parents[4]
    command = [sys.executable, "-c", PARENT, str(endless), str(tmp_path), where, way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.kill()
    until(lambda: gone(child))


def test_the_child_outlives_the_thread_that_started_it(own, small, tmp_path):
    sandbox = own()
    thread = threading.Thread(target=parse, args=(sandbox, small, SCHEMA, tmp_path))
    thread.start()
    thread.join()
    child = sandbox.pid
    assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]
    assert sandbox.pid == child


def test_data_files_carry_the_field_ids_of_all_columns(own, tmp_path):
    import pyarrow.parquet as pq

    path = tmp_path / "nested.jsonl"
    path.write_text('{"n": {"x": [1]}, "m": {"k": 1}, "l": [{"y": 1}]}\nbad\n')
    parsed = parse(own(), path, "n struct<x: array<int>>, m map<string, bigint>, l array<struct<y: int>>", tmp_path)
    [data_file] = parsed.result.data_files
    schema = pq.ParquetFile(data_file).schema_arrow

    def ids(field):
        inner = [ids(field.type.field(i)) for i in range(field.type.num_fields)]
        return (
            (field.name, int(field.metadata[b"PARQUET:field_id"]), *inner) if field.metadata else (field.name, *inner)
        )

    assert [ids(field) for field in schema] == [
        ("n", 1, ("x", 2, ("element", 3))),
        ("m", 4, ("m", ("key", 6), ("value", 5))),
        ("l", 7, ("element", 8, ("y", 9))),
        ("_file_id", 101),
        ("_source_file", 102),
        ("_ingested_at", 103),
        ("_rescued_data", 104),
    ]


def test_large_output_is_cut_into_files(own, tmp_path):
    path = tmp_path / "many.jsonl"
    path.write_text("".join(f'{{"id": {i}, "name": "{os.urandom(24).hex()}"}}\n' for i in range(400_000)))
    limits = replace(LIMITS, target_file_bytes=4 * MIB)
    parsed = parse(own(), path, SCHEMA, tmp_path, limits=limits)
    assert len(parsed.result.data_files) > 1
    assert parsed.rows("count(*), count(DISTINCT id)") == [(400_000, 400_000)]
