"""Whole runs over sources that change, refuse or are elsewhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from app import failpoints
from tests.functional.cli.conftest import LONG_AGO, put, rows
from tests.services.proxy import refusing


@pytest.fixture
def connected(cli):
    """Stores a bucket's options as the connection `store`; answers the arguments that load from below `in/`."""

    def connect(bucket, options=None):
        given = [f"-o{key}={value}" for key, value in (options or bucket.options).items()]
        assert cli("connections", "add", "store", bucket.kind, *given, "--replace").code == 0
        return ("load", f"{bucket.url}/in", "shop.orders", "--connection", "store")

    return connect


@pytest.fixture
def once(monkeypatch):
    """Does something at the first time that a run comes to a point."""

    def at(point, action):
        todo = [action]
        monkeypatch.setattr(failpoints, "hit", lambda name: todo.pop()() if name == point and todo else None)

    return at


def states(cli):
    """Each version in the ledger: name, state and reason, in order of discovery."""
    files = cli("files", "list", "--json").answer["files"]
    return [(file["path"].rpartition("/")[2], file["state"], file["reason"]) for file in files]


def ids(cli):
    found = cli("table", "sql", "shop.orders", "SELECT id FROM orders ORDER BY id", "--json")
    return [row["id"] for row in found.answer["rows"]]


# --- elsewhere


@pytest.mark.parametrize("service", ["s3", "azurite", "gcs"])
def test_a_bucket_of_every_kind_is_loaded_and_what_comes_later_added(request, cli, connected, service):
    bucket = request.getfixturevalue(service)
    load = connected(bucket)
    bucket.put("in/a.jsonl", rows(0, 3).encode())
    bucket.put("in/sub/b c.jsonl", rows(3, 2).encode())
    bucket.put("in/_hidden.jsonl", b"{}")

    first = cli(*load)
    bucket.put("in/c.jsonl", rows(5, 1).encode())
    second = cli(*load)

    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert "Loaded 2 files" in first.out
    assert "Loaded 1 file" in second.out
    assert ids(cli) == list(range(6))
    assert [path for path, *_ in states(cli)] == ["a.jsonl", "b c.jsonl", "c.jsonl"]


def test_a_wrong_key_is_told_with_the_next_step_and_makes_no_ingestion(cli, connected, s3):
    s3.put("in/a.jsonl", rows(0, 3).encode())
    load = connected(s3, {**s3.options, "secret_access_key": "wrong-canary"})

    ran = cli(*load)

    assert ran.code == 1
    assert ran.err.startswith(f"Error: Access to {s3.url}/in/ is denied: ")
    assert ran.err.endswith(
        "Next: Look at the connection's keys and at what they may do: list the prefix and read its objects.\n"
    )
    assert "canary" not in ran.out + ran.err
    assert cli("ingestions", "list", "--json").answer == {"ingestions": []}


def test_a_bucket_that_is_not_there_is_told_with_the_next_step(cli, connected, s3):
    load = [part.replace(s3.url, "s3://there-is-none") for part in connected(s3)]

    ran = cli(*load)

    assert ran.code == 1
    assert ran.err.startswith("Error: There is no bucket ")
    assert "there-is-none" in ran.err
    assert "\nNext: " in ran.err


# --- between listing and reading


def test_an_object_that_is_removed_before_it_is_read_is_skipped_and_its_neighbours_load(cli, connected, once, s3):
    for n, name in enumerate("abc"):
        s3.put(f"in/{name}.jsonl", rows(n, 1).encode())
    once("claimed", lambda: s3.remove("in/b.jsonl"))

    ran = cli(*connected(s3))

    assert ran.code == 3, ran.err
    assert states(cli) == [
        ("a.jsonl", "SUCCESS", None),
        ("b.jsonl", "SKIPPED", "missing"),
        ("c.jsonl", "SUCCESS", None),
    ]
    assert ids(cli) == [0, 2]


def test_an_object_that_is_overwritten_before_it_is_read_is_loaded_in_its_new_version_only(cli, connected, once, s3):
    s3.put("in/a.jsonl", rows(0, 1).encode())
    s3.put("in/b.jsonl", rows(1, 1).encode())
    once("claimed", lambda: s3.put("in/b.jsonl", rows(7, 2).encode()))
    load = connected(s3)

    first = cli(*load)
    between = states(cli)
    second = cli(*load)

    assert (first.code, second.code) == (3, 0), first.err + second.err
    assert between == [("a.jsonl", "SUCCESS", None), ("b.jsonl", "SKIPPED", "changed")]
    assert states(cli)[2:] == [("b.jsonl", "SUCCESS", None)]
    assert ids(cli) == [0, 7, 8]


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (403, "AccessDenied", "denied"),
        (400, "KMS.DisabledException", "denied"),
        (409, "BlobArchived", "denied"),
        (500, "InternalError", "not-given"),
        (503, "SlowDownRead", "not-given"),  # what MinIO says of an object of which too many parts are lost
    ],
    ids=["no-right", "no-key", "archived", "broken", "lost"],
)
def test_an_object_that_is_not_given_is_tried_three_times_and_its_neighbours_load(
    cli, connected, s3, monkeypatch, status, code, reason
):
    monkeypatch.setenv("REQUEST_RETRIES", "0")
    for n, name in enumerate("abc"):
        s3.put(f"in/{name}.jsonl", rows(n, 1).encode())

    with refusing(s3.endpoint, "/b.jsonl", status=status, code=code) as endpoint:
        load = connected(s3, {**s3.options, "endpoint": endpoint})
        first = cli(*load, "--schema", "id bigint, name string")
        after_one = states(cli)
        cli(*load)
        third = cli(*load)
        after_three = states(cli)
    again = connected(s3)
    cli("files", "retry", "b.jsonl")
    last = cli(*again)

    assert (first.code, third.code, last.code) == (3, 3, 0), first.err + last.err
    assert after_one == [("a.jsonl", "SUCCESS", None), ("b.jsonl", "FAILED", reason), ("c.jsonl", "SUCCESS", None)]
    assert after_three[1] == ("b.jsonl", "QUARANTINED", reason)
    assert ids(cli) == [0, 1, 2]


