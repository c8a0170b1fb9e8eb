"""A catalog in PostgreSQL and tables in S3: the same promises as on one machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest

from app.catalog import rejects
from app.catalog.open import open_catalog
from app.catalog.table import Catalog
from app.datatypes import parse_schema
from app.errors import CatalogRefused, CatalogUnavailable, CommitConflict, CommitUnknown, FileMissing


@pytest.fixture
def options(s3, postgres) -> dict[str, str]:
    return {
        "uri": postgres.dsn,
        "warehouse": f"{s3.url}/ware house",
        "s3.endpoint": s3.endpoint,
        "s3.access-key-id": s3.options["access_key_id"],
        "s3.secret-access-key": s3.options["secret_access_key"],
        "s3.region": s3.options["region"],
    }


@pytest.fixture
def remote(options) -> Iterator[Catalog]:
    with open_catalog("prod", options) as opened:
        yield opened


def test_rows_written_to_s3_are_read_back(remote, writer, rows, s3):
    remote.create("db.t", parse_schema("id bigint, k string"), ["k"])
    table = remote.table("prod.db.t")
    writer.append(table, [{"id": n, "k": f"a/b{n % 3}"} for n in range(30)])
    assert [row["id"] for row in rows(table)] == list(range(30))
    keys = [item["Key"] for item in s3.s3_client.list_objects_v2(Bucket=s3.name)["Contents"]]
    assert len([key for key in keys if key.startswith("ware house/db/t/data/k=a%2Fb")]) == 3


def test_a_file_larger_than_one_chunk_arrives_whole(remote, writer, rows, monkeypatch):
    from app.catalog import files

    monkeypatch.setattr(files, "_CHUNK", 10_000)
    remote.create("db.t", parse_schema("id bigint, s string"))
    table = remote.table("db.t")
    writer.append(table, [{"id": n, "s": uuid4().hex} for n in range(5_000)])
    assert len(rows(table)) == 5_000


def test_small_files_are_written_read_and_removed(remote):
    look = remote.create("db.t", parse_schema("id bigint"))
    path = look.objects.path("autoloader/x.json.gz")
    look.objects.write(path, b"abc")
    look.objects.write(path, b"abcd")
    assert look.objects.read(path) == b"abcd"
    look.objects.remove([path, path])
    assert not look.objects.exists(path)
    with pytest.raises(FileMissing):
        look.objects.read(path)


def test_of_two_connections_that_commit_upon_one_look_one_wins(options, remote, writer, rows):
    remote.create("db.t", parse_schema("id bigint"))
    with open_catalog("prod", options) as other:
        tables = [remote.table("db.t"), other.table("db.t")]
        work = [(look := table.look(), writer.land(look, [{"id": n}])) for n, table in enumerate(tables)]
        gate = threading.Barrier(2)

        def commit(pair) -> bool:
            gate.wait()
            try:
                pair[0].append(pair[1], {})
            except CommitConflict:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            wins = list(pool.map(commit, work))
        assert wins.count(True) == 1
        assert [row["id"] for row in rows(tables[0])] == [wins.index(True)]


def test_a_connection_cut_while_it_commits_leaves_the_outcome_unknown(remote, writer, postgres):
    remote.create("db.t", parse_schema("id bigint"))
    table = remote.table("db.t")
    look = table.look()
    files = writer.land(look, [{"id": 1}])
    with psycopg.connect(postgres.dsn) as holder, psycopg.connect(postgres.dsn, autocommit=True) as admin:
        holder.execute("SELECT 1 FROM iceberg_tables WHERE table_name = 't' FOR UPDATE")
        with ThreadPoolExecutor(1) as pool:
            doomed = pool.submit(look.append, files, {})
            waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            while (found := admin.execute(waiting).fetchone()) is None and not doomed.done():
                pass
            assert found is not None
            admin.execute("SELECT pg_terminate_backend(%s)", found)
            with pytest.raises(CommitUnknown):
                doomed.result(60)
        holder.rollback()
    assert table.lineage().ancestors == ()
    assert len(table.look().append(files, {}).summary) > 1


@pytest.mark.parametrize("wrong", ["s3.secret-access-key", "s3.access-key-id"])
def test_wrong_credentials_are_told_and_not_taken_for_an_empty_table(options, remote, wrong):
    remote.create("db.t", parse_schema("id bigint"))
    with (
        open_catalog("prod", {**options, wrong: "wrong"}) as other,
        pytest.raises(CatalogRefused, match="Check the credentials"),
    ):
        other.table("db.t").look()


def test_a_storage_that_does_not_answer_is_unavailable(options, remote):
    remote.create("db.t", parse_schema("id bigint"))
    unreachable = {**options, "s3.endpoint": "http://127.0.0.1:1", "s3.connect-timeout": "1", "s3.request-timeout": "1"}
    with open_catalog("prod", unreachable) as other, pytest.raises(CatalogUnavailable):
        other.table("db.t").look()


def test_the_reject_table_lies_beside_its_table(remote):
    remote.create("db.t", parse_schema("id bigint"))
    look = rejects.ensure(remote, remote.table("db.t").name)
    assert str(look.name) == "prod.db.t__rejects"
    assert look.state.location.endswith("/db/t__rejects")
