from __future__ import annotations

import gzip
import os
import re

import pytest

from tests.functional.cli.conftest import put, rows


@pytest.fixture
def loaded(cli, landing):
    """One file that is loaded, one that is quarantined."""
    put(landing, "good.jsonl", rows(0, 5))
    put(landing, "bad.jsonl.gz", gzip.compress(rows(5, 500).encode(), mtime=0)[:100])
    assert cli("load", "landing", "shop.orders").code == 3
    return landing


def states(cli):
    return {file["path"].rpartition("/")[2]: file["state"] for file in cli("files", "list", "--json").answer["files"]}


def test_files_are_listed_by_state_and_by_part_of_the_path(cli, loaded):
    assert states(cli) == {"good.jsonl": "SUCCESS", "bad.jsonl.gz": "QUARANTINED"}
    by_state = cli("files", "list", "shop.orders", "--state", "QUARANTINED", "--json").answer["files"]
    by_path = cli("files", "list", "--path", "good", "--json").answer["files"]
    first = cli("files", "list", "--limit", "1", "--json").answer
    second = cli("files", "list", "--after", str(first["next_after"]), "--json").answer

    assert [file["reason"] for file in by_state] == ["truncated"]
    assert [file["rows"] for file in by_path] == [5]
    assert (len(first["files"]), len(second["files"]), second["next_after"]) == (1, 1, None)


@pytest.mark.parametrize("how", ["path", "end", "id"])
def test_a_file_is_found_by_path_by_its_end_and_by_id(cli, loaded, how):
    listed = cli("files", "list", "--path", "good", "--json").answer["files"][0]
    name = {"path": listed["path"], "end": "landing/good.jsonl", "id": str(listed["id"])}[how]

    (shown,) = cli("files", "show", name, "--json").answer["files"]

    assert (shown["id"], shown["state"], shown["attempts"], shown["rows"]) == (listed["id"], "SUCCESS", 1, 5)
    assert [event["state"] for event in shown["history"]] == ["PROCESSING", "SUCCESS"]
    assert shown["snapshot_id"]
    assert shown["batch_state"] == "SETTLED"


def test_text_tells_a_file_from_its_discovery_to_its_end(cli, loaded):
    out = cli("files", "show", "bad.jsonl.gz").out

    assert re.search(r"^state +QUARANTINED$", out, re.MULTILINE)
    assert re.search(r"^reason +truncated$", out, re.MULTILINE)
    assert re.search(r"^discovered +\S+ \S+ by run [0-9a-f-]{36}$", out, re.MULTILINE)
    assert re.search(
        r"^The file ends before .*\. Deliver the whole file again\.\nTry it again: autoloader files retry \d+$",
        out,
        re.MULTILINE,
    )


# --- files that the ledger does not know -----------------------------------------------------


def test_a_file_that_a_rule_leaves_out_is_explained(cli, loaded):
    put(loaded, "_temporary/part.jsonl", rows(0, 1))

    ran = cli("files", "show", str(loaded / "_temporary" / "part.jsonl"))

    assert ran.code == 0
    assert ran.out == (
        f"{loaded}/_temporary/part.jsonl is not in the ledger of shop.orders.\n"
        "  hidden: Left out of shop.orders: its name, or a folder's below the source, begins with `_` or `.`.\n"
    )


def test_a_file_that_no_run_has_seen_yet_will_be_loaded(cli, loaded):
    put(loaded, "later.jsonl", rows(0, 1))

    told = cli("files", "show", "later.jsonl", "--json").answer["explanations"]

    assert told == [
        {
            "ingestion": "shop.orders",
            "path": f"{loaded}/later.jsonl",
            "reason": "next-run",
            "sentence": "The next run of shop.orders will load it.",
        }
    ]


def test_a_file_that_is_not_there_is_said_not_to_be(cli, loaded):
    (told,) = cli("files", "show", str(loaded / "none.jsonl"), "--json").answer["explanations"]

    assert (told["reason"], told["sentence"]) == ("missing", f"There is no such file below {loaded}.")


def test_a_file_of_no_source_is_an_error(cli, loaded):
    ran = cli("files", "show", "/elsewhere/x.jsonl")

    assert ran.code == 1
    assert ran.err == (
        "Error: The ledger knows no file '/elsewhere/x.jsonl', and it is below no ingestion's source.\n"
        "Next: Give its full path; see the sources with: autoloader ingestions list\n"
    )


# --- by hand ---------------------------------------------------------------------------------


AGAIN = "To have its rows once more, load its source into another table: autoloader load SOURCE NAMESPACE.TABLE"


