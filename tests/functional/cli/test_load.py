from __future__ import annotations

import gzip
import json
import os
import re
from uuid import uuid4

import pytest

from app.catalog.open import local_options, open_catalog
from app.config import get_settings
from app.database import Database
from app.datatypes import parse_schema
from app.errors import SourceUnavailable
from app.ingest.ports import SilentProgress
from app.services import lease_service
from app.services.ingestion_service import IngestionService
from app.services.run_service import RunService
from tests.functional.cli.conftest import put, rows


def test_a_folder_becomes_a_table_and_the_second_time_only_new_files_are_added(cli, landing):
    put(landing, "a.jsonl", rows(0, 5))
    put(landing, "b.jsonl", rows(5, 5))

    first = cli("load", str(landing), "shop.orders", "--json")
    put(landing, "c.jsonl", rows(10, 2))
    second = cli("load", str(landing), "shop.orders", "--json")
    counted = cli("table", "sql", "shop.orders", "SELECT count(*) AS n, count(DISTINCT id) AS d FROM orders", "--json")

    assert (first.code, second.code) == (0, 0), (first.out, second.out)
    assert (first.err, second.err) == ("", "")
    assert first.answer["state"] == "SUCCESS"
    assert (first.answer["metrics"]["files"]["loaded"], first.answer["metrics"]["rows"]) == (2, 10)
    assert (second.answer["metrics"]["files"]["loaded"], second.answer["metrics"]["rows"]) == (1, 2)
    assert counted.answer["rows"] == [{"n": 12, "d": 12}]


def test_a_file_that_arrived_this_very_moment_is_loaded_by_this_run(cli, landing):
    (landing / "a.jsonl").write_text(rows(0, 5))

    loaded = cli("load", str(landing), "shop.orders", "--json")

    assert (loaded.code, loaded.answer["metrics"]["rows"]) == (0, 5)
    assert loaded.answer["metrics"]["discovered"]["skipped"] == {}


def test_the_summary_says_what_was_loaded_and_then_that_nothing_is_new(cli, landing):
    put(landing, "a.jsonl", rows(0, 5))
    put(landing, "_marker", "x")

    first, second = cli("load", "landing", "shop.orders"), cli("load", "landing", "shop.orders")

    assert first.code == 0, first.err
    assert re.fullmatch(
        r"Loaded 1 file \(120 B\), 5 rows, into local\.shop\.orders in [\d.]+ s\.\n"
        r"  left out  1 hidden\n"
        r"  snapshot  \d+\n",
        first.out,
    )
    assert first.err.splitlines()[:2] == ["Made the ingestion shop.orders.", "Format jsonl: 1 file ends in .jsonl."]
    assert re.fullmatch(
        r"Nothing new for local\.shop\.orders: 1 file known already \(2 objects listed, [\d.]+ s\)\.\n"
        r"  left out  1 hidden\n",
        second.out,
    )


def test_a_broken_file_is_told_with_its_reason_and_makes_the_exit_code_3(cli, landing):
    put(landing, "good.jsonl", rows(0, 5))
    broken = put(landing, "bad.jsonl.gz", gzip.compress(rows(5, 500).encode(), mtime=0)[:100])

    ran = cli("load", "landing", "shop.orders")

    assert ran.code == 3, ran.err
    assert "Loaded 1 file" in ran.out
    assert "PARTIAL: 1 quarantined\n" in ran.out
    assert f"  {broken}\n    QUARANTINED truncated: " in ran.out
    assert ran.out.endswith("See all: autoloader files list shop.orders --state QUARANTINED\n")


def test_a_new_file_that_cannot_be_loaded_is_not_told_as_nothing_new(cli, landing):
    put(landing, "bad.jsonl.gz", gzip.compress(rows(5, 500).encode(), mtime=0)[:100])

    first, second = cli("load", "landing", "shop.orders"), cli("load", "landing", "shop.orders")

    assert re.match(r"No file was loaded into local\.shop\.orders \(1 object listed, [\d.]+ s\)\.\n", first.out)
    assert "PARTIAL: 1 quarantined\n" in first.out
    assert second.out.startswith("Nothing new for local.shop.orders: 1 file known already (1 object listed")


