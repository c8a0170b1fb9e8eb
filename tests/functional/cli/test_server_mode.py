"""The same commands with a server and without one: same ledger, same answers, same errors."""

from __future__ import annotations

import contextlib
import json
import re
from contextlib import closing

import pytest

from app.catalog.open import local_options, open_catalog
from app.config import get_settings
from app.database import Database
from app.errors import LeaseLost
from app.services.ingestion_service import IngestionService
from app.services.run_service import RunService
from tests.functional.api.conftest import blocked, serving, settings_of  # noqa: F401 - a fixture
from tests.functional.cli.conftest import Ran, put, rows


@pytest.fixture
def served(home):
    """The API over the ledger that the commands use without it."""
    with serving(settings_of(home, reconcile_in_api=False)) as found:
        yield found


@pytest.fixture
def both(cli, served):
    """A command in both ways, the server's first; answers the one answer of both."""

    def call(*arguments):
        there, here = cli("--server", served.url, *arguments), cli("--embedded", *arguments)
        there = Ran(there.code, *(alike(text, served.url) for text in (there.out, there.err)))
        assert (there.code, told(there), errors(there)) == (here.code, told(here), errors(here))
        return there

    return call


def alike(text, url):
    """The text, without what makes the commands it tells of go to the server as well."""
    return text.replace(f"autoloader --server {url} ", "autoloader ")


def told(ran):
    """The answer; of JSON what it says, whatever the order of its fields."""
    try:
        return json.loads(ran.out)
    except ValueError:
        return ran.out


def errors(ran):
    """What the command says on standard error; the server of this process logs there too."""
    return [line for line in ran.err.splitlines() if line.startswith(("Error:", "Next:"))]


@pytest.fixture
def loaded(cli, landing):
    """Two ingestions; of one a file is quarantined, and was never loaded."""
    put(landing, "orders/a.jsonl", rows(0, 5))
    put(landing, "orders/deep/b.jsonl", rows(5, 2))
    put(landing, "visits/a.jsonl", rows(0, 1))
    assert cli("load", f"{landing}/orders", "shop.orders").code == 0
    put(landing, "orders/bad.jsonl", b"\x80\x81\n")
    put(landing, "orders/.hidden.jsonl", rows(0, 1))
    assert cli("load", f"{landing}/orders", "shop.orders", "--max-attempts", "1", "--on-error", "skip_file").code == 3
    assert cli("load", f"{landing}/visits", "shop.visits").code == 0
    return landing


def both_forms(both, *arguments):
    both(*arguments)
    return both(*arguments, "--json").answer


# --- looking ---------------------------------------------------------------------------------


def test_ingestions_are_listed_shown_and_exported_alike(both, loaded):
    listed = both_forms(both, "ingestions", "list")["ingestions"]
    shown = both_forms(both, "ingestions", "show", "shop.orders")

    assert [one["name"] for one in listed] == ["shop.orders", "shop.visits"]
    assert shown["files"]["SUCCESS"] == 2
    assert both("ingestions", "show", shown["id"], "--json").answer == shown
    assert len(both_forms(both, "ingestions", "export")["ingestions"]) == 2
    both("ingestions", "export", "shop.visits")


def test_runs_are_listed_and_shown_alike(cli, both, loaded):
    runs = both_forms(both, "runs", "list")["runs"]
    both("runs", "list", "shop.orders", "--limit", "1")
    partial = both_forms(both, "runs", "list", "--state", "PARTIAL", "--state", "FAILED")["runs"]
    assert both("runs", "list", "--state", "FAILED").out == "No run is FAILED. All: autoloader runs list\n"

    assert [run["state"] for run in runs] == ["SUCCESS", "PARTIAL", "SUCCESS"]
    assert partial == runs[1:2]
    for run in runs:
        both_forms(both, "runs", "show", run["id"])
        assert both("runs", "show", run["id"][:13].upper(), "--json").answer["id"] == run["id"]
    assert cli("--embedded", "ingestions", "resolve", "shop.visits", "--accept-table").code == 0
    assert both_forms(both, "runs", "show")["id"] == runs[0]["id"], "a decision is no run"


