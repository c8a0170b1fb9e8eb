from __future__ import annotations

import io
import re
from contextlib import closing
from uuid import uuid4

import pytest

from app.config import get_settings
from app.database import Database
from app.models import Connection
from app.repositories import connections
from tests.fakes.ledger import NOON
from tests.functional.cli.conftest import put, rows

SECRET = "very-secret-value-4711"


def test_a_secret_is_read_from_standard_input_and_never_shown(cli, home, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n"))

    added = cli("connections", "add", "store", "s3", "-o", "access_key_id=AK", "--secret", "secret_access_key")
    shown = [added, cli("connections", "list"), cli("connections", "list", "--json")]

    assert added.code == 0
    assert added.out == "Stored store. Try it: autoloader connections test store s3://bucket/prefix\n"
    assert shown[2].answer["connections"][0]["secret_names"] == ["secret_access_key"]
    assert all(SECRET not in one.out + one.err for one in shown)
    assert SECRET.encode() not in (home / "autoloader.db").read_bytes()


def test_what_is_called_a_secret_is_one_whatever_its_name(cli):
    cli("connections", "add", "store", "s3", "--secret", f"region={SECRET}")

    (view,) = cli("connections", "list", "--json").answer["connections"]

    assert (view["options"], view["secret_names"]) == ({}, ["region"])


def test_a_secret_without_a_value_is_refused(cli, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    assert cli("connections", "add", "store", "s3", "--secret", "token").err == (
        "Error: The secret 'token' has no value.\n"
        "Next: Type it when asked, or send it on standard input: --secret token\n"
    )


def test_an_option_without_a_value_does_not_show_what_may_be_a_secret(cli):
    ran = cli("connections", "add", "store", "s3", "-o", "region")

    assert ran.err == "Error: 'region' is not KEY=VALUE.\nNext: Write for example region=eu-central-1.\n"


def test_a_name_that_is_taken_needs_replace(cli):
    cli("connections", "add", "store", "s3")

    assert cli("connections", "add", "store", "s3").err == (
        "Error: There is a connection 'store' already.\nNext: Use --replace to change it.\n"
    )
    assert cli("connections", "add", "store", "s3", "--replace").code == 0


def test_the_name_of_the_machines_own_catalog_is_not_given_away(cli):
    ran = cli("connections", "add", "local", "catalog", "-o", "type=rest", "-o", "uri=http://127.0.0.1:1")

    assert (ran.code, cli("doctor").code) == (1, 0)
    assert ran.err == (
        "Error: 'local' is the catalog of this machine; no connection can have its name.\n"
        "Next: Choose another name for the connection.\n"
    )


def test_a_ledger_in_which_a_connection_took_that_name_works(cli, landing):
    put(landing, "a.jsonl", rows(0, 1))
    with closing(Database(get_settings().database_address)) as database:
        connection = Connection(id=uuid4(), name="local", kind="catalog", options={}, created_at=NOON, updated_at=NOON)
        with database.session_scope() as session:
            connections.add(session, connection)

    assert cli("load", "landing", "shop.orders").code == 0
    assert cli("connections", "remove", "local", "--yes").code == 0


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["s3", "-o", "regoin=x"], "Unknown option for s3: regoin.", "Known: access_key_id, "),
        (["s3", "-o", "region="], "The option region has no value.", "Write region=VALUE, or leave it out."),
        (["s3", "-o", "access_key_id=a"], "The connection has access_key_id but no secret_access_key.", "Give both"),
        (["catalog"], "Catalog 'lake' has no type.", "Set `type` to one of sql, rest, glue, hive"),
        (["catalog", "-o", "type=rest"], "Catalog 'lake' of the type rest needs uri.", "Add -o uri=…"),
    ],
)
def test_options_that_cannot_work_are_told_when_they_are_given(cli, arguments, message, hint):
    ran = cli("connections", "add", "lake", *arguments)

    assert ran.code == 1
    assert ran.err.startswith(f"Error: {message}\nNext: {hint}")
    assert cli("connections", "list", "--json").answer == {"connections": []}


def test_a_secret_that_cannot_be_read_hides_no_other_connection(cli, home):
    cli("connections", "add", "bad", "s3", "-o", "access_key_id=AK", "--secret", "secret_access_key=abcd")
    (home / "secret.key").unlink()
    cli("connections", "add", "good", "s3", "-o", "access_key_id=AK", "--secret", "secret_access_key=abcd")
    cli("connections", "add", "open", "s3", "-o", "region=x")

    listed = cli("connections", "list")
    views = {view["name"]: view for view in cli("connections", "list", "--json").answer["connections"]}
    checks = {check["name"]: check for check in cli("doctor", "--json").answer["checks"]}

    assert listed.code == 0
    assert re.search(r"^bad +s3 +\S+ +cannot be read ", listed.out, re.MULTILINE)
    assert "another key" in listed.out.splitlines()[-1]
    assert {name: view["secret_names"] for name, view in views.items()} == {
        "bad": [],
        "good": ["secret_access_key"],
        "open": [],
    }
    assert (views["good"]["unreadable"], checks["connection bad"]["state"]) == ("", "broken")


