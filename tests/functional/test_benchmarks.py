"""The measuring itself: what is compared must be the same work on the same rows."""

from __future__ import annotations

import sys

import duckdb
import pytest

from benchmarks import inputs, report
from benchmarks.measure import CommandFailed, alternate, run
from benchmarks.product import number
from benchmarks.run import RESULTS, order

SMALL = 0.0005


@pytest.mark.parametrize("name", ["small-ndjson", "large-ndjson", "csv", "parquet"])
def test_inputs_hold_what_they_say_and_the_baseline_loads_all_of_it(tmp_path, name):
    source = inputs.prepare(name, tmp_path, SMALL)
    reader = {"jsonl": "read_json", "csv": "read_csv", "parquet": "read_parquet"}[source.kind]
    counted = duckdb.sql(f"SELECT count(*), count(DISTINCT id) FROM {reader}('{source.folder}/*')").fetchall()
    command = [
        sys.executable,
        "-m",
        "benchmarks.baselines",
        "load",
        source.kind,
        str(source.folder),
        str(tmp_path / "o"),
    ]

    assert len(list(source.folder.iterdir())) == source.files
    assert counted == [(source.rows, source.rows)]
    assert run(command).answer["rows"] == source.rows


def test_inputs_are_always_the_same_and_made_once(tmp_path):
    first = inputs.prepare("neighbour", tmp_path / "a", 0.001)
    again = inputs.prepare("neighbour", tmp_path / "b", 0.001)
    before = [file.stat().st_mtime_ns for file in sorted(first.folder.iterdir())]

    assert [file.read_bytes() for file in sorted(first.folder.iterdir())] == [
        file.read_bytes() for file in sorted(again.folder.iterdir())
    ]
    assert inputs.prepare("neighbour", tmp_path / "a", 0.001) == first
    assert [file.stat().st_mtime_ns for file in sorted(first.folder.iterdir())] == before


def test_memory_counts_children_too():
    child = "x = bytearray(80_000_000); import time; time.sleep(0.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"

    assert run([sys.executable, "-c", parent]).memory > 80_000_000


def test_libraries_are_kept_compiled_whatever_the_machine_says(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    asked = "import json, sys; print(json.dumps({'compiles': sys.dont_write_bytecode}))"
    assert run([sys.executable, "-c", asked]).answer == {"compiles": False}


def test_a_command_that_fails_stops_the_measurement_with_its_complaint():
    with pytest.raises(CommandFailed, match="no such thing"):
        run([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_both_sides_take_turns_and_medians_are_compared():
    turns = []

    def side(name, seconds):
        def measure():
            turns.append(name)
            return run_of(seconds.pop(0))

        return measure

    figures = alternate(3, side("ours", [3.0, 90.0, 4.0]), side("theirs", [2.0, 1.0, 80.0]))

    assert turns == ["ours", "theirs"] * 3
    assert (figures["product_s"], figures["baseline_s"], figures["ratio"]) == (4.0, 2.0, 2.0)


def run_of(seconds):
    from benchmarks.measure import Measured

    return Measured(seconds, 0, {})


def test_the_page_says_which_bars_were_missed(tmp_path):
    results = tmp_path / "results.json"
    report.store(report.result("a", "one thing", 1.4, 1.5, {"product_s": 14.0, "baseline_s": 10.0}), results)
    report.store(report.result("b", "another", 1.6, 1.5, {}), results)
    report.store(report.result("b-memory", "its memory", 400, 500, {}, unit="MiB"), results)

    page = report.page(report.load(results), ["a", "b", "b-memory", "never measured"], 1)

    assert "| one thing | 14.0 s | 10.0 s | 1.40 × | 1.5 × | met |" in page
    assert "| another |  |  | 1.60 × | 1.5 × | **missed** |" in page
    assert "| its memory |  |  | 400 MiB | 500 MiB | met |" in page
    assert "smoke" not in page
    assert "smoke" in report.page(report.load(results), ["a"], 0.01)


def test_the_page_in_the_docs_is_that_of_the_stored_results():
    stored = report.load(RESULTS)
    assert stored.keys() <= set(order())

    def lines(page):
        return [line for line in page.split("\n") if not line.startswith("Machine: ")]

    there = (RESULTS.parents[1] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert lines(there) == lines(report.page(stored, order(), 1))


def test_a_number_is_found_wherever_it_stands_in_the_answer():
    assert number({"run": {"metrics": {"rows": 3, "seconds": {"load": 1.5}}}}, "rows") == 3
    assert number({"rows": 0}, "rows") == 0
    assert number({"a": {}}, "rows") is None