def test_good_files_load_though_the_first_ones_told_no_column(cli, landing):
    put(landing, "bad.jsonl.gz", gzip.compress(rows(5, 500).encode(), mtime=0)[:100])
    first = cli("load", "landing", "shop.orders", "--json").answer
    put(landing, "good.jsonl", rows(0, 5))

    second = cli("load", "landing", "shop.orders", "--json").answer
    head = cli("table", "head", "shop.orders", "--json").answer["rows"]

    assert [file["reason"] for file in first["not_loaded"]] == ["truncated"]
    assert (second["state"], second["metrics"]["rows"]) == ("SUCCESS", 5)
    assert sorted(row["name"] for row in head) == ["n0", "n1", "n2", "n3", "n4"]


def test_rejected_and_rescued_records_are_counted_and_shown_where_they_are(cli, landing):
    put(landing, "a.jsonl", rows(0, 5) + '{"id": 7, "name": [1]}\n{"id": broken\n')

    ran = cli("load", "landing", "shop.orders", "--schema", "id bigint, name bigint")
    rejects = cli("table", "head", "shop.orders__rejects", "--json")

    assert ran.code == 0, ran.err
    assert "  rescued   6 rows hold a value that no column takes: it is in _rescued_data\n" in ran.out
    assert "  rejected  1 record could not be parsed; see them: autoloader table head shop.orders__rejects\n" in ran.out
    assert [row["raw"] for row in rejects.answer["rows"]] == ['{"id": broken']


def test_an_option_that_differs_changes_the_ingestion_and_says_so(cli, landing):
    put(landing, "a.jsonl", rows(0, 5))
    cli("load", "landing", "shop.orders", "--on-error", "fail", "--include", "*.jsonl")

    same = cli("load", "landing", "shop.orders", "--on-error", "fail")
    other = cli("load", "landing", "shop.orders", "--on-error", "skip_file", "--name", "orders")
    config = cli("ingestions", "show", "orders", "--json").answer["config"]

    assert same.err == ""
    assert other.err.splitlines() == [
        "Renamed the ingestion shop.orders to orders; its table and its ledger stay.",
        "Changed orders: policies.on_error: fail → skip_file.",
    ]
    assert config["source"]["include"] == ["*.jsonl"]


def test_the_source_means_the_same_from_every_folder(cli, landing, monkeypatch):
    put(landing, "a.jsonl", rows(0, 5))
    cli("load", "./landing/", "shop.orders")
    monkeypatch.chdir(landing)

    ran = cli("load", ".", "local.shop.orders", "--json")

    assert ran.answer["metrics"]["discovered"]["known"] == 1
    assert len(cli("ingestions", "list", "--json").answer["ingestions"]) == 1


def test_a_mistake_leaves_no_ingestion_behind(cli, landing):
    put(landing, "a.jsonl", rows(0, 1))
    mistakes = [
        ("load", "nowhere", "shop.orders"),
        ("load", "nowhere", "shop.orders", "--format", "csv"),
        ("load", "landing", "bad-name.orders"),
        ("load", "landing", "lake.shop.orders"),
        ("load", "landing", "shop.orders", "--delimiter", ";"),
        ("load", "landing", "shop.orders", "--schema", "id nonsense"),
        ("load", "landing", "shop.orders", "--connection", "none"),
        ("load", "landing", "shop.orders", "--from-now", "--start", "everything"),
        ("load", "landing", "shop.orders", "--include", "{a"),
        ("load", "landing", "shop.orders", "--include", "[z"),
        ("load", "landing", "shop.orders", "--partition-by", "nowhere"),
        ("load", "landing", "shop.orders", "--partition-by", "dya(id)"),
        ("load", "landing", "shop.orders", "--partition-by", "day(id)"),
        ("load", "landing", "shop.orders", "--schema", "id bigint", "--partition-by", "name"),
        ("load", "landing", "shop.orders", "--schema", "_file_id bigint"),
        ("load", "landing", "shop.orders", "--row-column", "source_file=_file_id"),
        ("load", "landing", "shop.orders", "--date-format", "%Q"),
        ("load", "landing", "shop.orders", "--timestamp-format", "day"),
        ("load", "landing", "shop.orders__rejects"),
        ("load", "landing", "shop.orders", "--name", "a/b"),
    ]

    ended = [cli(*mistake) for mistake in mistakes]

    assert [one.code for one in ended] == [1] * len(mistakes)
    assert all(one.err.startswith("Error: ") and "\nNext: " in one.err for one in ended), [one.err for one in ended]
    assert cli("ingestions", "list", "--json").answer == {"ingestions": []}


