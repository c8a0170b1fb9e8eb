"""A preview of files that are not what they are taken for says so, and shows no empty table."""

from __future__ import annotations

import pytest

from tests.functional.cli.conftest import put, rows


def test_of_files_of_another_format_it_is_said_that_nothing_could_be_read_and_why(cli, landing):
    path = put(landing, "a.jsonl", rows(0, 2))

    ran = cli("preview", "landing", "--format", "csv")

    assert ran.code == 1
    assert "\nNothing could be read as csv; looked at: 1 file. Why, of each:\n" in ran.out
    assert f"\n{path}: not-this-format: " in ran.out
    assert ran.out.endswith("\nTry another --format, or none.\n")
    assert "--schema" not in ran.out
    assert "values seen as" not in ran.out


def test_the_document_of_such_a_preview_is_whole_and_the_exit_code_tells(cli, landing):
    put(landing, "a.jsonl", rows(0, 2))

    ran = cli("preview", "landing", "--format", "parquet", "--json")

    assert (ran.code, [one["reason"] for one in ran.answer["problems"]]) == (1, ["not-this-format"])


@pytest.mark.parametrize("text", ["nonsense\n", "also { not\nat all\n"])
def test_where_every_record_would_be_rejected_that_is_why(cli, landing, text):
    put(landing, "a.jsonl", text)

    ran = cli("preview", "landing", "--format", "jsonl")

    assert ran.code == 1
    assert "Nothing could be read as jsonl; looked at: 1 file. Why, of each:\n" in ran.out
    assert "rejected" in ran.out


def test_files_without_a_value_are_not_an_error(cli, landing):
    put(landing, "a.jsonl", "{}\n")

    ran = cli("preview", "landing")

    assert ran.code == 0
    assert "No column is known: what was looked at has no value.\n" in ran.out


def test_one_file_that_can_be_read_is_enough(cli, landing):
    put(landing, "a.csv", "id,name\n1,x\n")
    put(landing, "b.csv", b"PAR1....")

    ran = cli("preview", "landing")

    assert ran.code == 0
    assert "--schema 'id bigint, name string'" in ran.out
