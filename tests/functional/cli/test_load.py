from __future__ import annotations

import gzip
import re
from uuid import uuid4

from app.config import get_settings
from app.database import Database
from app.ingest.ports import SilentProgress
from app.services import lease_service
from app.services.ingestion_service import IngestionService
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
    assert "  rescued   6 rows hold a value that did not fit its column: it is in _rescued_data\n" in ran.out
    assert "  rejected  1 record could not be parsed; see them: autoloader table head shop.orders__rejects\n" in ran.out
    assert [row["raw"] for row in rejects.answer["rows"]] == ['{"id": broken']


def test_an_option_that_differs_changes_the_ingestion_and_says_so(cli, landing):
    put(landing, "a.jsonl", rows(0, 5))
    cli("load", "landing", "shop.orders", "--on-error", "fail", "--include", "*.jsonl")

    same = cli("load", "landing", "shop.orders", "--on-error", "fail")
    other = cli("load", "landing", "shop.orders", "--on-error", "skip_file", "--partition-by", "id")
    config = cli("ingestions", "show", "shop.orders", "--json").answer["config"]

    assert same.err == ""
    assert other.err.splitlines() == [
        "Changed shop.orders: destination.partition_by: none → id; policies.on_error: fail → skip_file.",
        "The table local.shop.orders exists: its columns and its partition stay as they are.",
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
    ]

    ended = [cli(*mistake) for mistake in mistakes]

    assert [one.code for one in ended] == [1] * len(mistakes)
    assert all(one.err.startswith("Error: ") and "\nNext: " in one.err for one in ended), [one.err for one in ended]
    assert cli("ingestions", "list", "--json").answer == {"ingestions": []}


def test_a_table_name_with_odd_characters_is_refused(cli, landing):
    ran = cli("load", str(landing), "shop.or ders", "--json")

    assert ran.code == 1
    assert ran.answer == {
        "error": "invalid-input",
        "message": "destination.table: 'shop.or ders' is not a table name; write namespace.table or"
        " catalog.namespace.table, each of letters, digits and _.",
        "hint": "See the fields: docs/reference/ingestion.md",
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