def test_a_mistake_changes_nothing_of_an_ingestion_that_exists(cli, landing):
    put(landing, "a.jsonl", rows(0, 1))
    cli("load", "landing", "shop.orders")
    before = cli("ingestions", "export").out

    ended = [
        cli("load", "landing", "shop.orders", *mistake)
        for mistake in (
            ("--connection", "none"),
            ("--include", "[z"),
            ("--date-format", "%Q"),
            ("--partition-by", "id"),
            ("--schema", "id string"),
            ("--format", "csv"),
        )
    ]

    assert [one.code for one in ended] == [1] * len(ended), [one.out for one in ended]
    assert cli("ingestions", "export").out == before


def test_a_partition_by_a_column_of_the_files_is_taken(cli, landing):
    put(landing, "a.jsonl", rows(0, 2))

    ran = cli("load", "landing", "shop.orders", "--partition-by", "bucket(2, id), day(_ingested_at)", "--json")

    assert ran.answer["metrics"]["rows"] == 2


def test_an_empty_text_unsets_an_option(cli, landing):
    put(landing, "a.jsonl", rows(0, 1))
    given = (
        "--include",
        "*.jsonl",
        "--exclude",
        "x",
        "--date-format",
        "%d.%m.%Y",
        "--max-errors",
        "5",
        "--min-size",
        "1",
    )
    cli("load", "landing", "shop.orders", *given)

    ran = cli("load", "landing", "shop.orders", *["" if not one.startswith("--") else one for one in given])
    config = cli("ingestions", "show", "shop.orders", "--json").answer["config"]

    assert ran.code == 0, ran.err
    assert (config["source"]["include"], config["source"]["exclude"], config["source"]["min_size"]) == ([], [], None)
    assert (config["format"]["date_format"], config["policies"]["max_errors"]) == (None, "0")
    assert "'' unsets it" in cli("load", "--help").out


def test_the_format_of_files_that_were_loaded_is_not_turned_over(cli, landing):
    put(landing, "a.jsonl", rows(0, 1))
    cli("load", "landing", "shop.orders")

    ran = cli("load", "landing", "shop.orders", "--format", "csv", "--null", "NA")

    assert ran.code == 1
    assert ran.err == (
        "Error: shop.orders reads jsonl, and has loaded 1 file so; as csv its files could not be read.\n"
        "Next: Load files of another format into another table. If the feed itself has changed, say so with:"
        " autoloader apply\n"
    )


def test_another_format_before_anything_was_loaded_drops_what_belongs_to_the_old_one(cli, landing):
    cli("load", "landing", "shop.orders", "--format", "csv", "--delimiter", ";", "--null", "NA")
    put(landing, "a.jsonl", rows(0, 1))

    ran = cli("load", "landing", "shop.orders", "--format", "jsonl", "--json")

    assert ran.answer["metrics"]["rows"] == 1
    shape = cli("ingestions", "export", "--json").answer["ingestions"][0]
    assert shape["format"] == {"type": "jsonl"}


def test_a_table_name_with_odd_characters_is_refused(cli, landing):
    ran = cli("load", str(landing), "shop.or ders", "--json")

    assert ran.code == 1
    assert ran.answer == {
        "error": "invalid-input",
        "message": "destination.table: 'shop.or ders' is not a table name; write namespace.table or"
        " catalog.namespace.table, each of letters, digits and _.",
        "hint": "See the fields: autoloader docs reference/ingestion",
    }


