"""Of a deleted ingestion the ledger stays, and everywhere it is said to be deleted."""

from __future__ import annotations

import re

import pytest

from app.catalog.open import local_options, open_catalog
from tests.functional.cli.conftest import put, rows

STAYS = (
    " Its ledger stays: made again for the same source and table, it goes on where it stopped,"
    " and loads nothing twice.\n"
)


@pytest.fixture
def loaded(cli, landing):
    """One source, read into two tables; of each a file waits for a person."""
    put(landing, "a.jsonl", rows(0, 2))
    put(landing, "bad.jsonl", b"\x80\x81\n")
    for table in ("shop.orders", "shop.again"):
        assert cli("load", "landing", table, "--max-attempts", "1", "--on-error", "skip_file").code == 3
    return landing


def test_deleting_says_that_the_ledger_stays_and_what_that_means(cli, loaded):
    gone = cli("ingestions", "delete", "shop.orders", "--yes")

    assert gone.out == "Deleted shop.orders; its table is left as it is." + STAYS


def test_a_table_that_is_not_there_is_not_said_to_stay(cli, loaded, home):
    with open_catalog("local", local_options(home)) as catalog:
        catalog.library.drop_table(("shop", "orders"))

    gone = cli("ingestions", "delete", "shop.orders", "--yes")

    assert gone.out == "Deleted shop.orders; there is no table local.shop.orders." + STAYS


def test_a_file_of_a_deleted_ingestion_is_shown_as_such(cli, loaded):
    cli("ingestions", "delete", "shop.orders", "--yes")
    (name,) = [one for one in cli("files", "list", "--json").answer["files"] if one["ingestion"] == "shop.orders"][:1]

    shown, listed = cli("files", "show", str(name["id"])), cli("files", "list")

    assert re.search(r"^ingestion +shop\.orders \(deleted\)$", shown.out, re.MULTILINE)
    assert listed.out.count("shop.orders (deleted)") == 2
    assert listed.out.count("shop.again (deleted)") == 0


def test_a_path_of_two_ingestions_is_told_with_both_and_with_how_to_choose(cli, loaded):
    cli("ingestions", "delete", "shop.orders", "--yes")

    ran = cli("files", "retry", f"{loaded}/bad.jsonl")
    chosen = cli("files", "retry", f"{loaded}/bad.jsonl", "--ingestion", "shop.again")

    one = rf"\d+ {loaded}/bad\.jsonl"
    assert re.search(rf"names several files: {one} \(of shop\.orders, deleted\); {one} \(of shop\.again\)\.\n", ran.err)
    assert ran.err.endswith("Next: Give the id of one, or the ingestion: --ingestion NAME\n")
    assert chosen.code == 0


def test_a_file_of_a_deleted_ingestion_that_waits_again_is_not_said_to_run(cli, loaded):
    cli("ingestions", "delete", "shop.orders", "--yes")
    files = cli("files", "list", "--path", "bad", "--json").answer["files"]
    (bad,) = [one["id"] for one in files if one["ingestion"] == "shop.orders"]

    told = cli("files", "retry", str(bad)).out

    assert told.endswith("Its ingestion is deleted: made again for the same source and table, it loads what waits.\n")
