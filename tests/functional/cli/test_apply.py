from __future__ import annotations

import io
from itertools import pairwise

import pytest

from tests.functional.cli.conftest import put, rows

ORDERS = """
name: orders
source:
  url: landing
format:
  type: csv
destination:
  table: shop.orders
policies:
  on_error: fail
"""
HINT = "Next: See the fields: autoloader docs reference/ingestion\n"


@pytest.fixture
def write(tmp_path):
    def make(text, name="i.yaml"):
        (tmp_path / name).write_text(text)
        return name

    return make


def test_the_difference_is_shown_first_and_the_same_again_changes_nothing(cli, write, tmp_path):
    file = write(ORDERS)

    dry = cli("apply", "-f", file, "--dry-run")
    made = cli("apply", "-f", file, "--yes")
    again = cli("apply", "-f", file)

    assert dry.out == (
        "+ orders: create\n"
        f"    source.url: {tmp_path}/landing\n"
        "    format.type: csv\n"
        "    destination.table: shop.orders\n"
        "    policies.on_error: fail\n"
        "1 change would be made; leave out --dry-run to make them.\n"
    )
    assert made.out.endswith("1 change made. Run it: autoloader ingestions run orders\n")
    assert again.out == "= orders: unchanged\nNothing to change.\n"


def test_a_change_shows_old_and_new(cli, write):
    cli("apply", "-f", write(ORDERS), "--yes")

    ran = cli("apply", "-f", write(ORDERS.replace("on_error: fail", "max_errors: 5%")), "--yes", "--json")

    assert ran.answer == {
        "applied": True,
        "steps": [
            {
                "name": "orders",
                "action": "change",
                "changes": [
                    {"field": "policies.on_error", "old": "fail", "new": "continue"},
                    {"field": "policies.max_errors", "old": "0", "new": "5%"},
                ],
            }
        ],
    }


def test_many_ingestions_come_as_documents_or_as_a_list(cli, write):
    two = ORDERS.replace("orders", "sales").replace("landing", "other")
    listed = "[{name: a, source: {url: /a}, format: {type: csv}, destination: {table: x.a}}]"

    cli("apply", "-f", write(f"---{ORDERS}---{two}---\n{listed}\n"), "--yes")

    names = [one["name"] for one in cli("ingestions", "list", "--json").answer["ingestions"]]
    assert names == ["a", "orders", "sales"]


def test_standard_input_is_read(cli, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(ORDERS))

    assert cli("apply", "-f", "-", "--yes").code == 0


def test_nothing_is_changed_without_a_yes(cli, write):
    ran = cli("apply", "-f", write(ORDERS))

    assert (ran.code, ran.err) == (1, "Error: Nobody is there to confirm it.\nNext: Give --yes.\n")
    assert cli("ingestions", "list", "--json").answer == {"ingestions": []}


def test_a_file_that_does_not_speak_of_pausing_does_not_resume(cli, write):
    cli("apply", "-f", write(ORDERS), "--yes")
    cli("ingestions", "pause", "orders")

    assert cli("apply", "-f", write(ORDERS)).out == "= orders: unchanged\nNothing to change.\n"
    assert "paused: true → false" in cli("apply", "-f", write(ORDERS + "paused: false\n"), "--dry-run").out