# --- the format ------------------------------------------------------------------------------


def test_names_that_tell_two_formats_are_refused(cli, landing):
    put(landing, "a.csv", "id\n1\n")
    put(landing, "b.csv.gz", gzip.compress(b"id\n2\n", mtime=0))
    put(landing, "README.md", "x")

    ran = cli("load", "landing", "shop.orders", "--json")

    assert ran.answer == {
        "error": "invalid-input",
        "message": f"The names in {landing} do not tell one format: 2 × .csv, 1 × .md (README.md).",
        "hint": "Say which: --format csv --include '**/*.csv*'",
    }


def test_an_empty_folder_tells_no_format_but_can_be_loaded_with_one(cli, landing):
    refused = cli("load", "landing", "shop.orders")
    allowed = cli("load", "landing", "shop.orders", "--format", "csv", "--json")

    assert refused.err == (
        f"Error: {landing} is empty: nothing tells the format.\nNext: Say what it will be, for example: --format csv\n"
    )
    assert (allowed.code, allowed.answer["state"]) == (0, "SUCCESS")


def test_json_files_with_one_object_a_line_are_json_lines(cli, landing):
    put(landing, "a.json", rows(0, 3))

    ran = cli("load", "landing", "shop.orders")

    assert "Format jsonl: 1 file ends in .json, and a.json holds one object a line." in ran.err
    assert "3 rows" in ran.out


def test_json_files_with_a_document_are_json(cli, landing):
    put(landing, "a.json.gz", gzip.compress(b'[{"id": 1},\n {"id": 2}]', mtime=0))

    ran = cli("load", "landing", "shop.orders")

    assert "Format json: 1 file ends in .json." in ran.err
    assert "2 rows" in ran.out


# --- one run at a time -----------------------------------------------------------------------


def test_a_run_beside_an_active_one_is_refused_and_tells_which_and_since_when(cli, landing):
    put(landing, "a.jsonl", rows(0, 3))
    cli("load", "landing", "shop.orders")
    database = Database(get_settings().database_address)
    info = IngestionService(database, get_settings()).find("shop.orders")
    run_id = uuid4()

    with lease_service.hold(database, get_settings(), info.id, run_id, SilentProgress()):
        ran = cli("load", "landing", "shop.orders")
    database.close()

    assert ran.code == 4
    assert re.fullmatch(
        rf"Error: Run {run_id} of this ingestion is active: process \d+ on \S+, for \d+ s\.\n"
        rf"Next: Wait for it, or stop it; see it with: autoloader runs show {run_id}\n",
        ran.err,
    )


def test_a_paused_ingestion_is_not_loaded_until_it_is_resumed(cli, landing):
    put(landing, "a.jsonl", rows(0, 3))
    cli("load", "landing", "shop.orders")
    cli("ingestions", "pause", "shop.orders")

    refused = cli("load", "landing", "shop.orders")
    cli("ingestions", "resume", "shop.orders")

    assert refused.code == 1
    assert refused.err == ("Error: shop.orders is paused.\nNext: Resume it: autoloader ingestions resume shop.orders\n")
    assert cli("load", "landing", "shop.orders").code == 0


def test_somebodys_table_with_the_name_of_the_reject_table_stops_the_run_before_anything_is_published(cli, landing):
    put(landing, "a.jsonl", rows(0, 2))
    cli("load", "landing", "shop.orders")
    with open_catalog("local", local_options(get_settings().home)) as catalog:
        catalog.create("shop.orders__rejects", parse_schema("id bigint, line string"))
    put(landing, "b.jsonl", rows(2, 1) + "broken {\n")

    ran = cli("load", "landing", "shop.orders")
    counted = cli("table", "sql", "shop.orders", "SELECT count(*) AS n FROM orders", "--json")

    assert ran.code == 1
    assert ran.err.startswith(
        "Error: local.shop.orders__rejects is no reject table: it has no file_id, no source_file,"
    )
    assert counted.answer["rows"] == [{"n": 2}]
    assert cli("table", "head", "shop.orders__rejects", "--json").answer["rows"] == []


