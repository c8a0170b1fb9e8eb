"""Texts that no database holds come from files, and stop no run: names, sentences and examples with a NUL in them."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.config import get_settings
from app.errors import DatabaseError
from app.models import Connection
from tests.functional.cli.conftest import put


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(request, cli, monkeypatch):
    """The command, with its ledger on each kind of database in turn."""
    if request.param == "postgresql":
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("postgresql_database").url)
        get_settings.cache_clear()
    return cli


def parquet(columns):
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def loaded(anywhere, landing):
    """State, reason and error of each file after one run, and the table's rows without the row columns."""
    ran = anywhere("load", str(landing), "shop.orders", "--json")
    files = anywhere("files", "list", "--json").answer["files"]
    rows = anywhere("table", "head", "shop.orders", "--json").answer["rows"]
    kept = [{name: value for name, value in row.items() if not name.startswith(("_f", "_s", "_i"))} for row in rows]
    return ran, {file["path"].rpartition("/")[2]: file for file in files}, kept


def test_a_sentence_with_a_nul_is_stored_with_its_escape(anywhere, landing):
    put(landing, "a.parquet", parquet({"id": [1, 2]}))
    loaded(anywhere, landing)
    put(landing, "b.parquet", parquet({"x\0y": [1, 2]}))
    put(landing, "c.parquet", parquet({"id": [3]}))

    ran, files, rows = loaded(anywhere, landing)

    assert ran.code == 3, ran.err
    assert (files["b.parquet"]["state"], files["b.parquet"]["reason"]) == ("QUARANTINED", "not-this-format")
    assert files["b.parquet"]["error"].endswith("b.parquet has none of the table's columns; it has: x\\x00y.")
    assert sorted(row["id"] for row in rows) == [1, 2, 3]


def test_a_column_of_parquet_that_cannot_be_named_is_rescued(anywhere, landing):
    rows = [{"a": 1, "q\0": 2}]
    put(landing, "a.parquet", parquet({"x\0y": [1], "z": [3], "s": rows}))

    _, files, first = loaded(anywhere, landing)
    put(landing, "b.parquet", parquet({"x\0z": [1], "z": [3], "s": rows, "list": [rows]}))
    _, more, second = loaded(anywhere, landing)

    assert files["a.parquet"]["state"] == more["b.parquet"]["state"] == "SUCCESS"
    assert [(row["z"], row["s"]) for row in first] == [(3, {"a": 1})]
    assert [json.loads(row["_rescued_data"]) for row in first] == [{"x\0y": 1, "s.q\0": 2}]
    assert {"x\0z": 1, "s.q\0": 2, "list": rows} in [json.loads(row["_rescued_data"]) for row in second]
    assert set(second[0]) == {"z", "s", "list", "_rescued_data"}


def test_a_column_of_csv_that_cannot_be_named_is_rescued(anywhere, landing):
    put(landing, "a.csv", 'a,"x\ny\0z",c\n1,2,3\n')

    _, files, first = loaded(anywhere, landing)
    put(landing, "b.csv", 'a,"x\ny\0q",c\n4,5,6\n')
    _, more, second = loaded(anywhere, landing)

    assert files["a.csv"]["state"] == more["b.csv"]["state"] == "SUCCESS"
    assert first == [{"a": 1, "c": 3, "_rescued_data": '{"x\\ny\\u0000z":"2"}'}]
    assert {"a": 4, "c": 6, "_rescued_data": '{"x\\ny\\u0000q":"5"}'} in second


def test_keys_of_json_that_cannot_be_named_make_no_column(anywhere, landing):
    put(landing, "a.jsonl", '{"a": 1, "x\\u0000y": 2, "s": {"b": 1, "\\u0000": 1}}\n{"a": 2, "\\ud800": 3}\n')

    ran, files, rows = loaded(anywhere, landing)

    assert ran.code == 0, ran.err
    assert files["a.jsonl"]["state"] == "SUCCESS"
    assert [set(row) for row in rows[:1]] == [{"a", "s", "_rescued_data"}]


def test_an_example_with_a_nul_stands_in_the_evidence(anywhere, landing):
    put(landing, "a.jsonl", '{"a": "x\\u0000y"}\n')

    loaded(anywhere, landing)
    (shown,) = anywhere("ingestions", "list", "--json").answer["ingestions"]

    assert [seen["example"] for seen in shown["schema_evidence"]] == ['"x\\u0000y"']


def test_a_value_that_the_database_refuses_is_told_without_the_statement(postgresql_database):
    now = datetime.now(UTC)

    with pytest.raises(DatabaseError, match="NUL") as caught, postgresql_database.session_scope() as session:
        session.add(Connection(id=uuid4(), name="a\0b", kind="s3", options={}, created_at=now, updated_at=now))

    assert "INSERT" not in str(caught.value)