def test_files_are_listed_and_shown_alike(both, loaded):
    files = both_forms(both, "files", "list")["files"]
    page = both_forms(both, "files", "list", "--limit", "2")
    both("files", "list", "--limit", "2", "--after", str(page["next_after"]))
    both("files", "list", "shop.orders", "--state", "QUARANTINED", "--state", "SKIPPED")
    both("files", "list", "--path", "deep/")

    assert len(files) == 4
    for name in (files[0]["path"], "deep/b.jsonl", str(files[1]["id"]), "a.jsonl", "bad.jsonl", ".hidden.jsonl"):
        both_forms(both, "files", "show", name)
    both("files", "show", "a.jsonl", "-i", "shop.visits")
    assert both("files", "show", "nowhere.csv").code == 1


def test_a_run_that_nobody_runs_any_more_is_lost_for_both(both, loaded, home):
    with closing(Database(f"sqlite:///{home / 'autoloader.db'}")) as database, database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE runs SET state = 'RUNNING', finished_at = NULL, metrics = '{}'")

    there = both("runs", "list", "--json").answer["runs"]

    assert {(run["state"], run["alive"], str(run["metrics"])) for run in there} == {("RUNNING", False, "{}")}
    both("runs", "show", there[0]["id"])


def test_names_that_differ_only_in_case_are_told_alike(both, landing):
    put(landing, "a.jsonl", '{"id": 1, "Name": "a"}\n{"id": 2, "name": "b"}\n{"id": 3, "name": "c"}\n')

    assert [one["kept"] for one in both_forms(both, "preview", str(landing))["twins"]] == ["name"]


def test_a_source_is_previewed_alike(both, landing):
    put(landing, "a.csv", "id;name\n1;x\n2;y\n")
    put(landing, "_b.csv", "id;name\n")

    assert both_forms(both, "preview", str(landing))["format"] == "csv"
    assert both_forms(both, "preview", str(landing), "--delimiter", ";")["schema"] == "id bigint, name string"
    both("preview", str(landing), "--format", "csv", "--include", "none*")
    both("preview", str(landing), "--format", "jsonl", "--delimiter", ";")
    both("preview", str(landing / "none"))


def test_connections_are_stored_listed_tried_and_removed_alike(cli, both, served):
    options = ("-o", "endpoint=http://127.0.0.1:9", "-o", "region=x", "-o", "access_key_id=k")
    added = cli(
        "--server", served.url, "connections", "add", "shop", "s3", *options, "--secret", "secret_access_key=s3cr3t"
    )

    then = f"autoloader --server {served.url} connections test shop s3://bucket/prefix"
    assert (added.code, added.out) == (0, f"Stored shop. Try it: {then}\n")
    assert both_forms(both, "connections", "list")["connections"][0]["secret_names"] == ["secret_access_key"]
    both("connections", "add", "shop", "s3", *options)
    both("connections", "add", "wrong", "s3", "-o", "no_such_option=1")
    both("connections", "add", "1x", "s3")
    both("connections", "add", "shop", "s3", *options, "--replace")  # one half of a key is not enough
    again = cli("--server", served.url, "connections", "add", "shop", "s3", *options[:4], "--replace")
    assert (again.code, both("connections", "list", "--json").answer["connections"][0]["secret_names"]) == (0, [])
    both("connections", "test", "shop")
    both("connections", "test", "shop", "file:///tmp")
    removed = cli("--server", served.url, "connections", "remove", "shop", "--yes", "--json")
    assert removed.answer == {"name": "shop", "removed": True}
    both("connections", "remove", "shop", "--yes")
    both("connections", "remove", "no/such?name", "--yes")


def test_what_a_command_tells_to_type_next_goes_where_it_went(cli, served, loaded, monkeypatch):
    listed, hinted = ("ingestions", "pause", "shop.orders"), ("runs", "list", "nope")
    server = f"--server {served.url} "
    there = [cli("--server", served.url, *words) for words in (listed, hinted, (*hinted, "--json"))]
    here = cli(*listed)
    monkeypatch.setenv("AUTOLOADER_SERVER", served.url)
    get_settings.cache_clear()
    by_setting, not_there = cli(*listed), cli("--embedded", *listed)

    assert there[0].out == f"Paused shop.orders. Resume it: autoloader {server}ingestions resume shop.orders\n"
    assert there[1].err.endswith(f"Next: See: autoloader {server}ingestions list\n")
    assert there[2].answer["hint"] == f"See: autoloader {server}ingestions list"
    assert here.out == by_setting.out == there[0].out.replace(server, "")
    assert not_there.out == there[0].out.replace(server, "--embedded ")