def test_a_source_cannot_be_changed(cli, write):
    cli("apply", "-f", write(ORDERS), "--yes")

    ran = cli("apply", "-f", write(ORDERS.replace("url: landing", "url: /elsewhere")), "--yes")

    assert ran.code == 1
    assert "neither can be changed" in ran.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            ORDERS.replace("  url:", "  inculde: []\n  url:"),
            "i.yaml:4: source.inculde: there is no such field (is include meant?).",
        ),
        (
            ORDERS.replace("type: csv", "type: xml"),
            "i.yaml:6: format.type: input should be 'jsonl', 'json', 'csv', 'tsv' or 'parquet'.",
        ),
        (
            ORDERS.replace("shop.orders", "orders"),
            (
                "i.yaml:8: destination.table: 'orders' is not a table name; write namespace.table or"
                " catalog.namespace.table, each of letters, digits and _."
            ),
        ),
        (ORDERS.replace("  type: csv\n", "  compression: none\n"), "i.yaml:5: format.type: this field is needed."),
        (ORDERS + "name: twice\n", "i.yaml:11: name is there twice."),
        (f"---{ORDERS}---{ORDERS}", "i.yaml:12: name: a second ingestion with the name 'orders'."),
        ("a: [1\nb: 2\n", "i.yaml:2: this is not YAML: expected ',' or ']', but got ':'."),
        ("- 5\n", "i.yaml:1: an ingestion is a mapping of fields."),
        ("", "i.yaml holds no ingestion."),
        ("a: &x {b: *x}\n", "i.yaml:1: this is nested too deeply."),
        (
            "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(f"{b}: &{b} [{f'*{a},' * 9}]\n" for a, b in pairwise("abcdefgh")),
            "i.yaml:1: this holds more values than an ingestion can.",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(cli, write, text, message):
    ran = cli("apply", "-f", write(text), "--yes")

    assert (ran.code, ran.err) == (1, f"Error: {message}\n{HINT}")
    assert cli("ingestions", "list", "--json").answer == {"ingestions": []}


def test_every_problem_of_every_document_is_told_at_once(cli, write):
    bad = ORDERS.replace("type: csv", "type: csv\n  quote: ab").replace(
        "url: landing", "url: landing\n  include: ['[z']"
    )
    worse = ORDERS.replace("name: orders", "name: two").replace("type: csv", "type: xml")

    ran = cli("apply", "-f", write(f"---{bad}---{worse}"), "--yes")

    assert ran.code == 1
    assert "i.yaml:6: format: the option quote is 'ab'" in ran.err
    assert "i.yaml:3: source: the pattern '[z' has a [ without its ]." in ran.err
    assert "i.yaml:18: format.type: input should be" in ran.err


def test_what_the_ledger_has_against_one_document_stores_none(cli, write):
    good = ORDERS.replace("url: landing", "url: elsewhere")
    lost = ORDERS.replace("name: orders", "name: two").replace("shop.orders", "lake.shop.orders")
    slash = ORDERS.replace("name: orders", "name: a/b").replace("shop.orders", "shop.other")

    ran = cli("apply", "-f", write(f"---{good}---{lost}---{slash}"), "--yes")

    assert (ran.code, ran.err.splitlines()[0]) == (
        1,
        "Error: i.yaml:12: There is no connection 'lake'. i.yaml:22: 'a/b' is not a name for an ingestion.",
    )
    assert cli("ingestions", "list", "--json").answer == {"ingestions": []}


def test_an_export_makes_the_same_table_elsewhere(cli, write, tmp_path, landing):
    put(landing, "a.jsonl", rows(0, 1))
    cli("load", "landing", "shop.orders", "--partition-by", "id")
    (tmp_path / "i.yaml").write_text(cli("ingestions", "export").out.replace("shop.orders", "shop.copy"))

    made = cli("apply", "-f", "i.yaml", "--yes")
    (landing / "a.jsonl").unlink()
    put(landing, "b.jsonl", '{"id": "x"}\n')
    ran = cli("ingestions", "run", "shop.copy", "--json")

    assert made.code == 0, made.err
    assert ran.answer["metrics"]["rescued"] == 1
    shown = cli("table", "show", "shop.copy", "--json").answer
    assert (shown["columns"][0], shown["partition_by"]) == ({"name": "id", "type": "bigint"}, ["id"])


def test_a_file_that_is_not_there_is_an_error(cli):
    assert cli("apply", "-f", "none.yaml").err == (
        "Error: none.yaml cannot be read: No such file or directory.\nNext: Look at the name and its rights.\n"
    )


def test_an_ingestion_with_a_schedule_shows_it_and_says_what_keeps_it(cli, write, landing):
    timed = ORDERS + "schedule: {cron: '*/5 * * * *', timezone: Europe/Berlin}\narrival: {poll_seconds: 30}\n"

    made = cli("apply", "-f", write(timed), "--yes")
    shown = cli("ingestions", "show", "orders").out
    plain = cli("apply", "-f", write(ORDERS), "--yes")

    assert made.err == "Schedules and arrivals begin when it runs: autoloader up\n"
    assert "schedule  cron */5 * * * * (Europe/Berlin)\n" in shown
    assert "arrival   listed every 30 s\n" in shown
    assert plain.err == ""
    assert "schedule" not in cli("ingestions", "show", "orders").out