@pytest.mark.parametrize("verb", ["retry", "skip", "forget"])
def test_a_loaded_file_is_never_moved(cli, loaded, verb):
    ran = cli("files", verb, "good.jsonl", *(["--yes"] if verb == "forget" else []))

    cannot, never = {
        "retry": ("become DISCOVERED.", f"A loaded version is never loaded again: that would double its rows. {AGAIN}"),
        "skip": ("become SKIPPED.", "A loaded version is never loaded again: that would double its rows."),
        "forget": ("be forgotten: it would be found as new, and double its rows.", AGAIN),
    }[verb]
    assert ran.code == 1
    assert ran.err == f"Error: {loaded}/good.jsonl is loaded (SUCCESS); it cannot {cannot}\nNext: {never}\n"
    assert states(cli)["good.jsonl"] == "SUCCESS"


def test_a_quarantined_file_can_be_tried_again_and_again_be_quarantined(cli, loaded):
    moved = cli("files", "retry", "bad.jsonl.gz")

    assert (moved.code, states(cli)["bad.jsonl.gz"]) == (0, "DISCOVERED")
    assert moved.out.endswith("Run it: autoloader ingestions run shop.orders\n")
    assert cli("ingestions", "run", "shop.orders").code == 3
    assert states(cli) == {"good.jsonl": "SUCCESS", "bad.jsonl.gz": "QUARANTINED"}


def test_all_files_in_a_state_are_tried_again(cli, loaded):
    moved = cli("files", "retry", "--ingestion", "shop.orders", "--state", "QUARANTINED", "--json")

    assert [file["state"] for file in moved.answer["files"]] == ["DISCOVERED"]


def test_of_a_state_files_that_another_try_cannot_help_are_left_with_the_reason(cli, landing):
    put(landing, "a.jsonl", rows(0, 2))
    put(landing, "empty.jsonl", b"")
    cli("load", "landing", "shop.orders")

    moved = cli("files", "retry", "--ingestion", "shop.orders", "--state", "SKIPPED")

    assert moved.out == (
        "0 files wait for the next run.\n"
        "Left, as another try cannot help: 1 file empty. It has no bytes."
        " Nothing to do: once something is written to it, it is found as new.\n"
    )
    assert states(cli)["empty.jsonl"] == "SKIPPED"
    assert cli("files", "retry", "--ingestion", "shop.orders", "--state", "SKIPPED", "--json").answer["left"] == {
        "empty": 1
    }


def test_of_an_empty_file_nothing_is_to_be_done_and_no_retry_is_named(cli, landing):
    put(landing, "a.jsonl", rows(0, 2))
    put(landing, "empty.jsonl", b"")
    cli("load", "landing", "shop.orders")

    shown = cli("files", "show", "empty.jsonl").out

    assert "It has no bytes. Nothing to do: once something is written to it, it is found as new.\n" in shown
    assert "files retry" not in shown


def test_a_list_without_a_hit_says_what_was_asked_for_and_what_to_try(cli, loaded):
    states = ("--state", "FAILED", "--state", "SKIPPED")
    some = cli("files", "list", "shop.orders", *states, "--path", "x", "--after", "9")

    assert some.out == (
        "The ledger has no file of shop.orders in the state FAILED or SKIPPED whose path holds 'x' behind the id 9.\n"
        "All that it has of it: autoloader files list shop.orders\n"
        "Why a file is not in it: autoloader files show PATH\n"
    )


def test_a_list_of_an_ingestion_without_a_file_does_not_name_itself_once_more(cli, landing):
    put(landing, "a.jsonl", rows(0, 1))
    cli("load", "landing", "shop.orders", "--include", "*.none", "--format", "jsonl")

    none, elsewhere = cli("files", "list", "shop.orders"), cli("files", "list", "--state", "FAILED")

    for ran in (none, elsewhere):
        assert "\nAll that it has: autoloader files list\n" in ran.out
    assert none.out.startswith("The ledger has no file of shop.orders.\n")


def test_an_empty_ledger_says_so(cli):
    assert cli("files", "list").out.startswith("The ledger has no file yet.\nWhy a file is not in it: ")


def test_a_waiting_file_waits_already(cli, loaded):
    cli("files", "retry", "bad.jsonl.gz")

    assert cli("files", "retry", "bad.jsonl.gz").err == (
        f"Error: {loaded}/bad.jsonl.gz waits for the next run already.\nNext: Run the ingestion.\n"
    )


def test_a_skipped_file_is_left_out_for_good(cli, loaded):
    cli("files", "skip", "bad.jsonl.gz")

    assert cli("ingestions", "run", "shop.orders").code == 0
    (file,) = cli("files", "show", "bad.jsonl.gz", "--json").answer["files"]
    assert (file["state"], file["reason"], file["error"]) == ("SKIPPED", "by-hand", "Left out by hand.")


