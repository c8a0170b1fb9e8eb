"""New fields of JSON lines on a cluster: seen before anything is staged, and told as they would have been then."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import compress as pack
from typing import Any

import pytest

from app.datatypes import parse_schema
from app.errors import SchemaChangeRefused, SparkError, SparkInterrupted, SparkSessionLost
from app.ingest.engines import spark_glimpse, spark_lines
from app.ingest.engines.spark import SparkEngine
from app.ingest.engines.spark_glimpse import MOST_KEYS
from app.ingest.engines.spark_publish import NothingStaged, SparkStaged
from app.ingest.engines.spark_stage import Stage
from app.ingest.formats.spark.json_records import RecordLayers
from app.services import wiring
from app.services.load_service import LoadService
from app.values import BatchFile
from tests.functional.catalog.conftest import batch_of
from tests.functional.spark_loading import CLUSTER, SparkLoader

ONLY_ID = {"columns": "id bigint"}
RARE = 100  # one record of so many has the new field


@pytest.fixture
def both(sqlite_database, tmp_path, spark_server) -> SparkLoader:
    return SparkLoader(sqlite_database, tmp_path, spark_server)


@pytest.fixture(autouse=True)
def worth(monkeypatch) -> None:
    """Every batch is large enough for the short way, and so for a look beforehand."""
    for least in ("_QUICK_LEAST_BYTES", "_QUICK_COLUMN_BYTES"):
        monkeypatch.setattr(spark_lines, least, 0)


@pytest.fixture
def appended(monkeypatch) -> list[str]:
    """The stages of all rows that are staged."""
    made: list[str] = []
    append = Stage.append

    def noted(stage: Stage, rows: Any, name: str, properties: Any) -> Any:
        made.append(name.rpartition(".")[2])
        return append(stage, rows, name, properties)

    monkeypatch.setattr(Stage, "append", noted)
    return made


def put(both: SparkLoader, name: str, *records: object) -> None:
    both.put(name, "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in records))


def with_rare(values: Any, count: int = 400) -> list[dict[str, object]]:
    return [{"id": number, **({"new": values(number)} if number % RARE == 0 else {})} for number in range(count)]


def alike(both: SparkLoader, name: str, **columns: str) -> str:
    """Load by both engines, compare, and answer the schema."""
    given = {"columns": {**ONLY_ID, **columns}}
    both.on_spark(f"{name}_there", **given)
    both.embedded(f"{name}_here", **given)
    assert both.rows(f"{name}_there") == both.rows(f"{name}_here")
    assert both.schema(f"{name}_there") == both.schema(f"{name}_here")
    return both.schema(f"{name}_there")


def test_a_batch_with_a_rare_new_field_is_staged_once(both, appended):
    for number in range(3):
        put(both, f"{number}.jsonl", *with_rare(float))
    assert "new double" in alike(both, "rare")
    assert appended == ["1"]


def test_a_field_that_each_record_brings_is_told_by_the_first_files_that_show_values_enough(
    both, appended, monkeypatch
):
    monkeypatch.setattr(spark_lines, "_FIRST_BYTES", 1)
    for number in range(7):
        put(both, f"{number}.jsonl", *({"id": one, "new": number > 4} for one in range(600)))
    read: list[int] = []
    samples = spark_lines.JsonLinesOnSpark._samples

    def noted(form: Any, stage: Any, files: Any, keys: Any) -> Any:
        read.append(len(files))
        return samples(form, stage, files, keys)

    monkeypatch.setattr(spark_lines.JsonLinesOnSpark, "_samples", noted)
    assert "new boolean" in alike(both, "often")
    assert (appended, read) == (["1"], [4])  # 500 values decide, and four times as many are looked for


def test_the_type_is_told_by_values_that_no_look_beforehand_saw(both, appended):
    put(both, "1.jsonl", *({"id": number, "new": number} for number in range(0, 3000, 10)))
    rest = [{"id": number, **({"new": 0.5} if number == 2_900 else {})} for number in range(3000)]
    put(both, "2.jsonl", *rest)
    put(both, "3.jsonl", {"id": 1})
    assert "new double" in alike(both, "late")
    assert appended == ["1"]


def test_a_field_that_no_look_beforehand_saw_is_added_when_it_is_found(both, appended):
    put(both, "1.jsonl", {"id": 1, "seen": 1})
    put(both, "2.jsonl", {"id": 2, "hidden": "x"})
    for number in (3, 4, 5):
        put(both, f"{number}.jsonl", {"id": number})
    both.on_spark("hidden", columns=ONLY_ID)
    assert [one for one in both.schema("hidden").split(", ") if not one.startswith("_")] == [
        "id bigint",
        "seen bigint",
        "hidden string",
    ]
    assert {(row["id"], row["seen"], row["hidden"]) for row in map(json.loads, both.rows("hidden"))} >= {
        (1, 1, None),
        (2, None, "x"),
    }
    assert appended == ["1", "1"]


ODD = ["a b", "ä", "a.b", "o.z", 'quo"te', "back\\slash", "tab\there", "$x", "a'b", "(", "😀", "%"]


@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "plain"])
def test_keys_of_odd_characters_become_the_columns_that_they_would_have_been(both, appended, ascii_only):
    columns = "id bigint, o struct<x: bigint>"
    records: list[object] = [{"id": 1}, {"id": 2, "o": {"x": 1, "y": [1], "ü": 1}}]
    records += [{"id": number, key: number} for number, key in enumerate(ODD)]
    put(both, "1.jsonl", *(json.dumps(one, ensure_ascii=ascii_only) for one in records))
    alike(both, "odd", columns=columns)
    assert appended == ["1"]


def test_a_key_that_is_written_with_escapes_elsewhere_counts_as_it_would_have(both, appended):
    put(both, "1.jsonl", r'{"id": 1, "n\u0065w": 1.5}', r'{"id": 2}', r'{"id": 3}')
    put(both, "2.jsonl", {"id": 4, "new": 1})
    put(both, "3.jsonl", {"id": 6})
    assert "new double" in alike(both, "escaped")
    assert appended == ["1"]


def test_of_names_that_differ_in_case_alone_the_records_are_counted_when_they_are_staged(both, appended):
    put(both, "1.jsonl", {"id": 1, "Other": 1})
    put(both, "2.jsonl", {"id": 2}, {"id": 5, "other": "x"}, {"id": 6, "other": "x"})
    put(both, "3.jsonl", {"id": 6})
    assert "other string" in alike(both, "escaped")
    assert appended == ["1", "1"]


def test_a_name_that_fills_the_first_files_does_not_win_over_one_of_more_records(both, appended, monkeypatch):
    monkeypatch.setattr(spark_lines, "_enough", lambda _: 1)  # the first file shows values enough
    for number, name in enumerate(("Userid", "userId", "userId")):
        put(both, f"{number}.jsonl", *({"id": one, name: one} for one in range(600)))
    assert "userId bigint" in alike(both, "minority")
    assert appended == ["1", "1"]


def test_a_new_struct_takes_no_key_with_a_dot_for_its_member(both):
    put(both, "1.jsonl", {"id": 1, "o": {"x": 1}})
    put(both, "2.jsonl", {"id": 2, "o.z": 5})
    put(both, "3.jsonl", *({"id": number} for number in range(3, 10)))
    put(both, "4.jsonl", {"id": 10, "o": {"x": 2}})
    assert "o.z" in alike(both, "dotted")


@pytest.mark.parametrize(("encoding", "packed"), [("latin-1", False), ("utf-8", True)])
def test_what_is_packed_or_in_another_encoding_is_foreseen_as_well(both, appended, encoding, packed):
    content = '{"id": 1}\n{"id": 2, "größe": "ü"}\n'.encode(encoding)
    for number in range(4):
        both.put(f"{number}.jsonl{'.gz' * packed}", pack(content) if packed else content)
    given = {"columns": ONLY_ID, "format": {"type": "jsonl", "encoding": encoding}}
    both.on_spark("encoded_there", **given)
    both.embedded("encoded_here", **given)
    assert "`größe` string" in both.schema("encoded_there")
    assert both.rows("encoded_there") == both.rows("encoded_here")
    assert appended == ["1"]


@pytest.mark.parametrize(("keys", "stages"), [(MOST_KEYS, ["1"]), (MOST_KEYS + 1, ["1", "1"])])
def test_with_more_unknown_keys_than_are_looked_for_they_are_found_as_ever(both, appended, keys, stages):
    put(both, "1.jsonl", {"id": 1, **{f"k{number:02}": number for number in range(keys)}})
    assert f"k{keys - 1:02} bigint" in alike(both, "limit")
    assert appended == stages


def test_a_table_near_the_limit_of_columns_is_not_looked_at_beforehand(both, appended, monkeypatch):
    put(both, "1.jsonl", {"id": 1, "new": 1})
    monkeypatch.setattr(spark_lines, "MAX_COLUMNS", 8)  # half of it, and the id is one; the others are the row columns
    assert "new bigint" in alike(both, "broad")
    assert appended == ["1", "1"]


def test_what_a_server_said_that_lost_the_settings_between_two_looks_counts_for_nothing(both, monkeypatch):
    """It is as if it had been started anew: the next one begins with a session of its own."""
    samples = spark_lines.JsonLinesOnSpark._samples
    lost: list[str] = []

    def forgotten(form: Any, stage: Any, *rest: Any) -> Any:
        found = samples(form, stage, *rest)
        if not lost:
            lost.append(stage.session.id)
            stage.session.spark.catalog.dropTempView(stage.session.guard)
        return found

    monkeypatch.setattr(spark_lines.JsonLinesOnSpark, "_samples", forgotten)
    with opened(both, "lost") as (engine, batch, files):
        with pytest.raises(SparkSessionLost):
            engine.write(batch, files)
        told = engine.write(batch, files)
        assert isinstance(told.handle, NothingStaged)
        assert engine.session.id not in lost


def test_letters_that_are_lowered_by_what_stands_beside_them_are_found_in_any_line(both, appended):
    put(both, "1.jsonl", {"id": 1, "ΑΣ.x": 1, "b": 1})
    put(both, "2.jsonl", {"id": 2, "ΑΣ.x": "text"})
    put(both, "3.jsonl", {"id": 3, "b": 1})
    assert "ΑΣ.x` string" in alike(both, "sigma")


def test_of_many_unknown_keys_no_more_are_gathered_than_say_that_they_are_too_many(both, monkeypatch):
    for file in range(2):
        put(both, f"{file}.jsonl", {"id": file, **{f"k{file}_{key}": key for key in range(40)}})
    seen: list[int] = []
    looked = spark_glimpse.glimpse

    def counted(*given: Any, **more: Any) -> Any:
        found = looked(*given, **more)
        seen.append(len(found.keys))
        return found

    monkeypatch.setattr(spark_lines, "glimpse", counted)
    both.on_spark("wide", columns=ONLY_ID)
    assert seen[0] == spark_glimpse.MOST_KEYS + 1


def test_no_job_runs_for_a_look_beforehand(both):
    """Spark answers it while it plans: the plan of what was asked holds the answer's rows and nothing else."""
    schema = parse_schema("id bigint, s string, o struct<x double>, at timestamptz")
    quick = RecordLayers(schema, 1 << 20).quick
    lines = ['{"id": 1, "o": {"x": 1.5}}', '{"id": 1, "o": {"x": 1.5, "y": [1]}, "new": 2}', "no"]
    asked: list[Any] = []
    with opened(both, "planned") as (engine, _, _files):
        session = engine.session
        plans = session.spark.client.to_table

        def noted(plan: Any, *rest: Any) -> Any:
            asked.append(plan)
            return plans(plan, *rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(session.spark.client, "to_table", noted)
            found = spark_glimpse.glimpse(session, lines, schema, quick, keys=True)
        (plan,) = asked
        told = session.spark.client.explain_string(plan, "simple")
    assert found.keys == ("new", "o.y")
    assert (round(found.clean, 2), round(found.strange, 2)) == (0.33, 0.33)
    assert re.fullmatch(r"== Physical Plan ==\s+LocalTableScan \[[^\n]*\]\s*", told)


def test_a_look_that_fails_costs_no_load(both, appended, monkeypatch):
    def broken(*_: Any, **__: Any) -> Any:
        raise SparkError("The message is too long.")

    monkeypatch.setattr(spark_glimpse, "_asked", broken)
    put(both, "1.jsonl", {"id": 1, "new": 1})
    assert "new bigint" in alike(both, "blind")
    assert appended == ["1", "1"]


def test_no_more_lines_are_sent_than_a_message_may_hold(monkeypatch):
    monkeypatch.setattr(spark_glimpse, "_MOST_BYTES", 5)
    assert spark_glimpse._first(["1", "é", "3", "45"]) == ["1", "é", "3"]


def test_of_files_that_the_worker_cannot_read_nothing_is_foreseen_and_all_is_loaded(both, appended, monkeypatch):
    monkeypatch.setattr(spark_lines, "first_lines", lambda *_: [[], []])
    put(both, "1.jsonl", {"id": 1, "new": 1})
    assert "new bigint" in alike(both, "unread")
    assert appended == ["1", "1"]


def test_keys_that_cannot_be_columns_cost_no_second_look(both, appended, monkeypatch):
    def never(*_: Any) -> Any:
        pytest.fail("looked for")

    monkeypatch.setattr(spark_lines.JsonLinesOnSpark, "_samples", never)
    put(both, "1.jsonl", {"id": 1, "ID": 2, "_file_id": 3, " ": 4, "k" * 300: 5, "nothing": None}, {"id": "misfit"})
    both.on_spark("never_columns", columns=ONLY_ID)
    assert appended == ["1"]


def test_rejected_records_and_files_that_are_left_out_tell_no_column(both, appended):
    put(both, "1.jsonl", {"id": 1}, '{"id": 2, "broken": 1', {"id": 3, "new": 1})
    schema = alike(both, "rejected")
    assert "new bigint" in schema
    assert "broken" not in schema
    both.on_spark("skipped", columns=ONLY_ID, policies={"on_error": "skip_file"})
    assert "new" not in both.schema("skipped")


def test_fail_names_all_that_the_batch_brings_also_what_no_look_beforehand_shows(both):
    put(both, "1.jsonl", {"id": 1})
    put(both, "2.jsonl", {"id": 2, "new": 1})
    put(both, "3.jsonl", *({"id": number, **({"late": 1} if number == 2_000 else {})} for number in range(2_001)))
    put(both, "4.jsonl", {"id": 4})
    with pytest.raises(SchemaChangeRefused, match=r"new bigint, late bigint, the first in .*2\.jsonl"):
        both.on_spark("refused", columns={**ONLY_ID, "on_new_columns": "fail"})
    assert both.rows("refused") == []


@pytest.mark.parametrize("mode", ["rescue", "ignore"])
def test_who_wants_no_new_columns_stages_once_and_looks_for_no_key(both, appended, monkeypatch, mode):
    def never(*_: Any) -> Any:
        pytest.fail("looked for")

    monkeypatch.setattr(spark_glimpse, "strange_keys", never)
    put(both, "1.jsonl", *with_rare(int))
    assert "new" not in alike(both, mode, on_new_columns=mode)
    assert appended == ["1"]


def test_what_could_not_be_foreseen_is_found_as_ever(both, appended, monkeypatch, caplog):
    def broken(*_: Any) -> Any:
        raise SparkError("A job failed.")

    monkeypatch.setattr(spark_lines.JsonLinesOnSpark, "_samples", broken)
    caplog.set_level(logging.INFO)
    put(both, "1.jsonl", *with_rare(int))
    assert "new bigint" in alike(both, "unforeseen")
    assert appended == ["1", "1"]
    assert "could not be foreseen: A job failed." in caplog.text


@contextmanager
def opened(both: SparkLoader, name: str) -> Iterator[tuple[SparkEngine, Any, list[BatchFile]]]:
    """An engine, and a batch of one file with a new field."""
    path = both.put("1.jsonl", '{"id": 1, "new": 1}\n')
    given = {"engine": CLUSTER, "columns": ONLY_ID}
    found = LoadService(both.database, both.settings).prepare(str(both.source), both.server.table(name), given)
    with (
        wiring.opened_sandbox(both.settings) as sandbox,
        wiring.opened_engine(both.database, both.settings, found.ingestion, sandbox) as engine,
    ):
        assert isinstance(engine, SparkEngine)
        engine.ensure_table()
        stat = path.stat()
        file = BatchFile(7, str(path), f"{stat.st_size}-{stat.st_mtime_ns}", stat.st_size)
        yield engine, batch_of(engine.table), [file]


def test_a_batch_is_foreseen_once_and_what_was_only_foreseen_can_never_be_published(both):
    with opened(both, "told") as (engine, batch, files):
        before = engine.table.look().state.head
        told = engine.write(batch, files)
        assert isinstance(told.handle, NothingStaged)
        assert ([str(one) for one in told.new_columns], told.new_in) == (["new bigint"], 7)
        assert (told.outcomes, told.rows, told.rescued, told.rejected, told.byte_count) == ((), 0, 0, 0, 0)
        with pytest.raises(TypeError):
            engine.publish(batch, told, {})
        engine.discard(told)
        assert engine.table.look().state.head == before
        again = engine.write(batch, files)  # nobody added the column: it is found by what was staged
        assert isinstance(again.handle, SparkStaged)
        assert [str(one) for one in again.new_columns] == ["new bigint"]
        assert (again.rows, again.rescued) == (1, 1)
        engine.discard(again)


def test_an_interrupted_look_ends_the_attempt(both, monkeypatch):
    def ended(*_: Any) -> Any:
        raise SparkInterrupted("Somebody ended it.")

    monkeypatch.setattr(spark_lines.JsonLinesOnSpark, "_samples", ended)
    with opened(both, "ended") as (engine, batch, files), pytest.raises(SparkInterrupted):
        engine.write(batch, files)


def test_a_file_that_changes_while_it_is_looked_at_is_blamed_by_those_who_stage_it(both, monkeypatch):
    path = both.put("1.jsonl", '{"id": 1, "new": 1}\n')
    put(both, "2.jsonl", {"id": 2})
    samples = spark_lines.JsonLinesOnSpark._samples

    def meddled(*given: Any) -> Any:
        found = samples(*given)
        path.write_text('{"id": 1, "new": "x", "more": 1}\n')
        return found

    monkeypatch.setattr(spark_lines.JsonLinesOnSpark, "_samples", meddled)
    both.on_spark("changed", columns=ONLY_ID)
    assert [(file[0], file[1], file[5]) for file in both.files("changed")] == [
        ("1.jsonl", "SKIPPED", "changed"),
        ("2.jsonl", "SUCCESS", ""),
    ]
    assert "new" not in both.schema("changed")


@pytest.mark.parametrize("least", ["_QUICK_LEAST_BYTES", "_QUICK_COLUMN_BYTES"])
def test_a_batch_that_is_small_for_its_columns_is_read_without_a_look_beforehand(both, monkeypatch, least):
    def never(*_: Any, **__: Any) -> Any:
        pytest.fail("looked at")

    monkeypatch.setattr(spark_lines, least, 1_000_000)
    monkeypatch.setattr(spark_lines, "glimpse", never)
    put(both, "1.jsonl", {"id": 1}, {"id": 2, "new": 1}, {"id": "misfit"})
    assert "new bigint" in alike(both, "small")
