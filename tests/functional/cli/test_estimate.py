"""`autoloader ingestions estimate`, on this machine and with a server: the same answer."""

from __future__ import annotations

from app.config import get_settings
from tests.functional.api.conftest import serving, settings_of
from tests.functional.cli.conftest import put, rows


def test_an_estimate_says_what_the_next_run_would_load_by_which_engine_and_in_which_queue(cli, landing):
    put(landing, "0.jsonl", rows(0, 10))
    assert cli("load", str(landing), "demo.rows", "--batch-max-files", "2").code == 0
    for number in range(1, 4):
        put(landing, f"{number}.jsonl", rows(number, 10))
    shown = cli("ingestions", "estimate", "demo.rows")
    assert shown.code == 0, shown.err
    lines = [" ".join(line.split()) for line in shown.out.splitlines() if line]
    assert lines[0].startswith("3 files, ")
    assert lines[0].endswith(", in 2 batches")
    assert lines[1].endswith(", by the speed of 1 past run")
    assert lines[2] == "work queue: default"
    assert lines[3] == "engine batches files bytes why"
    assert lines[4].startswith("embedded 2 3 ")
    assert lines[4].endswith(" engine: embedded")


def test_files_in_batches_that_a_run_did_not_end_are_told_too(cli, landing, monkeypatch):
    def arm(failpoints: str) -> None:
        monkeypatch.setenv("AUTOLOADER_FAILPOINTS", failpoints)
        get_settings.cache_clear()

    for number in range(3):
        put(landing, f"{number}.jsonl", rows(number, 10))
    for point in ("planned", "claimed"):
        arm(f"{point}=error")
        assert cli("load", str(landing), "demo.rows", "--batch-max-files", "2").code == 1
        found = cli("ingestions", "estimate", "demo.rows", "--json").answer
        assert (found["files"], found["waiting_files"], found["new_files"], found["batches"]) == (3, 3, 0, 2), point
        assert [(share["engine"], share["files"]) for share in found["engines"]] == [("embedded", 3)]
    arm("")
    assert cli("load", str(landing), "demo.rows", "--batch-max-files", "2").code == 0
    assert cli("ingestions", "estimate", "demo.rows", "--json").answer["files"] == 0


def test_a_server_estimates_as_this_machine_does(cli, home, landing):
    put(landing, "0.jsonl", rows(0, 10))
    assert cli("load", str(landing), "demo.rows").code == 0
    put(landing, "1.jsonl", rows(1, 10))
    here = cli("ingestions", "estimate", "demo.rows", "--json").answer
    assert (here["files"], here["engines"][0]["engine"]) == (1, "embedded")
    with serving(settings_of(home)) as served:
        there = cli("--server", served.url, "ingestions", "estimate", "demo.rows", "--json")
    assert there.answer == here


def test_an_estimate_of_what_is_not_there_says_so(cli):
    assert cli("ingestions", "estimate", "nobody").err.startswith("Error: There is no ingestion 'nobody'.")