# --- steering --------------------------------------------------------------------------------


def test_an_ingestion_is_paused_resumed_and_deleted_alike(cli, both, served, loaded):
    both_forms(both, "ingestions", "pause", "shop.orders")
    assert both("ingestions", "list", "--json").answer["ingestions"][0]["paused"]
    both_forms(both, "ingestions", "resume", "shop.orders")

    asked = both("ingestions", "delete", "shop.orders")
    gone = cli("--server", served.url, "ingestions", "delete", "shop.orders", "--yes")
    again = both("ingestions", "delete", "shop.orders", "--yes")

    assert (asked.code, gone.code, again.code) == (1, 0, 1)
    assert gone.out.startswith("Deleted shop.orders; its table is left as it is. Its ledger stays: ")


def test_files_are_moved_by_hand_alike(cli, served, both, loaded):
    there = ("--server", served.url)
    moves = [
        (("files", "skip", "bad.jsonl"), ("files", "retry", "bad.jsonl")),
        (("files", "retry", "-i", "shop.orders", "--state", "SKIPPED"), ("files", "skip", "bad.jsonl")),
    ]
    assert cli("--embedded", "files", "retry", "bad.jsonl").code == 0
    for act, back in moves:
        told_there = cli(*there, *act)
        assert cli("--embedded", *back).code == 0
        told_here = cli("--embedded", *act)
        told_out = alike(told_there.out, served.url)
        assert (told_there.code, told_out) == (told_here.code, told_here.out) == (0, told_here.out)
        assert "bad.jsonl" in told_here.out
    for wrong in (("a.jsonl",), ("deep/b.jsonl",), ("none.jsonl",), ("bad.jsonl", "none.jsonl")):
        assert both("files", "retry", *wrong).code == 1
    both("files", "retry", "-i", "shop.orders", "--state", "SUCCESS")
    both("files", "forget", "none.jsonl")
    both("files", "forget", "bad.jsonl")
    forgotten = cli(*there, "files", "forget", "bad.jsonl", "--yes", "--json").answer
    assert (forgotten["count"], forgotten["files"][0]["path"]) == (1, f"{loaded}/orders/bad.jsonl")
    assert len(cli("files", "list", "--json").answer["files"]) == 3


def test_what_blocks_an_ingestion_is_shown_and_decided_alike(cli, both, served, blocked, loaded):  # noqa: F811
    database = served.database
    known = IngestionService(database, served.settings).find("shop.orders")
    batch = blocked(database, known.id, "Nobody knows.")

    assert both_forms(both, "ingestions", "resolve", "shop.orders")["batches"][0]["batch_id"] == str(batch)
    both("ingestions", "list")
    both("ingestions", "show", "shop.orders")
    decided = cli("--server", served.url, "ingestions", "resolve", "shop.orders", "--landed", str(batch), "--json")
    assert (decided.code, decided.answer["state"], decided.answer["children"]) == (0, "SETTLED", [])
    both("ingestions", "resolve", "shop.orders", "--not-landed", str(batch))
    both("ingestions", "resolve", "shop.orders")
    accepted = cli("--server", served.url, "ingestions", "resolve", "shop.orders", "--accept-table", "--json")
    assert re.fullmatch(r"[0-9a-f-]{36}", accepted.answer["accepted_table"])
    with open_catalog("local", local_options(served.settings.home)) as catalog:
        catalog.library.drop_table(("shop", "orders"))
    assert "was dropped after files" in both_forms(both, "ingestions", "resolve", "shop.orders")["table_changed"]
    run = cli("--embedded", "ingestions", "run", "shop.orders", "--json").answer["run_id"]
    assert "was dropped after files" in both_forms(both, "runs", "show", run)["metrics"]["notes"][0]
    accepted = cli("--server", served.url, "ingestions", "resolve", "shop.orders", "--accept-table", "--json")
    assert accepted.answer["accepted_table"] is None
    assert both_forms(both, "ingestions", "resolve", "shop.orders")["table_changed"] is None


