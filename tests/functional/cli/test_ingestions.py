from __future__ import annotations

import re
from contextlib import closing
from uuid import uuid4

import pytest

from app.catalog.open import local_options, open_catalog
from app.cli import completion
from app.cli.ingestions import runs_when
from app.config import get_settings
from app.database import Database
from app.ingest.ports import SilentProgress
from app.models import DEFAULT_TENANT
from app.repositories import batches, ingestions, runs
from app.services import lease_service
from app.services.ingestion_service import IngestionService
from tests.functional.cli.conftest import put, rows


@pytest.fixture
def loaded(cli, landing):
    put(landing, "a.jsonl", rows(0, 5))
    assert cli("load", "landing", "shop.orders").code == 0
    return landing


def test_the_list_shows_files_by_state_and_the_last_run(cli, loaded):
    (one,) = cli("ingestions", "list", "--json").answer["ingestions"]
    lines = cli("ingestions", "list").out.splitlines()

    assert (one["name"], one["table_name"], one["state"]) == ("shop.orders", "local.shop.orders", "active")
    assert (one["files"], one["last_run_state"]) == ({"SUCCESS": 1}, "SUCCESS")
    head = ["name", "table", "state", "schedule", "loaded", "waiting", "left", "out", "last", "run", "source"]
    assert lines[0].split() == head
    assert lines[1].split()[:4] == ["shop.orders", "local.shop.orders", "active", "–"]
    assert lines[1].endswith(str(loaded))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "–"),
        ({"schedule": None, "arrival": None}, "–"),
        ({"schedule": {"cron": "*/15 * * * *", "timezone": "UTC"}}, "*/15 * * * *"),
        ({"schedule": {"interval_seconds": 300}}, "every 5 min"),
        ({"schedule": {"interval_seconds": 7200}}, "every 2 h"),
        ({"schedule": {"interval_seconds": 86400}}, "every 1 d"),
        ({"schedule": {"interval_seconds": 90}}, "every 90 s"),
        ({"schedule": {"rrule": "FREQ=DAILY"}, "arrival": {"poll_seconds": 10}}, "FREQ=DAILY, on arrival"),
        ({"arrival": {"quiet_seconds": 5.0}}, "–"),
    ],
)
def test_the_list_tells_in_a_few_words_when_an_ingestion_runs_by_itself(config, told):
    assert runs_when(config) == told


def test_one_is_shown_with_the_evidence_of_its_schema(cli, loaded):
    shown = cli("ingestions", "show", "shop.orders")
    answer = cli("ingestions", "show", "shop.orders", "--json").answer

    assert answer["schema_text"] == "id bigint, name string"
    assert [(e["column"], e["type"], e["path"]) for e in answer["schema_evidence"]] == [
        ("id", "bigint", f"{loaded}/a.jsonl"),
        ("name", "string", f"{loaded}/a.jsonl"),
    ]
    assert shown.out.endswith("Whole configuration: autoloader ingestions export shop.orders\n")


def test_an_unknown_name_is_an_error_with_the_next_step(cli):
    ran = cli("ingestions", "run", "none")

    assert ran.code == 1
    assert ran.err == "Error: There is no ingestion 'none'.\nNext: See: autoloader ingestions list\n"


def test_deleting_keeps_the_ledger_so_that_nothing_is_loaded_twice(cli, loaded):
    asked = cli("ingestions", "delete", "shop.orders")
    gone = cli("ingestions", "delete", "shop.orders", "--yes")
    again = cli("load", "landing", "shop.orders", "--json")

    assert asked.err == "Error: Nobody is there to confirm it.\nNext: Give --yes.\n"
    assert gone.out.startswith("Deleted shop.orders; its table is left as it is. Its ledger stays: ")
    assert (again.answer["metrics"]["files"]["loaded"], again.answer["metrics"]["discovered"]["known"]) == (0, 1)


def test_what_is_exported_applies_without_a_change(cli, loaded, tmp_path):
    cli("load", "landing", "shop.orders", "--on-error", "fail", "--max-errors", "5%", "--start", "2020-01-01T00:00:00Z")
    (tmp_path / "all.yaml").write_text(cli("ingestions", "export").out)

    ran = cli("apply", "-f", "all.yaml", "--json")

    assert ran.answer == {"applied": False, "steps": [{"name": "shop.orders", "action": "nothing", "changes": []}]}