def test_a_connection_that_is_used_is_not_removed(cli, s3):
    options = [f"-o{key}={value}" for key, value in s3.options.items()]
    cli("connections", "add", "store", "s3", *options)
    cli("load", f"{s3.url}/in", "shop.orders", "--connection", "store", "--format", "csv")

    used = cli("connections", "remove", "store", "--yes")
    cli("ingestions", "delete", "shop.orders", "--yes")

    assert used.err == (
        "Error: Connection 'store' is used by shop.orders.\nNext: Change or delete these ingestions first.\n"
    )
    assert cli("connections", "remove", "store", "--yes").out == "Removed store.\n"


def test_a_connection_is_tried_step_by_step(cli, s3):
    options = [f"-o{key}={value}" for key, value in s3.options.items()]
    cli("connections", "add", "good", "s3", *options)
    wrong = [option.replace(s3.options["secret_access_key"], SECRET) for option in options]
    cli("connections", "add", "wrong", "s3", *wrong)

    good, bad = cli("connections", "test", "good", s3.url, "--json"), cli("connections", "test", "wrong", s3.url)

    assert (good.code, good.answer["ok"]) == (0, True)
    assert [step["name"] for step in good.answer["steps"]] == ["open", "list", "read"]
    assert bad.code == 1
    assert "broken" in bad.out
    assert SECRET not in bad.out + bad.err


def test_nobody_says_where_to_try_a_connection(cli):
    cli("connections", "add", "store", "s3")

    assert cli("connections", "test", "store").err == (
        "Error: Connection 'store' is not used by an ingestion yet: say which address to try.\n"
        "Next: For example: autoloader connections test store s3://bucket/prefix\n"
    )


def test_files_of_an_object_store_are_loaded_and_found(cli, s3):
    cli("connections", "add", "store", "s3", *[f"-o{key}={value}" for key, value in s3.options.items()])
    s3.put("in/a b%20c.jsonl", rows(0, 5).encode())

    ran = cli("load", f"{s3.url}/in", "shop.orders", "--connection", "store", "--json")
    (file,) = cli("files", "show", "a b%20c.jsonl", "--json").answer["files"]

    assert (ran.code, ran.answer["metrics"]["rows"]) == (0, 5), ran.out
    assert (file["state"], file["path"]) == ("SUCCESS", f"{s3.url}/in/a b%20c.jsonl")


def test_a_missing_bucket_is_told(cli, s3):
    cli("connections", "add", "store", "s3", *[f"-o{key}={value}" for key, value in s3.options.items()])

    ran = cli(
        "load", "s3://there-is-no-such-bucket/in", "shop.orders", "--connection", "store", "--format", "csv", "--json"
    )

    assert (ran.code, ran.answer["error"]) == (1, "source-not-found")


def test_a_connection_of_another_kind_than_the_source_is_told_as_such(cli, landing):
    cli("connections", "add", "lake", "s3", "-o", "region=us-east-1")

    folder = cli("load", "landing", "shop.orders", "--connection", "lake")
    bucket = cli("load", "gs://bucket/x", "shop.orders", "--connection", "lake", "--format", "csv")

    assert folder.err == (
        f"Error: The connection 'lake' is of the kind s3, and {landing} is a folder, which needs no connection.\n"
        "Next: Leave the connection out.\n"
    )
    assert bucket.err == (
        "Error: The connection 'lake' is of the kind s3, and gs://bucket/x is gs.\n"
        "Next: Name a connection of the kind gs.\n"
    )


# --- catalogs --------------------------------------------------------------------------------


def test_of_a_catalog_that_is_down_the_address_to_look_at_is_told_and_not_the_command_once_more(cli):
    cli("connections", "add", "prod", "catalog", "-o", "type=rest", "-o", "uri=http://127.0.0.1:1/iceberg")

    ran = cli("connections", "test", "prod", "--json")

    (step,) = ran.answer["steps"]
    assert (ran.code, step["ok"]) == (1, False)
    assert step["detail"] == (
        "The catalog did not answer (catalog prod): 127.0.0.1:1: Connection refused."
        " See that a server runs at the address it was given, http://127.0.0.1:1/iceberg,"
        " and can be reached from this machine."
    )


def test_the_address_of_a_catalog_with_a_password_in_it_is_not_told(cli):
    address = f"postgresql://me:{SECRET}@127.0.0.1:1/db"
    cli("connections", "add", "prod", "catalog", "-o", "type=sql", "-o", f"uri={address}", "-o", "warehouse=/tmp/w")

    told = cli("connections", "test", "prod").out

    assert "which is kept as a secret" in told
    assert SECRET not in told
    assert "connections test" not in told


def test_an_address_beside_a_catalog_is_refused_and_not_passed_over(cli):
    cli("connections", "add", "prod", "catalog", "-o", "type=rest", "-o", "uri=http://127.0.0.1:1")

    assert cli("connections", "test", "prod", "file:///x").err == (
        "Error: Connection 'prod' is a catalog: it is tried where its options say, not at file:///x.\n"
        "Next: Leave the address out: autoloader connections test prod\n"
    )