def test_documents_are_applied_alike(cli, both, served, loaded, tmp_path):
    text = cli("--embedded", "ingestions", "export").out
    (tmp_path / "all.yaml").write_text(text)
    (tmp_path / "more.yaml").write_text(text.replace("shop.orders", "shop.more", 1).replace("shop.orders", "a.b"))
    (tmp_path / "wrong.yaml").write_text(text + "sorce: 1\n")
    (tmp_path / "relative.yaml").write_text(text.replace(str(loaded), "landing"))

    assert not both_forms(both, "apply", "-f", "all.yaml")["applied"]
    assert both_forms(both, "apply", "-f", "more.yaml", "--dry-run")["steps"][0]["action"] == "create"
    assert both("apply", "-f", "more.yaml").err.count("Nobody is there") == 1
    assert both("apply", "-f", "wrong.yaml").code == 1
    assert "'landing/" in cli("--server", served.url, "apply", "-f", "relative.yaml").err

    done = cli("--server", served.url, "apply", "-f", "more.yaml", "--yes")
    assert alike(done.out, served.url).endswith("1 change made. Run it: autoloader ingestions run shop.more\n")
    assert not both_forms(both, "apply", "-f", "more.yaml", "--yes")["applied"]


def test_a_run_is_cancelled_alike(cli, both, served, loaded):
    known = IngestionService(served.database, served.settings).find("shop.orders")
    with contextlib.suppress(LeaseLost), RunService(served.database, served.settings).start(known.id) as ctx:
        done = cli("--server", served.url, "runs", "cancel", str(ctx.run_id))
    assert (done.code, done.out) == (0, f"Run {ctx.run_id} is cancelled.\n")
    assert both("runs", "show", str(ctx.run_id), "--json").answer["state"] == "CANCELLED"
    both("runs", "cancel", str(ctx.run_id))
    both("runs", "cancel", "none")
    runs = cli("--embedded", "runs", "list", "shop.orders", "--json").answer["runs"]
    both("runs", "retry", runs[-1]["id"])


def test_a_paused_ingestion_is_not_run_and_the_next_step_names_it(cli, both, loaded):
    assert cli("--embedded", "ingestions", "pause", "shop.orders").code == 0

    ran = both("ingestions", "run", "shop.orders")

    assert "Next: Resume it: autoloader ingestions resume shop.orders" in ran.err


def test_a_run_is_asked_for_though_prefect_is_down(cli, served, loaded):
    there = ("--server", served.url, "ingestions", "run", "shop.orders")

    asked = cli(*there, "--no-wait", "--json").answer
    wish = served.get(f"/v1/triggers/{asked['trigger_id']}").json()
    bounded = cli(*there, "--seconds", "1")

    assert (asked["ingestion"], wish["state"], wish["run_id"]) == ("shop.orders", "waiting", None)
    assert "PREFECT_FLOW_RUN_TIMEOUT_SECONDS" in bounded.err


def test_a_run_that_was_retried_here_is_one_more(cli, loaded):
    left = next(run for run in cli("runs", "list", "--json").answer["runs"] if run["state"] == "PARTIAL")

    again = cli("runs", "retry", left["id"], "--quarantined", "--json")

    assert (again.code, again.answer["state"]) == (0, "SUCCESS")
    assert cli("runs", "show", again.answer["run_id"], "--json").answer["trigger"] == "retry"


# --- what goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("ingestions", "show", "none"),
        ("ingestions", "show", "6e44879f-f473-4ad3-ad6f-5f142a7dcba8"),
        ("ingestions", "show", ""),
        ("ingestions", "pause", "n" * 500),
        ("ingestions", "export", "none"),
        ("ingestions", "resolve", "none"),
        ("runs", "list", "none"),
        ("runs", "show"),
        ("runs", "show", "ffffffff"),
        ("runs", "show", "fff"),
        ("runs", "show", "zzzz-????"),
        ("runs", "show", "6e44879f-f473-4ad3-ad6f-5f142a7dcba8"),
        ("files", "list", "none"),
        ("files", "show", "none", "-i", "none"),
        ("files", "skip", "none"),
        ("files", "retry"),
        ("connections", "test", "none"),
        ("connections", "remove", "none", "--yes"),
        ("preview", "ftp://host/x"),
        ("preview", "s3://bucket/x", "--connection", "none"),
    ],
)
def test_an_error_is_the_same_error_with_its_next_step(both, words):
    text, as_json = both(*words), both(*words, "--json")

    assert (text.code, as_json.code) == (1, 1)
    assert as_json.answer["message"]
    assert text.err.startswith("Error: ") or "\nError: " in text.err


def test_an_empty_ledger_is_told_alike(both):
    for noun in ("ingestions", "runs", "files", "connections"):
        both_forms(both, noun, "list")
    both("ingestions", "export")
