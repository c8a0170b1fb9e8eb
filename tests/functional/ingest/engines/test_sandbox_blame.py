"""What the machine does to the parsing child is not blamed on the files: full disks, little memory, signals."""

from __future__ import annotations

import errno
import json
import os
import signal
from dataclasses import replace

import pytest

from app.errors import SourceUnavailable
from app.ingest.engines import parse_child
from app.ingest.engines.sandbox import Sandbox, _result
from app.ingest.engines.sandbox_process import OutOfMemory
from app.ingest.formats.contract import RowColumns
from tests.functional.ingest.parsing import LIMITS, MIB, parse, request

SCHEMA = "id bigint, name string"


@pytest.fixture
def large(tmp_path):
    """So long that the parent looks at the child several times before it is done."""
    path = tmp_path / "large.jsonl"
    path.write_text(('{"id": 1, "name": "' + "x" * 60 + '"}\n') * 700_000)
    return path


@pytest.fixture
def own():
    """Makes sandboxes that end with the test."""
    made = []

    def make(**limits):
        made.append(Sandbox(replace(LIMITS, **limits), timeout_seconds=60))
        return made[-1]

    yield make
    for sandbox in made:
        sandbox.close()


def test_a_child_that_the_system_killed_once_is_no_reason_to_blame_its_files(own, large, tmp_path):
    sandbox = own()
    victims = []

    def kill_the_first(_: int) -> None:
        if not victims:
            victims.append(sandbox.pid)
            os.kill(sandbox.pid, signal.SIGKILL)

    parsed = sandbox.parse(request([large], SCHEMA, tmp_path), on_progress=kill_the_first)
    assert victims
    assert sum(file.rows for file in parsed.files) == 700_000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_service_that_is_told_to_end_does_not_lose_its_parser_first(own, small, large, tmp_path, number):
    sandbox = own()
    parse(sandbox, small, SCHEMA, tmp_path)
    told = sandbox.pid
    parsed = sandbox.parse(request([large], SCHEMA, tmp_path), on_progress=lambda _: os.kill(told, number))
    assert sum(file.rows for file in parsed.files) == 700_000
    assert sandbox.pid == told


def test_many_columns_on_a_machine_of_many_cores_fit_into_the_memory(own, tmp_path):
    """Each thread holds vectors for each column: 16 threads of 120 columns took the whole of 600 MB."""
    path = tmp_path / "wide.jsonl"
    path.write_text((json.dumps({f"c{i}": f"{i}x" for i in range(120)}) + "\n") * 20_000)
    schema = ", ".join(f"c{i} string" for i in range(120))
    names = RowColumns(("_file_id", 901), ("_source_file", 902), ("_ingested_at", 903), ("_rescued_data", 904))
    limits = replace(LIMITS, threads=16)
    parsed = own(threads=16).parse(request([path], schema, tmp_path, limits=limits, row_columns=names))
    assert [file.rows for file in parsed.files] == [20_000]


def test_what_was_short_of_memory_is_tried_with_one_thread(own, small, tmp_path, monkeypatch):
    sandbox = own()
    threads = []
    once = Sandbox._ask_once

    def short_at_first(self, asked, on_progress):
        threads.append(asked.limits.threads)
        if len(threads) == 1:
            raise OutOfMemory("The parser died: it ran out of memory.")
        return once(self, asked, on_progress)

    monkeypatch.setattr(Sandbox, "_ask_once", short_at_first)
    parsed = sandbox.parse(request([small], SCHEMA, tmp_path))
    assert threads == [LIMITS.threads, 1]
    assert [file.rows for file in parsed.files] == [1]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_fault_of_the_file(own, small, tmp_path, monkeypatch, code):
    """No disk is filled here: the child's answer to the system's own words goes through the sandbox."""

    def full(_: object) -> None:
        raise OSError(code, os.strerror(code), "data_0.parquet")

    monkeypatch.setattr(parse_child, "_work", full)
    answer = parse_child._answer(b"{}")
    sandbox = own()
    parse(sandbox, small, SCHEMA, tmp_path)
    with pytest.raises(SourceUnavailable, match="disk is full"):
        _result(answer, sandbox._child)
    assert parse(sandbox, small, SCHEMA, tmp_path).rows("id") == [(1,)]


@pytest.mark.parametrize("known", [1_000, 0])
def test_a_table_of_a_thousand_columns_can_be_loaded(own, tmp_path, known):
    """As wide as files may make it: more would shut every file out of it."""
    path = tmp_path / "wide.jsonl"
    path.write_text((json.dumps({f"c{i}": f"{i}x" for i in range(1_000)}) + "\n") * 100)
    schema = ", ".join(f"c{i} string" for i in range(known)) or "id bigint"
    limits = replace(LIMITS, threads=4, memory_bytes=1024 * MIB)
    names = RowColumns(("_file_id", 9_001), ("_source_file", 9_002), ("_ingested_at", 9_003), ("_rescued_data", 9_004))
    asked = request([path], schema, tmp_path, limits=limits, row_columns=names, unknown="add")
    parsed = own(memory_bytes=1024 * MIB).parse(asked)
    assert [file.state for file in parsed.files] == ["SUCCESS"]
    assert len(parsed.new_columns) == 1_000 - known
