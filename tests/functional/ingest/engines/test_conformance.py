"""Both engines over one set of cases: the same rows, rescued texts, rejected records and states of files."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.errors import AutoloaderError, InvalidInput
from app.ingest.engines import spark_csv
from tests.functional.ingest.engines.conformance import GROUPS, REFUSALS, Group, Refusal
from tests.functional.spark_loading import CLUSTER, SparkLoader
from tests.services.spark.jars import VERSION


@pytest.fixture
def both(sqlite_database, tmp_path, spark_server) -> SparkLoader:
    return SparkLoader(sqlite_database, tmp_path, spark_server)


@dataclass
class Loaded:
    """What one engine made: of the run as a whole, and of each file."""

    run: Any
    schema: str
    files: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))


def load(both: SparkLoader, group: Group, engine: str) -> Loaded:
    table = f"{group.name}_{engine}"
    try:
        summary = both.load(both.server.table(table), engine=engine, **group.given)
        told = str(summary.state.value)
    except AutoloaderError as error:
        told = type(error).__name__
    made = Loaded(told, both.schema(table))
    for name, *state in both.files(table):
        made.files[name]["state"] = state
    for text in both.rows(table):
        row = json.loads(text)
        name = Path(row.pop("_source_file")).name
        made.files[name].setdefault("rows", []).append(json.dumps(row, ensure_ascii=False))
    # In the order of their raw text: what the engines say behind a reason's word is their own.
    for name, reason, raw in sorted(rejects_of(both, table), key=lambda one: one[2]):
        made.files[name].setdefault("rejects", []).append((reason.partition(":")[0], raw))
    return made


def shown(made: dict[str, Any]) -> set[str]:
    """A text for each thing, so that a difference is seen at once."""
    return {str(made.get("state")), *made.get("rows", ()), *map(str, made.get("rejects", ()))}


def rejects_of(both: SparkLoader, table: str) -> list[tuple[str, str, str]]:
    with both.catalog() as catalog:
        there = catalog.table(f"{both.server.table(table)}__rejects").exists()
    return both.rejects(table) if there else []


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_every_file_is_loaded_by_both_engines_alike_but_for_the_known_differences(both, group):
    for name, data in group.files.items():
        both.put(name, data)
    spark, embedded = load(both, group, CLUSTER), load(both, group, "embedded")
    assert spark.files.keys() == embedded.files.keys() == group.files.keys()
    odd = {name for name in group.files if spark.files[name] != embedded.files[name]}
    for name in odd - group.differences.keys():
        one, other = shown(spark.files[name]), shown(embedded.files[name])
        assert (one - other, other - one) == (set(), set()), name
    known = {name for name, one in group.differences.items() if one.only in {"", VERSION}}
    assert odd == known, "a known difference is gone: take its mark away"
    if not odd:
        assert spark.run == embedded.run
    assert spark.schema == embedded.schema


def test_large_csv_files_are_read_line_by_line_and_fail_where_lines_are_not_enough(both, monkeypatch):
    monkeypatch.setattr(spark_csv, "WHOLE_BYTES", 0)
    group = next(group for group in GROUPS if group.name == "csv_added")
    refused = {"quotes.csv", "ends.csv", "headers.csv", "open.csv", "packed.csv.gz", "stray.csv"}
    for name in refused | {
        "good.csv",
        "mark.csv",
        "later-mark.csv",
        "misfit.csv",
        "ragged.csv",
        "latin.csv",
        "header.csv",
    }:
        both.put(name, group.files[name])
    spark, embedded = load(both, group, CLUSTER), load(both, group, "embedded")
    for name in embedded.files.keys() - refused:
        one, other = shown(spark.files[name]), shown(embedded.files[name])
        assert (one - other, other - one) == (set(), set()), name
    assert {name: spark.files[name]["state"][-1] for name in refused} == dict.fromkeys(refused, "not-on-spark")
    assert not any("rows" in spark.files[name] for name in refused)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.said)
def test_what_spark_cannot_do_alike_is_refused_by_name_and_no_table_is_made(both, refusal: Refusal):
    both.put("1.jsonl", '{"id": 1}\n')
    with pytest.raises(InvalidInput, match=refusal.said):
        both.on_spark("never", **refusal.given)
    with both.catalog() as catalog:
        assert not catalog.table(both.server.table("never")).exists()