def test_a_refused_batch_names_its_first_bad_records(cli, landing):
    bad = put(landing, "a.jsonl", rows(0, 1) + "broken {\n" + rows(1, 1) + "also\n")

    ran = cli("load", "landing", "shop.orders", "--on-error", "fail")
    (file,) = cli("files", "show", "a.jsonl", "--json").answer["files"]
    (run,) = cli("runs", "list", "--json").answer["runs"]

    assert ran.code == 1
    assert f"They are in {bad} (line 2: " in ran.err
    assert ": broken {; line 4: " in ran.err
    assert ": broken {; line 4: " in file["error"]
    assert run["metrics"]["rejected"] == 2


def test_new_columns_that_are_refused_name_a_file(cli, landing):
    put(landing, "a.jsonl", rows(0, 1))
    cli("load", "landing", "shop.orders", "--on-new-columns", "fail")
    other = put(landing, "b.jsonl", '{"id": 1, "more": 2}\n')

    assert f"more bigint, the first in {other}." in cli("load", "landing", "shop.orders").err


def test_what_the_table_has_no_column_for_is_left_out_where_that_is_asked(cli, landing):
    put(landing, "a.jsonl", '{"id": 1, "more": 2}\n{"id": "two", "more": 3}\n')
    put(landing, "b.jsonl", '{"late": {"id": 9}, "id": 3}\n')

    ran = cli("load", "landing", "shop.orders", "--schema", "id bigint", "--on-new-columns", "ignore", "--json")
    head = cli("table", "head", "shop.orders", "--json").answer["rows"]

    assert ran.answer["metrics"]["rescued"] == 1
    assert sorted((row["id"] or 0, row["_rescued_data"]) for row in head) == [(0, '{"id":"two"}'), (1, None), (3, None)]
    assert not {"more", "late"} & head[0].keys()
    assert re.search(r"new cols  ignore\n", cli("ingestions", "show", "shop.orders").out)


def test_a_column_that_a_few_values_made_a_string_is_told(cli, landing):
    put(landing, "a.csv", "id,air\n" + "".join(f"{at},{at * 2}\n" for at in range(30)))
    odd = put(landing, "b.csv", "id,air\n31,3\n32,cancelled\n")

    ran = cli("load", "landing", "shop.flights")
    evidence = cli("ingestions", "show", "shop.flights", "--json").answer["schema_evidence"]

    assert (
        f"air is a string because of 1 of 32 values, the first 'cancelled' in {odd}; the others are bigint."
        " To have such values rescued instead, load into a new table with --schema 'air bigint':"
        " the other columns come by themselves."
    ) in ran.err
    assert [(one["type"], one["example"]) for one in evidence if one["column"] == "air"] == [
        ("bigint", "0"),
        ("string", "cancelled"),
    ]
    again = cli("load", "landing", "shop.right", "--schema", "air bigint", "--json").answer["metrics"]
    assert (again["rows"], again["rescued"]) == (32, 1)


def test_a_header_that_another_delimiter_would_part_is_told_before_anything_is_loaded(cli, landing):
    path = put(landing, "a.csv", "id;name\n1;x\n")
    hint = f"{path} has one column, named 'id;name': is --delimiter ';' meant?"

    assert hint in cli("preview", "landing").out
    refused = cli("load", "landing", "shop.orders")
    loaded = cli("load", "landing", "shop.orders", "--delimiter", ";")

    assert refused.code == 1
    assert f"{hint} Nothing was loaded.\nNext: " in refused.err
    assert (loaded.code, loaded.out.splitlines()[0][:20]) == (0, "Loaded 1 file (12 B)")
    assert cli("table", "sql", "shop.orders", "SELECT id, name FROM orders", "--json").answer["rows"] == [
        {"id": 1, "name": "x"}
    ]