def replaced_by_a_folder(path: Path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("happens", "state"),
    [
        (Path.unlink, ("SKIPPED", "missing")),
        (replaced_by_a_folder, ("QUARANTINED", "not-this-format")),
        (lambda path: path.write_text(rows(9, 2)), ("SKIPPED", "changed")),
        (os.utime, ("SKIPPED", "changed")),
        (lambda path: shutil.rmtree(path.parent), ("SKIPPED", "missing")),
    ],
    ids=["removed", "a-folder-now", "overwritten", "touched", "folder-removed"],
)
def test_a_file_that_changes_before_it_is_read_gives_no_row_and_its_neighbours_load(cli, landing, once, happens, state):
    put(landing, "a.jsonl", rows(0, 1))
    path = put(landing, "sub/b.jsonl", rows(1, 1))
    put(landing, "z.jsonl", rows(2, 1))
    once("claimed", lambda: happens(path))

    ran = cli("load", "landing", "shop.orders")

    assert ran.code == 3, ran.err
    assert states(cli) == [("a.jsonl", "SUCCESS", None), ("b.jsonl", *state), ("z.jsonl", "SUCCESS", None)]
    assert ids(cli) == [0, 2]


# --- what counts


def test_from_now_is_refused_where_it_would_mean_a_moment_long_ago(cli, landing):
    put(landing, "old.jsonl", rows(0, 5))
    cli("load", "landing", "shop.orders")
    put(landing, "b.jsonl", rows(5, 1))

    told = cli("load", "landing", "shop.orders", "--from-now")

    assert told.code != 0
    assert "shop.orders is there already" in told.err
    assert "--start 20" in told.err
    assert states(cli) == [("old.jsonl", "SUCCESS", None)]
    assert cli("load", "landing", "shop.orders").code == 0
    assert ids(cli) == [0, 1, 2, 3, 4, 5]


def test_from_now_leaves_out_what_was_there_and_loads_what_comes(cli, landing):
    put(landing, "old.jsonl", rows(0, 5))

    first = cli("load", "landing", "shop.orders", "--from-now", "--min-age", "0", "--format", "jsonl")
    (landing / "new.jsonl").write_text(rows(5, 2))
    second = cli("load", "landing", "shop.orders")

    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert "  left out  1 too-old\n" in first.out
    assert "Loaded 1 file" in second.out
    assert states(cli) == [("new.jsonl", "SUCCESS", None)]
    assert ids(cli) == [5, 6]


def change(path, text):
    path.write_text(text)
    os.utime(path, (LONG_AGO + 60, LONG_AGO + 60))


def test_a_loaded_file_that_changed_is_loaded_again_under_append(cli, landing):
    path = put(landing, "a.jsonl", rows(0, 2))
    cli("load", "landing", "shop.orders", "--on-change", "append")
    change(path, rows(0, 3))

    ran = cli("load", "landing", "shop.orders")
    third = cli("load", "landing", "shop.orders", "--json").answer

    assert ran.code == 0, ran.err
    assert states(cli) == [("a.jsonl", "SUCCESS", None), ("a.jsonl", "SUCCESS", None)]
    assert ids(cli) == [0, 0, 1, 1, 2]
    assert third["metrics"]["discovered"]["known"] == 1


def test_a_loaded_file_that_changed_stops_the_run_under_fail_until_a_person_decides(cli, landing):
    path = put(landing, "a.jsonl", rows(0, 2))
    cli("load", "landing", "shop.orders", "--on-change", "fail")
    change(path, rows(0, 3))
    put(landing, "b.jsonl", rows(9, 1))

    stopped = cli("load", "landing", "shop.orders")
    still = cli("load", "landing", "shop.orders")
    newer = cli("files", "list", "--state", "QUARANTINED", "--json").answer["files"]
    cli("files", "skip", str(newer[0]["id"]))
    after = cli("load", "landing", "shop.orders")

    assert (stopped.code, still.code, after.code) == (1, 1, 0), after.err
    assert stopped.err == still.err
    assert stopped.err == (
        "Error: 1 file of shop.orders changed after loading, and it says on_change: fail.\n"
        "Next: See them: autoloader files list shop.orders --state QUARANTINED;"
        " then `files retry` loads the new version too, `files skip` leaves it out.\n"
    )
    assert [(file["state"], file["reason"]) for file in newer] == [("QUARANTINED", "on-change-fail")]
    assert ids(cli) == [0, 1, 9]