def test_resolve_says_when_there_is_nothing_to_decide(cli, loaded):
    shown = cli("ingestions", "resolve", "shop.orders")
    wrong = cli(
        "ingestions", "resolve", "shop.orders", "--accept-table", "--landed", "6e44879f-f473-4ad3-ad6f-5f142a7dcba8"
    )

    assert shown.out == ("shop.orders is not blocked by a batch. Run it: autoloader ingestions run shop.orders\n")
    assert len(cli("runs", "list", "--json").answer["runs"]) == 1, "looking is no run"
    assert wrong.err.startswith("Error: One decision at a time.\n")


def test_to_accept_a_table_while_a_batch_waits_for_a_decision_says_so(cli, loaded):
    with closing(Database(get_settings().database_address)) as database, database.session_scope() as session:
        run = runs.newest(session, DEFAULT_TENANT)
        (batch,) = batches.ended_by(session, run.id, 1)
        batch.state, batch.error = "UNKNOWN", "Nobody can tell."

    accepted = cli("ingestions", "resolve", "shop.orders", "--accept-table")

    assert accepted.code == 0
    assert "once you have decided about the batch that blocks it. Look, and decide:" in accepted.out
    assert accepted.out.endswith("autoloader ingestions resolve shop.orders\n")


def test_resolve_names_the_way_on_after_a_run_that_met_another_table(cli, loaded):
    with closing(Database(get_settings().database_address)) as database, database.session_scope() as session:
        run = runs.newest(session, DEFAULT_TENANT)
        ingestion = ingestions.by_id(session, run.ingestion_id)
        ingestion.table_uuid = uuid4()
    put(loaded, "b.jsonl", rows(5, 3))
    refused = cli("ingestions", "run", "shop.orders")

    shown = cli("ingestions", "resolve", "shop.orders")
    accepted = cli("ingestions", "resolve", "shop.orders", "--accept-table")

    assert refused.code == 1
    assert "autoloader ingestions resolve shop.orders --accept-table" in shown.out
    assert "Run it" not in shown.out
    assert "Run it" in accepted.out
    assert "Run it" in cli("ingestions", "resolve", "shop.orders").out
    assert cli("ingestions", "run", "shop.orders").code == 0


def test_a_table_that_was_dropped_is_noticed_without_a_new_file(cli, loaded, home):
    with open_catalog("local", local_options(home)) as catalog:
        catalog.library.drop_table(("shop", "orders"))
    way_on = (
        "Table local.shop.orders was dropped after files had been loaded into it. To load all of them again, load into"
        " another table; to go on with new files only: autoloader ingestions resolve shop.orders --accept-table\n"
    )

    ran = cli("load", "landing", "shop.orders")
    shown = cli("ingestions", "resolve", "shop.orders")

    assert (ran.code, ran.err) == (0, way_on)
    assert shown.out == f"shop.orders is not blocked by a batch. {way_on}"
    assert cli("ingestions", "resolve", "shop.orders", "--accept-table").code == 0
    assert cli("load", "landing", "shop.orders").err == "", "it was decided"
    assert "Run it" in cli("ingestions", "resolve", "shop.orders").out


@pytest.mark.parametrize("lost", ["table", "catalog"])
def test_a_run_that_noticed_that_its_table_was_dropped_says_so_however_it_is_looked_at(cli, loaded, home, lost):
    if lost == "table":
        with open_catalog("local", local_options(home)) as catalog:
            catalog.library.drop_table(("shop", "orders"))
    else:
        (home / "catalog.db").unlink()
    said = "Table local.shop.orders was dropped after files had been loaded into it."

    ran = cli("load", "landing", "shop.orders", "--json").answer

    shown = cli("runs", "show", ran["run_id"], "--json").answer
    assert [note.partition(" To load")[0] for note in ran["metrics"]["notes"]] == [said]
    assert shown["metrics"]["notes"] == ran["metrics"]["notes"]
    assert f"note       {said}" in cli("runs", "show", ran["run_id"]).out
    assert ran["state"] == "SUCCESS"