def test_a_first_load_takes_the_name_of_most_records_and_says_so(cli, landing):
    put(landing, "a.jsonl", '{"id": 1, "Name": "a"}\n{"id": 2, "name": "b"}\n{"id": 3, "name": "c"}\n')
    note = "Name (1 record) gets no column of its own: it differs only in case from name (2 records)."

    seen = cli("preview", "landing")
    told = cli("preview", "landing", "--json").answer
    loaded = cli("load", "landing", "shop.people")

    assert f"By the sample, {note}" in seen.out
    assert (told["hints"], told["twins"]) == ([], [{"name": "Name", "records": 1, "kept": "name", "kept_records": 2}])
    assert (loaded.code, loaded.out.splitlines()[0][:13]) == (0, "Loaded 1 file")
    assert loaded.err.count(note) == 1
    assert cli("table", "sql", "shop.people", "SELECT name, _rescued_data FROM people ORDER BY id", "--json").answer[
        "rows"
    ] == [
        {"name": None, "_rescued_data": '{"Name":"a"}'},
        {"name": "b", "_rescued_data": None},
        {"name": "c", "_rescued_data": None},
    ]


def test_a_column_may_be_named_so_when_its_delimiter_is_said(cli, landing):
    put(landing, "a.csv", "id;name\n1;x\n")
    loaded = cli("load", "landing", "shop.orders", "--delimiter", ",", "--json")
    assert (loaded.code, loaded.answer["metrics"]["rows"]) == (0, 1)


def test_another_way_of_reading_holds_for_files_to_come_and_says_so(cli, landing):
    put(landing, "a.csv", "id,name\n1,x\n")
    cli("load", "landing", "shop.orders")

    changed = cli("load", "landing", "shop.orders", "--null", "NA")
    renamed = cli("load", "landing", "shop.orders", "--max-attempts", "5")

    assert "It holds for files to come: what was loaded so far (1 file) stays as it is." in changed.err
    assert "files to come" not in renamed.err


def test_quarantined_files_of_earlier_runs_are_told_with_the_way_to_take_them_up(cli, landing):
    put(landing, "bad.jsonl.gz", gzip.compress(rows(5, 500).encode(), mtime=0)[:100])
    first, second = cli("load", "landing", "shop.orders"), cli("load", "landing", "shop.orders")

    told = (
        "1 file quarantined by earlier runs; once they are mended:"
        " autoloader files retry --ingestion shop.orders --state QUARANTINED\n"
    )
    assert told not in first.out
    assert "  snapshot" not in first.out
    assert second.out.endswith(told)


def test_a_folder_that_may_not_be_read_makes_the_run_partial(cli, landing, monkeypatch):
    put(landing, "a.jsonl", rows(0, 1))
    put(landing, "closed/b.jsonl", rows(1, 1))
    scandir = os.scandir

    def refusing(folder="."):
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    ran = cli("load", "landing", "shop.orders")

    assert ran.code == 3
    assert "Loaded 1 file" in ran.out
    assert "PARTIAL: 1 of the source unreadable\n" in ran.out


def test_a_home_that_cannot_be_written_is_told(cli, landing, home):
    put(landing, "a.jsonl", rows(0, 1))
    (home / "spool").write_text("in the way")

    ran = cli("preview", "landing")

    assert ran.code == 1
    assert ran.err.startswith(f"Error: {home}/spool cannot be written: File exists.\nNext: Set AUTOLOADER_HOME")


def test_the_file_id_of_rows_cannot_be_switched_off(cli, landing):
    put(landing, "a.jsonl", rows(0, 1))

    assert (
        "row_columns.file_id: it cannot be switched off"
        in cli("load", "landing", "shop.orders", "--row-column", "file_id=").err
    )


def test_a_folder_that_was_renamed_is_told_to_bring_its_rows_once_more(cli, landing):
    put(landing, "a.jsonl", rows(0, 1))
    first = cli("load", "landing", "shop.orders")
    renamed = landing.rename(landing.with_name("renamed"))
    second, third = cli("load", "renamed", "shop.orders"), cli("load", "renamed", "shop.orders")

    sentence = f"local.shop.orders is loaded by shop.orders ({landing}) as well. A file is known by its path:"
    assert renamed.name == "renamed"
    assert [sentence in ran.err for ran in (first, second, third)] == [False, True, False]