def test_a_forgotten_file_is_found_anew(cli, loaded):
    before = cli("files", "show", "bad.jsonl.gz", "--json").answer["files"][0]["id"]

    assert cli("files", "forget", "bad.jsonl.gz", "--yes").code == 0
    assert set(states(cli)) == {"good.jsonl"}
    cli("ingestions", "run", "shop.orders")
    (after,) = cli("files", "show", "bad.jsonl.gz", "--json").answer["files"]
    assert after["id"] != before
    assert len(after["history"]) == 2


def test_nothing_is_forgotten_without_a_yes(cli, loaded):
    refused = cli("files", "forget", "bad.jsonl.gz")

    assert refused.err == "Error: Nobody is there to confirm it.\nNext: Give --yes.\n"
    assert "bad.jsonl.gz" in states(cli)


def test_a_file_that_is_not_there_is_told_before_a_yes_is_asked_for(cli, loaded):
    told = cli("files", "forget", "none.jsonl").err

    assert told == (
        "Error: The ledger knows no file 'none.jsonl'.\n"
        "Next: Ask why it is not loaded: autoloader files show none.jsonl\n"
    )
    assert cli("files", "forget", "none.jsonl", "--yes").err == told


def test_a_name_that_fits_several_files_is_refused(cli, landing):
    put(landing, "one/a.jsonl.gz", b"x")
    put(landing, "two/a.jsonl.gz", b"x")
    cli("load", "landing", "shop.orders", "--format", "jsonl")

    ran = cli("files", "retry", "a.jsonl.gz")

    assert ran.err.startswith("Error: 'a.jsonl.gz' names several files: ")
    assert ran.err.endswith("Next: Give the id or the full path of one.\n")
    assert "more" not in ran.err


def test_of_a_name_that_fits_many_files_the_first_are_named_and_the_others_counted(cli, landing):
    for number in range(8):
        put(landing, f"{number}/a.jsonl.gz", b"x")
    cli("load", "landing", "shop.orders", "--format", "jsonl")
    said = cli("files", "retry", "a.jsonl.gz").err
    assert said.count("/a.jsonl.gz (of shop.orders)") == 5
    assert "; and 3 more.\n" in said


def test_the_name_of_an_ingestion_where_a_file_is_wanted_leads_to_its_files(cli, loaded):
    assert cli("files", "show", "a file.csv").err.endswith("ingestions list\n")
    assert cli("files", "retry", "a file.csv").err.endswith("autoloader files show 'a file.csv'\n")
    assert "autoloader files list shop.orders" in cli("files", "forget", "shop.orders", "--yes").err
    assert cli("files", "retry", "shop.orders").err == (
        "Error: The ledger knows no file 'shop.orders'.\n"
        "Next: It is the name of an ingestion. Its files: autoloader files list shop.orders\n"
    )


def test_a_changed_file_can_be_loaded_by_hand_beside_its_old_version(cli, loaded):
    changed = put(loaded, "good.jsonl", rows(100, 3))
    os.utime(changed, (1_700_001_000, 1_700_001_000))
    cli("ingestions", "run", "shop.orders")
    old, new = cli("files", "show", str(changed), "--json").answer["files"]
    assert (old["state"], new["state"], new["reason"]) == ("SUCCESS", "SKIPPED", "on-change-ignore")

    cli("files", "retry", str(changed))
    ran = cli("ingestions", "run", "shop.orders", "--json")

    assert ran.answer["metrics"]["rows"] == 3


def test_versions_of_one_file_that_were_left_out_are_told_as_one_file(cli, loaded):
    for at in (1, 2):
        os.utime(put(loaded, "good.jsonl", rows(100 * at, 3)), (1_700_001_000 + at, 1_700_001_000 + at))
        cli("load", "landing", "shop.orders")

    assert (
        "; 1 changed file left out so far will stay so."
        in cli("load", "landing", "shop.orders", "--on-change", "append").err
    )


def test_a_version_that_was_put_back_is_loaded_by_the_retry_that_the_run_names_and_it_is_named_no_more(cli, loaded):
    path = loaded / "good.jsonl"
    retry = ("files", "retry", "--ingestion", "shop.orders", "--state", "SKIPPED")
    second, third = rows(100, 3), rows(200, 4)
    for at, version in enumerate([second, third, second]):
        put(loaded, "good.jsonl", version)
        os.utime(path, (1_700_001_000 + at % 2, 1_700_001_000 + at % 2))  # the last one is the second, as by cp -p
        told = cli("ingestions", "run", "shop.orders")
    assert f"autoloader {' '.join(retry)}" in told.out

    freed = cli(*retry)
    ran = cli("ingestions", "run", "shop.orders", "--json")
    after = cli("ingestions", "run", "shop.orders")

    assert freed.out.startswith("2 files wait for the next run.\n")
    assert "another try cannot help" not in freed.out
    assert ran.answer["metrics"]["rows"] == 3
    assert "files retry --ingestion shop.orders --state SKIPPED" not in after.out

    put(loaded, "good.jsonl", third)
    os.utime(path, (1_700_001_001, 1_700_001_001))
    named = cli("ingestions", "run", "shop.orders")
    cli(*retry)
    assert f"autoloader {' '.join(retry)}" in named.out
    assert cli("ingestions", "run", "shop.orders", "--json").answer["metrics"]["rows"] == 4, "it had ended `changed`"