def test_a_table_that_was_made_again_is_seen_before_a_run_fails_for_it(cli, loaded):
    with closing(Database(get_settings().database_address)) as database, database.session_scope() as session:
        ingestions.by_id(session, runs.newest(session, DEFAULT_TENANT).ingestion_id).table_uuid = uuid4()

    shown = cli("ingestions", "resolve", "shop.orders", "--json")

    assert "was dropped and made again" in shown.answer["table_changed"]


def test_a_load_into_the_table_of_a_deleted_ingestion_says_what_it_had_loaded(cli, loaded):
    cli("ingestions", "delete", "shop.orders", "--yes")

    ran = cli("load", "landing", "shop.orders")

    [told] = [line for line in ran.err.splitlines() if "deleted" in line]
    assert told.startswith("It goes on where shop.orders ended, which was deleted at 20")
    assert "what it loaded into local.shop.orders (1 file) is not loaded there again." in told
    assert told.endswith(f"load into another table: autoloader load {loaded} NAMESPACE.TABLE")
    assert "deleted" not in cli("load", "landing", "shop.orders").err
    assert cli("load", str(loaded), "shop.others").code == 0


def test_a_decision_is_listed_as_such_and_is_not_the_last_run(cli, loaded):
    (loading,) = cli("runs", "list", "--json").answer["runs"]

    accepted = cli("ingestions", "resolve", "shop.orders", "--accept-table")
    decided, _ = cli("runs", "list", "--json").answer["runs"]

    assert accepted.code == 0
    assert (decided["trigger"], decided["state"]) == ("decision", "SUCCESS")
    assert cli("runs", "show", "--json").answer["id"] == loading["id"]
    assert cli("ingestions", "show", "shop.orders", "--json").answer["last_run_id"] == loading["id"]


def test_runs_are_listed_and_shown_by_the_beginning_of_their_id(cli, loaded):
    (run,) = cli("runs", "list", "--json").answer["runs"]
    shown = cli("runs", "show", run["id"][:8], "--json").answer
    newest = cli("runs", "show", "--json").answer

    assert shown == newest
    assert (shown["state"], shown["table"], shown["metrics"]["rows"]) == ("SUCCESS", "local.shop.orders", 5)
    assert [(batch["outcome"], batch["file_count"]) for batch in shown["batches"]] == [("landed", 1)]
    assert (
        cli("runs", "show", "ffffffff").err == "Error: There is no run 'ffffffff'.\nNext: See: autoloader runs list\n"
    )


def test_tables_are_described_shown_and_asked(cli, loaded):
    described = cli("table", "show", "shop.orders", "--json").answer
    head = cli("table", "head", "shop.orders", "--rows", "2", "--json").answer
    asked = cli("table", "sql", "shop.orders", "SELECT max(id) AS most FROM shop.orders")
    refused = cli("table", "sql", "shop.orders", "DROP TABLE orders")

    assert described["records"] == 5
    assert described["columns"][0] == {"name": "id", "type": "bigint"}
    assert [row["id"] for row in head["rows"]] == [0, 1]
    assert asked.out == "most\n   4\n"
    assert refused.err == ("Error: Only one SELECT at a time can be asked.\nNext: Write SELECT … FROM the table.\n")
    assert cli("table", "show", "shop.none").err.startswith("Error: There is no table local.shop.none.\n")


def test_an_answer_is_bounded_and_says_so(cli, loaded):
    whole = cli("table", "sql", "shop.orders", "SELECT * FROM orders ORDER BY id", "--json").answer
    part = cli("table", "sql", "shop.orders", "SELECT id FROM orders ORDER BY id", "--rows", "2")

    assert ([row["id"] for row in whole["rows"]], whole["more"]) == ([0, 1, 2, 3, 4], False)
    assert whole["rows"][0]["_ingested_at"].endswith("+00:00")
    assert part.out == "id\n 0\n 1\n"
    assert part.err == "There are more rows than these 2: --rows says how many are shown.\n"