def test_a_first_load_that_fails_says_that_its_ingestion_is_kept_and_how_it_goes(cli, landing):
    put(landing, "a.csv", "id;name\n1;a\n")
    first, second = cli("load", "landing", "shop.orders"), cli("load", "landing", "shop.orders")

    kept = (
        "The ingestion shop.orders is kept: do first what `Next` says, then the same command goes on, with the option"
        " that is named there, if any. To remove it: autoloader ingestions delete shop.orders\n"
    )
    named = "Next: Load again with --delimiter and the character between the fields (format.delimiter in YAML and in"
    assert (first.code, second.code) == (1, 1)
    assert [kept in ran.err for ran in (first, second)] == [True, False]
    assert all(
        named in ran.err and ran.err.endswith(" is what the file has: --delimiter ,\n") for ran in (first, second)
    )
    assert cli("load", "landing", "shop.orders", "--delimiter", ";").code == 0
    assert cli("ingestions", "delete", "shop.orders", "--yes").code == 0


def test_declared_columns_that_differ_only_in_case_are_refused_before_a_table_is_made(cli, landing):
    put(landing, "a.jsonl", rows(0, 2))

    ran = cli("load", "landing", "shop.orders", "--schema", "id bigint, ID bigint")

    assert ran.err == (
        "Error: The column ID is named as id is, but for its case: no engine loads a table with both.\n"
        "Next: Leave one of them out, or give it another name.\n"
    )
    assert cli("ingestions", "list", "--json").answer["ingestions"] == []


def test_a_first_load_that_fails_for_a_while_says_that_the_same_command_goes_on(cli, landing, monkeypatch):
    put(landing, "a.jsonl", rows(0, 1))
    with monkeypatch.context() as away:
        away.setattr(RunService, "start", _unavailable)
        failed = cli("load", "landing", "shop.orders")

    assert "The ingestion shop.orders is kept: the same command goes on. To remove it: autoloader" in failed.err
    assert cli("load", "landing", "shop.orders").code == 0


def _unavailable(*_: object, **__: object) -> None:
    raise SourceUnavailable("The store does not answer.", hint="Try again.")


@pytest.mark.parametrize("later", [False, True])
def test_a_key_with_a_dot_beside_a_struct_that_has_its_full_name_is_rescued(cli, tmp_path, later):
    folder = tmp_path / "landing"
    folder.mkdir()
    clash = '{"id": 2, "user": {"name": "a"}, "user.name": "b"}\n'
    (folder / "1.jsonl").write_text('{"id": 1, "user": {"name": "x"}}\n' if later else clash)
    assert cli("load", str(folder), "shop.people").code == 0
    if later:
        (folder / "2.jsonl").write_text(clash)
        assert cli("load", str(folder), "shop.people").code == 0
    query = "SELECT user.name, _rescued_data FROM people WHERE id = 2"
    assert json.loads(cli("table", "sql", "shop.people", query, "--json").out)["rows"] == [
        {"name": "a", "_rescued_data": '{"user.name":"b"}'}
    ]


@pytest.mark.parametrize("declared", [(), ("--schema", "id int, user struct<name: string>")])
def test_a_row_column_with_the_full_name_of_a_member_is_no_fault_of_the_program(cli, tmp_path, declared):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.jsonl").write_text('{"id": 1, "user": {"name": "x"}}\n')
    ran = cli("load", str(tmp_path / "in"), "shop.people", "--row-column", "source_file=user.name", *declared)
    if declared:
        assert ran.code == 1
        assert "user.name is the full name of a row column, and of what is inside another" in ran.err
    else:
        assert ran.code == 0
        rows = json.loads(cli("table", "head", "shop.people", "--json").out)["rows"]
        assert [row["_rescued_data"] for row in rows] == ['{"user":{"name":"x"}}']


def test_declared_columns_with_one_full_name_are_refused(cli, tmp_path):
    (tmp_path / "1.jsonl").write_text('{"id": 1}\n')
    ran = cli("load", str(tmp_path), "shop.people", "--schema", "`user.name` string, user struct<name: string>")
    assert ran.code == 1
    assert "user.name is the full name of a column, and of what is inside another" in ran.err
