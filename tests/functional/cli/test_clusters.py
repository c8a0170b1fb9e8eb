from __future__ import annotations

import io
import re
from contextlib import closing, nullcontext
from unittest.mock import Mock

import pytest

from app.database import Database
from app.services import wiring
from app.services.connection_service import ConnectionService
from tests.functional.api.conftest import serving, settings_of

SECRET = "very-secret-value-4711"
URL = "sc://spark.example.com:15002"


def test_a_token_is_read_from_standard_input_and_never_shown(cli, home, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n"))

    added = cli("clusters", "add", "big", URL, "--catalog", "lake", "-o", "user=etl", "--secret", "token")
    shown = [added, cli("clusters", "list"), cli("clusters", "list", "--json"), cli("clusters", "show", "big")]

    assert added.out == "Stored big. Try it: autoloader clusters test big\n"
    assert shown[2].answer["clusters"][0]["secret_names"] == ["token"]
    assert all(SECRET not in one.out + one.err for one in shown)
    assert SECRET.encode() not in (home / "autoloader.db").read_bytes()
    lines = dict(line.split(None, 1) for line in shown[3].out.splitlines())
    assert (lines["url"], lines["catalog"], lines["options"], lines["secrets"]) == (URL, "lake", "user=etl", "token")


def test_none_yet_says_how_to_make_one(cli):
    assert cli("clusters", "list").out == (
        "There is no cluster yet. Make one: autoloader clusters add NAME sc://host:port --catalog lake\n"
    )


def test_a_name_that_is_taken_needs_replace(cli):
    cli("clusters", "add", "big", URL, "--secret", f"token={SECRET}")

    assert cli("clusters", "add", "big", URL).err == (
        "Error: There is a cluster 'big' already.\n"
        "Next: Choose another name, or change that one, with all its options and secrets again: --replace.\n"
    )
    assert cli("clusters", "add", "big", "sc://other:1", "--replace").code == 0
    seen = cli("clusters", "show", "big", "--json").answer
    assert (seen["url"], seen["secret_names"]) == ("sc://other:1", [])


def test_removing_asks_and_then_it_is_gone(cli):
    cli("clusters", "add", "big", URL)

    assert cli("clusters", "remove", "big").err == "Error: Nobody is there to confirm it.\nNext: Give --yes.\n"
    assert cli("clusters", "remove", "big", "--yes").out == "Removed big.\n"
    assert cli("clusters", "test", "big").err == (
        "Error: There is no cluster 'big'.\nNext: See: autoloader clusters list\n"
    )


def test_who_removes_a_cluster_that_is_not_there_is_asked_nothing(cli):
    assert cli("clusters", "remove", "bgi").err == (
        "Error: There is no cluster 'bgi'.\nNext: See: autoloader clusters list\n"
    )


def test_a_load_may_name_the_cluster_of_its_large_batches(cli, landing):
    cli("clusters", "add", "big", URL, "--catalog", "lake")

    refused = cli("load", str(landing), "shop.orders", "--engine", "auto", "--format", "jsonl")
    named = cli("load", str(landing), "shop.orders", "--engine", "auto", "--cluster", "big", "--format", "jsonl")

    assert refused.err.endswith(
        "Next: Name one, as `cluster` (of load: --cluster NAME); see: autoloader clusters list\n"
    )
    assert named.err.startswith(
        "Error: The catalog local is in a file of this machine: the cluster big cannot use it.\n"
    )
    assert "by its name before the table's: lake.shop.orders. " in named.err
    assert "autoloader connections add lake catalog -o type=cluster -o cluster=big" in named.err
    cli("connections", "add", "lake", "catalog", "-o", "type=cluster", "-o", "cluster=big")
    again = cli("load", str(landing), "shop.orders", "--engine", "big", "--format", "jsonl")
    assert again.err.endswith("by its name before the table's: lake.shop.orders\n")


def test_a_cluster_without_an_engine_is_what_loads_and_the_ingestion_shows_it(cli, landing, tmp_path):
    cli("clusters", "add", "big", URL)
    cli("connections", "add", "lake", "catalog", "-o", "type=cluster", "-o", "cluster=big")
    cli("connections", "add", "both", "catalog", "-o", "type=rest", "-o", "uri=http://127.0.0.1:9")
    text = (
        f"name: {{name}}\nsource: {{{{url: {landing}}}}}\nformat: {{{{type: jsonl}}}}\n"
        "destination: {{table: {table}}}\ncluster: big\n"
    )
    (tmp_path / "one.yaml").write_text(text.format(name="one", table="lake.shop.orders"))
    (tmp_path / "two.yaml").write_text(text.format(name="two", table="both.shop.orders") + "engine: auto\n")

    here = cli("load", str(landing), "shop.orders", "--cluster", "big", "--format", "jsonl")
    applied = [cli("apply", "-f", file, "--yes") for file in ("one.yaml", "two.yaml")]
    shown = [cli("ingestions", "show", name).out for name in ("one", "two")]

    assert here.err.startswith("Error: The catalog local is in a file of this machine: the cluster big cannot use it.")
    assert [one.code for one in applied] == [0, 0]
    assert re.findall("^(engine|cluster) +(.+)$", "".join(shown), re.MULTILINE) == [
        ("engine", "big"),
        ("engine", "auto"),
        ("cluster", "big"),
    ]


def test_a_cluster_beside_another_engine_is_refused_with_the_ways_to_say_it(cli, landing, tmp_path):
    cli("clusters", "add", "big", URL)
    loaded = cli("load", str(landing), "shop.orders", "--engine", "embedded", "--cluster", "big", "--format", "jsonl")
    (tmp_path / "one.yaml").write_text(
        f"name: one\nsource: {{url: {landing}}}\nformat: {{type: jsonl}}\n"
        "destination: {table: shop.orders}\nengine: embedded\ncluster: big\n"
    )
    applied = cli("apply", "-f", "one.yaml", "--yes")

    said = "The engine is embedded, and the cluster big: only one of them can load."
    assert loaded.err.startswith(f"Error: {said}\nNext: Say one of them: engine: embedded (--engine), or cluster: big")
    assert applied.err.startswith(f"Error: one.yaml:6: cluster: t{said[1:]}\nNext: Say one of them")
    assert cli("ingestions", "list", "--json").answer == {"ingestions": []}


def test_the_test_of_a_clusters_catalog_says_what_was_opened_and_what_was_not_tried(cli, monkeypatch):
    cli("clusters", "add", "big", URL)
    cli("connections", "add", "lake", "catalog", "-o", "type=cluster", "-o", "cluster=big")
    monkeypatch.setattr(wiring, "opened_table", lambda *_: nullcontext(Mock()))

    assert cli("connections", "test", "lake").out.splitlines()[1] == (
        "open  ok     the cluster big opens its catalog lake; whether it can write there, and which stores it reads,"
        " was not tried: autoloader clusters test big"
    )


def test_a_catalog_of_a_cluster_that_is_not_there_is_refused_by_name(cli):
    options = ("-o", "type=cluster", "-o", "cluster=bgi")
    alone = cli("connections", "add", "lake", "catalog", *options)
    cli("clusters", "add", "big", URL)
    beside = cli("connections", "add", "lake", "catalog", *options)

    said = "Error: There is no cluster 'bgi' that could reach the catalog 'lake'.\nNext: "
    add = "dd it before: autoloader clusters add bgi sc://host:port --catalog lake\n"
    assert (alone.code, beside.code) == (1, 1)
    assert (alone.err, beside.err) == (f"{said}A{add}", f"{said}Name one that is there (big), or a{add}")
    assert cli("connections", "list", "--json").answer == {"connections": []}


def test_a_catalog_of_a_cluster_that_went_since_says_how_either_is_mended(cli, landing, home):
    with closing(Database(f"sqlite:///{home}/autoloader.db")) as database:
        database.upgrade()
        ConnectionService(database, settings_of(home)).put("lake", "catalog", {"type": "cluster", "cluster": "bgi"})

    refused = cli("load", str(landing), "lake.shop.orders", "--engine", "big", "--format", "jsonl")

    assert refused.err == (
        "Error: The catalog lake is reached by the cluster bgi alone, and there is no such cluster.\n"
        "Next: Add it: autoloader clusters add bgi sc://host:port --catalog lake; or name another: autoloader"
        " connections add lake catalog -o type=cluster -o cluster=NAME --replace\n"
    )


def test_a_connect_that_fails_names_the_cluster_to_try(cli, landing):
    (landing / "1.jsonl").write_text('{"id": 1}\n', encoding="utf-8")
    cli("clusters", "add", "big", "sc://127.0.0.1:9", "--catalog", "lake")
    cli("connections", "add", "lake", "catalog", "-o", "type=cluster", "-o", "cluster=big")

    failed = cli(
        "load", str(landing), "lake.shop.orders", "--engine", "big", "--schema", "id bigint", "--format", "jsonl"
    )

    assert failed.code == 1
    assert failed.err.endswith("autoloader clusters test big\n")


def test_a_cluster_that_is_away_ends_with_code_1(cli):
    cli("clusters", "add", "big", "sc://127.0.0.1:9")

    tried = cli("clusters", "test", "big")

    assert tried.code == 1
    assert re.search(
        r"^reach +broken +127\.0\.0\.1:9 cannot be reached: Connection refused\. Does the server run, .*\?$",
        tried.out,
        re.MULTILINE,
    )


@pytest.fixture
def served(home):
    with serving(settings_of(home, reconcile_in_api=False)) as found:
        yield found


def test_with_a_server_and_without_one_a_cluster_is_the_same(cli, served, spark_server):
    there = ("--server", served.url, "clusters")
    options = ("--catalog", spark_server.catalog, "-o", "max_sessions=2", "--secret", f"header.x-api-key={SECRET}")
    added = cli(*there, "add", "big", "sc://nowhere.invalid:1", "--replace")
    assert added.code == 0
    changed = cli(*there, "add", "big", spark_server.url, *options, "--replace", "--json")

    for command in (("list", "--json"), ("show", "big", "--json"), ("test", "big", "--read-only", "--json")):
        answer, here = cli(*there, *command), cli("--embedded", "clusters", *command)
        assert (answer.code, here.code) == (0, 0)
        assert _timeless(answer.out) == _timeless(here.out)
    assert changed.answer["secret_names"] == ["header.x-api-key"]
    assert cli(*there, "test", "big").code == 0
    assert cli(*there, "add", "big", URL).err == cli("--embedded", "clusters", "add", "big", URL).err
    unknown = cli(*there, "show", "small").err.replace(f" --server {served.url}", "")
    assert unknown == cli("--embedded", "clusters", "show", "small").err
    assert cli(*there, "remove", "big", "--yes", "--json").answer == {"name": "big", "removed": True}
    assert cli("--embedded", "clusters", "list", "--json").answer == {"clusters": []}


def _timeless(text):
    return re.sub(r"\d+ (ms|namespaces?)", r"\1", text)
