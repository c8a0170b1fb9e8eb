"""The schema that JSON files show, and why."""

from __future__ import annotations

import json

import pytest

from app.values import Twin
from tests.functional.ingest.parsing import infer, parse


@pytest.fixture
def inferred(sandbox, tmp_path):
    def run(*texts: str, options=None, **changes):
        paths = []
        for number, text in enumerate(texts):
            path = tmp_path / f"{number}.jsonl"
            path.write_text(text, encoding="utf-8")
            paths.append(path)
        return infer(sandbox, paths, tmp_path, options, **changes)

    return run


CASES = [
    (["1", "2", "null"], "bigint"),
    (["1", "1.5"], "double"),
    (["9223372036854775808", "1"], "decimal(38,0)"),
    (["1e300", "9223372036854775808"], "double"),
    (["true", "false"], "boolean"),
    (["true", "1"], "string"),
    (["null"], "string"),
    (['"2026-01-31"', '"2026-02-01"'], "date"),
    (['"2026-01-31"', '"2026-02-30"'], "string"),
    (['"2026-01-31T10:00:00"', '"2026-01-31"'], "timestamp"),
    (['"2026-01-31T10:00:00Z"', '"2026-01-31 10:00:00.5+02:00"'], "timestamptz"),
    (['"2026-01-31T10:00:00Z"', '"2026-01-31T10:00:00"'], "string"),
    (['"2026-01-31"', '"x"'], "string"),
    (["[1]", "[2.5, null]"], "array<double>"),
    (["[]"], "array<string>"),
    (["[[1], []]"], "array<array<bigint>>"),
    (['{"a": 1}', '{"b": {"c": "x"}}'], "struct<a: bigint, b: struct<c: string>>"),
    (['[{"a": 1}, {"b": true}]'], "array<struct<a: bigint, b: boolean>>"),
    (["{}"], "string"),
    (['{"a": 1}', "1"], "string"),
    (['{"a": 1, "A": 2}'], "struct<a: bigint>"),
]


def test_each_column_gets_the_narrowest_type_that_holds_all_values(inferred):
    height = max(len(values) for values, _ in CASES)
    lines = [
        "{" + ", ".join(f'"c{i}": {v[row]}' for i, (v, _) in enumerate(CASES) if row < len(v)) + "}"
        for row in range(height)
    ]
    found = inferred("\n".join(lines))
    assert [str(column.type) for column in found.schema] == [kind for _, kind in CASES]


def test_what_was_inferred_holds_what_was_seen(inferred, sandbox, tmp_path):
    text = "\n".join(
        "{" + ", ".join(f'"c{i}": {v}' for i, (vs, _) in enumerate(CASES) for v in vs[:1]) + "}" for _ in "ab"
    )
    found = inferred(text)
    path = tmp_path / "again.jsonl"
    path.write_text(text, encoding="utf-8")
    parsed = parse(sandbox, path, str(found.schema), tmp_path)
    assert {rescued for (rescued,) in parsed.rows("_rescued_data")} == {'{"c20.A":2}'}


def test_evidence_names_file_and_example_for_each_type(inferred):
    found = inferred('{"a": 1, "b": "x"}\n', '{"a": 2.5}\n{"a": 3}\n')
    assert [(e.column, e.type, e.path[-7:], e.example) for e in found.evidence] == [
        ("a", "bigint", "0.jsonl", "1"),
        ("b", "string", "0.jsonl", '"x"'),
        ("a", "double", "1.jsonl", "2.5"),
    ]


def test_the_first_records_are_shown(inferred):
    found = inferred("\n".join(f'{{"id": {i}, "n": {{"x": [{i}]}}}}' for i in range(20)), sample_rows=2)
    assert found.rows == ({"id": 0, "n": {"x": [0]}}, {"id": 1, "n": {"x": [1]}})


def test_formats_of_dates_are_used(inferred):
    found = inferred('{"a": "31.01.2026", "b": "2026-01-31"}', options={"date_format": "%d.%m.%Y"})
    assert str(found.schema) == "a date, b string"