def test_a_column_whose_values_are_of_several_types_says_which_one_it_gets(cli, landing):
    put(landing, "a.jsonl", '{"a": 1, "b": 1}\n{"a": "x", "b": 2}\n{"a": 1.5, "b": 3}\n')

    previewed = cli("preview", "landing").out
    assert cli("load", "landing", "shop.orders").code == 0
    shown = cli("ingestions", "show", "shop.orders").out

    for told in (previewed, shown):
        lines = [line.split() for line in told.splitlines()]
        head = lines.index(["column", "values", "seen", "as", "first", "in", "example"])
        assert [line[:2] for line in lines[head + 1 : head + 5]] == [
            ["a", "bigint"],
            ["a", "string"],
            ["a", "double"],
            ["b", "bigint"],
        ]
        assert " ".join(lines[head + 5]) == "a: values were seen as bigint, string and double; the column is string."


def test_a_preview_shows_schema_and_rows_and_writes_nothing(cli, landing, home):
    put(landing, "a.jsonl", rows(0, 5))
    put(landing, "b.jsonl", '{"id": 1.5}\n')

    shown = cli("preview", "landing")
    answer = cli("preview", "landing", "--rows", "1", "--json").answer

    assert shown.out.startswith("2 files, 132 B; format jsonl (2 files end in .jsonl)\n")
    assert "--schema 'id double, name string'\n" in shown.out
    assert (answer["schema"], len(answer["rows"])) == ("id double, name string", 1)
    assert {(e["column"], e["type"]) for e in answer["evidence"]} >= {("id", "bigint"), ("name", "string")}
    assert cli("ingestions", "list", "--json").answer == {"ingestions": []}
    assert not (home / "warehouse").exists()
    assert list((home / "spool").iterdir()) == []


def test_two_deleted_patterns_of_a_folder_are_not_loaded_again_by_the_whole_folder(cli, landing):
    put(landing, "a.jsonl", rows(0, 5))
    put(landing, "b.ndjson", rows(5, 5))
    assert cli("load", "landing/*.jsonl", "shop.t", "--name", "one").code == 0
    assert cli("load", "landing/*.ndjson", "shop.t", "--name", "two", "--allow-overlap").code == 0
    for name in ("one", "two"):
        cli("ingestions", "delete", name, "--yes")

    refused = cli("load", "landing", "shop.t")
    insisted = cli("load", "landing", "shop.t", "--allow-overlap")

    assert (refused.code, insisted.code) == (1, 1)
    assert "its rows would be there twice" in insisted.err
    assert cli("table", "show", "shop.t", "--json").answer["records"] == 10


def test_an_ingestion_is_not_deleted_while_a_run_is_active(cli, loaded):
    with closing(Database(get_settings().database_address)) as database:
        ingestion = IngestionService(database, get_settings()).find("shop.orders")
        run_id = uuid4()
        with lease_service.hold(database, get_settings(), ingestion.id, run_id, SilentProgress()):
            ran = cli("ingestions", "delete", "shop.orders", "--yes")

    assert ran.code == 4
    assert ran.err.startswith(f"Error: Run {run_id} of this ingestion is active: ")
    assert cli("ingestions", "delete", "shop.orders", "--yes").code == 0


def test_a_run_whose_process_is_gone_is_told_as_lost(cli, loaded):
    with closing(Database(get_settings().database_address)) as database, database.session_scope() as session:
        run = runs.newest(session, DEFAULT_TENANT)
        run.state, run.finished_at = "RUNNING", None

    listed, shown = cli("runs", "list"), cli("runs", "show")
    (view,) = cli("runs", "list", "--json").answer["runs"]

    assert (view["state"], view["alive"]) == ("RUNNING", False)
    assert re.search(r" LOST +\S+ \S+ +\d", listed.out)
    assert "the next run finishes what it began: autoloader ingestions run shop.orders" in shown.out
    assert " LOST " in cli("ingestions", "list").out
    assert f"{view['id']} LOST " in cli("ingestions", "show", "shop.orders").out
    (one,) = cli("ingestions", "list", "--json").answer["ingestions"]
    assert (one["last_run_state"], one["last_run_alive"]) == ("RUNNING", False)


def test_names_of_ingestions_are_completed(cli, loaded, monkeypatch, tmp_path):
    assert (completion.ingestions("sh"), completion.ingestions("x")) == (["shop.orders"], [])
    monkeypatch.setenv("AUTOLOADER_HOME", str(tmp_path / "nowhere"))
    get_settings.cache_clear()
    assert completion.ingestions("") == []
    assert not (tmp_path / "nowhere").exists()