def test_of_a_version_that_was_replaced_and_put_back_the_run_says_how_it_is_loaded(cli, landing):
    put(landing, "a.jsonl", rows(0, 2))
    cut = put(landing, "b.jsonl.gz", gzip.compress(rows(5, 500).encode(), mtime=0)[:100]).read_bytes()
    cli("load", "landing", "shop.orders")
    put(landing, "b.jsonl.gz", gzip.compress(rows(5, 3).encode(), mtime=0))
    assert cli("load", "landing", "shop.orders").code == 0
    put(landing, "b.jsonl.gz", cut)

    told = cli("load", "landing", "shop.orders")
    left = cli("files", "retry", "--ingestion", "shop.orders", "--state", "SKIPPED")

    assert "to load one that is superseded, and was put back: autoloader files retry ID\n" in told.out
    assert "the newer one is loaded" not in left.out
    assert (
        "unless this very version was put back beside a loaded one: then name its id: autoloader files retry ID"
        in left.out
    )


def test_what_was_left_out_before_append_is_named_with_the_way_to_load_it(cli, loaded):
    changed = put(loaded, "good.jsonl", rows(100, 3))
    os.utime(changed, (1_700_001_000, 1_700_001_000))
    retry = "autoloader files retry --ingestion shop.orders --state SKIPPED"
    ignored = cli("load", "landing", "shop.orders")

    appended = cli("load", "landing", "shop.orders", "--on-change", "append")
    again = cli("load", "landing", "shop.orders")
    cli("files", "retry", "--ingestion", "shop.orders", "--state", "SKIPPED")

    assert f"to load them, too, with all of their rows: {retry}\n" in ignored.out
    assert "1 changed file left out so far will stay so." in appended.err
    assert appended.err.endswith(f"{retry}\n")
    assert "left out so far" not in again.err
    assert cli("ingestions", "run", "shop.orders", "--json").answer["metrics"]["rows"] == 3


def test_file_names_cannot_steer_the_terminal(cli, landing):
    put(landing, "a\x1b[2J[bold]\n.jsonl", rows(0, 1))

    cli("load", "landing", "shop.orders", "--format", "jsonl")
    out = cli("files", "list").out

    assert "\x1b" not in out
    assert r"a\x1b[2J[bold]\n.jsonl" in out


@pytest.mark.parametrize(
    "name",
    ["./landing/a.jsonl", "landing/x/../a.jsonl", "file://{}/landing/a.jsonl", "/{}//landing/a.jsonl", "./a.jsonl"],
)
def test_a_loaded_file_is_found_however_its_path_is_written(cli, landing, tmp_path, name):
    path = put(landing, "a.jsonl", rows(0, 2))
    cli("load", "landing", "shop.orders")

    shown = cli("files", "show", name.format(tmp_path), "--json").answer
    moved = cli("files", "retry", name.format(tmp_path))

    assert [(file["path"], file["state"]) for file in shown["files"]] == [(str(path), "SUCCESS")]
    assert "is loaded (SUCCESS)" in moved.err


def test_a_name_that_is_not_utf8_is_explained(cli, landing):
    put(landing, "a.jsonl", rows(0, 2))
    cli("load", "landing", "shop.orders")
    bad = str(put(landing, os.fsdecode(b"bad\xff.jsonl"), "{}"))

    shown = cli("files", "show", bad)
    moved = cli("files", "retry", bad)
    loaded = cli("load", bad, "shop.other")

    assert "bad-name: Left out of shop.orders: its name is not UTF-8" in shown.out
    assert moved.err.startswith("Error: The ledger knows no file ")
    assert (loaded.code, loaded.err.partition(" '")[0]) == (1, "Error: The address")


def test_one_file_and_several_are_told_in_their_own_grammar(cli, landing):
    for name in "ab":
        put(landing, f"{name}.csv", b"\x89PNG\r\n\x00\x00")
    cli("load", "landing", "shop.orders", "--format", "json")

    one = cli("files", "skip", "a.csv")
    two = cli("files", "skip", "a.csv", "b.csv") if one.code else cli("files", "retry", "a.csv")

    assert one.out.startswith("1 file is left out.\n")
    assert two.out.startswith("1 file waits for the next run.\n")