def test_objects_with_very_many_keys_are_maps(inferred):
    record = {"m": {f"user-{i}": i for i in range(500)}}
    assert str(inferred(json.dumps(record)).schema) == "m map<string, bigint>"


def test_names_that_cannot_stand_beside_each_other_are_left_out(inferred):
    assert inferred('{"id": 1, "ID": 2, "": 3}').schema.names == ("id",)


def test_of_names_that_differ_only_in_case_most_records_choose_one(inferred):
    found = inferred('{"Name": "a", "id": 1}\n{"id": 2, "name": "b"}\n{"id": 3, "name": "c"}')
    assert found.schema.names == ("name", "id")
    assert (found.hints, found.twins) == ((), (Twin("Name", 1, "name", 2),))


def test_members_of_lists_are_chosen_by_records_not_by_elements_and_told_by_their_path(inferred):
    records = [{"l": [{"X": 1}] * 5}, *[{"l": [{"x": 1}]}] * 3]
    found = inferred("\n".join(map(json.dumps, records)))
    assert str(found.schema) == "l array<struct<x: bigint>>"
    assert found.twins == (Twin("l.element.X", 1, "l.element.x", 3),)


def test_a_hundred_thousand_keys_do_not_become_columns(inferred):
    found = inferred(json.dumps({f"k{i}": i for i in range(100_000)}))
    assert len(found.schema) == 1000


def test_bad_records_and_files_do_not_stop_it(inferred, tmp_path):
    deep = '{"d": ' + "[" * 100_000 + "]" * 100_000 + "}"
    found = inferred(f'bad\n[1]\n{deep}\n{{"id": 1}}\n', "PAR1\n", "")
    assert str(found.schema) == "id bigint"
    assert {(p.file_id, p.state, p.reason) for p in found.problems} == {
        (2, "FAILED", "not-this-format"),
        (3, "SKIPPED", "empty"),
    }


def test_of_a_key_that_stands_twice_the_first_is_shown_as_loading_takes_it(inferred, sandbox, tmp_path):
    found = inferred('{"id": 1, "o": {"x": 1, "x": "b"}, "id": "a"}\n')
    parsed = parse(sandbox, tmp_path / "0.jsonl", str(found.schema), tmp_path)

    assert found.rows == ({"id": 1, "o": {"x": 1}},)
    assert str(found.schema) == "id bigint, o struct<x: bigint>"
    assert parsed.rows("id, o") == [(1, {"x": 1})]


def test_records_that_loading_would_reject_are_counted_by_its_own_judgement(inferred, sandbox, tmp_path):
    texts = ['{"id": 1}\n\nbad\n[1]\n{"id": 2,}\n', '{"id": 3}\n']
    [told] = inferred(*texts).rejected
    parsed = parse(sandbox, tmp_path / "0.jsonl", "id bigint", tmp_path)

    assert (told.count, told.total, told.line, told.raw) == (2, 4, 3, "bad")
    assert told.reason == "malformed: the record is not valid JSON"
    assert parsed.file().rejected == told.count


def test_records_that_nobody_judged_are_not_counted_as_looked_at(inferred):
    [told] = inferred("bad\n" * 3000 + '{"id": 1}\n').rejected

    assert (told.count, told.total) == (1000, 1000)


def test_an_element_of_a_document_that_is_no_object_is_counted_as_well(sandbox, tmp_path):
    path = tmp_path / "d.json"
    path.write_text('[{"id": 1}, 7]')
    [told] = infer(sandbox, [path], tmp_path, format="json").rejected

    assert (told.count, told.total, told.reason) == (1, 2, "not-an-object: the record is JSON, but not an object")


def test_only_the_first_bytes_of_each_file_are_read(inferred):
    first = '{"a": 1}\n' * 100
    found = inferred(first + '{"late": 1}\n', first + '{"late": 1}\n', max_bytes=len(first))
    assert found.schema.names == ("a",)


def test_documents_are_sampled_too(sandbox, tmp_path):
    path = tmp_path / "d.json"
    path.write_text('[{"id": 1}, {"id": 2, "at": "2026-01-31"}]')
    assert str(infer(sandbox, [path], tmp_path, format="json").schema) == "id bigint, at date"
