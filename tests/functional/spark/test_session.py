"""One session on a real server: what it answers, what it forgets, how it ends."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from app.errors import SparkError, SparkInterrupted, SparkSessionLost, SparkUnavailable
from app.spark import connect, endpoint_of, identifier, interrupt, literal
from tests.services.spark.killable import KillableSpark
from tests.services.spark.server import CACHED

LONG = "SELECT count(*) AS n FROM range(1000000000000) WHERE id % 7 = 3"
ODD = [
    "it's",
    "back\\slash \\u0041",
    "${env:PATH} ${spark.app.name}",
    "new\nline\ttab \x00 \x1a \x7f",
    "ümlaut 日本 😀",
    '100% _ ` "',
]


@pytest.mark.parametrize("text", ODD)
def test_a_text_arrives_as_it_was_written(session, text):
    assert session.rows(f"SELECT {literal(text)} AS it")[0].it == text


@pytest.mark.parametrize("name", ["a b", "a`b", "a.b", "${spark.app.name}", "日本", "new\nline"])
def test_a_name_is_one_name(session, name):
    assert session.spark.sql(f"SELECT 1 AS {identifier(name)}").columns == [name]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (2**31, "bigint"),
        (-(2**63), "decimal(19,0)"),
        (0.1, "double"),
        (float("-inf"), "double"),
        (Decimal("1.10"), "decimal(3,2)"),
        (b"\x00\xff", "binary"),
        (date(1, 1, 1), "date"),
        (datetime(2026, 1, 2, 3, 4, 5, 678), "timestamp_ntz"),  # noqa: DTZ001 - without a zone
        (None, "void"),
        (True, "boolean"),
    ],
)
def test_a_value_arrives_as_it_was_written(session, value, kind):
    (row,) = session.rows(f"SELECT {literal(value)} AS it, typeof({literal(value)}) AS kind")

    assert (row.it, row.kind) == (value, kind)


def test_a_moment_is_the_same_whatever_the_zone(session):
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)

    (row,) = session.rows(f"SELECT unix_micros({literal(moment)}) AS micros")

    assert row.micros == int(moment.timestamp()) * 1_000_000 + 678


def test_another_connection_can_end_an_operation_by_its_tag(session, endpoint):
    ended = []

    def work():
        with session.tagged("run-1", "batch-2"):
            try:
                session.rows(LONG)
            except SparkInterrupted as error:
                ended.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    until = time.monotonic() + 180
    while not interrupt(endpoint, session.id, session.user, "batch-2"):
        assert time.monotonic() < until
        assert worker.is_alive()
    worker.join(60)

    assert str(ended[0]) == (
        f"An operation on {endpoint} was interrupted. The run was cancelled, or its successor took over."
    )
    assert session.rows("SELECT 1 AS one")[0].one == 1  # the session lives on


def test_what_takes_too_long_is_ended_and_the_session_lives_on(session, endpoint):
    with pytest.raises(SparkUnavailable) as raised, session.within(0.5):
        session.rows(LONG)

    assert raised.value.message == f"{endpoint} did not come to an end within 0.5 s, and was interrupted."
    assert session.rows("SELECT 1 AS one")[0].one == 1


def test_what_ends_in_time_is_not_touched(session):
    with session.within(600):
        assert session.rows("SELECT 1 AS one")[0].one == 1

    assert session.spark.getTags() == set()


@pytest.mark.kill
def test_the_operation_of_a_process_that_was_killed_goes_on_until_somebody_ends_it(endpoint, tmp_path):
    told = tmp_path / "session"
    code = (
        "import sys; from app.spark import connect, endpoint_of\n"
        "session = connect(endpoint_of(sys.argv[1], {}))\n"
        "open(sys.argv[2], 'w').write(session.id)\n"
        "with session.tagged('batch-9'): session.rows(sys.argv[3])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(endpoint), str(told), LONG], cwd=Path(__file__).parents[3]
    ) as child:
        until = time.monotonic() + 180
        while not told.exists() or not told.read_text():
            assert time.monotonic() < until
            assert child.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)  # so that it is likely within its operation; the test holds either way
        child.kill()
    while not interrupt(endpoint, told.read_text(), endpoint.user, "batch-9"):
        assert time.monotonic() < until, "nothing ran"

    assert interrupt(endpoint, told.read_text(), endpoint.user, "batch-9") == []


def test_reset_takes_back_what_was_set(session):
    before = session.spark.conf.get("spark.sql.shuffle.partitions")
    session.set({"spark.wap.id": "b1", "spark.sql.shuffle.partitions": "7"})

    session.reset()

    assert session.spark.conf.get("spark.wap.id", None) is None
    assert session.spark.conf.get("spark.sql.shuffle.partitions") == before


def test_reset_takes_back_only_what_it_is_told_and_leaves_what_was_never_set(spark_server, opened):
    session = opened(endpoint_of(spark_server.url, {"conf.spark.sql.shuffle.partitions": "5"}))
    session.set({"spark.wap.id": "b1"})

    session.reset("spark.sql.shuffle.partitions")
    assert session.spark.conf.get("spark.sql.shuffle.partitions") == "5"

    session.set({"spark.sql.shuffle.partitions": "7"})
    session.reset("spark.sql.shuffle.partitions")
    assert session.spark.conf.get("spark.sql.shuffle.partitions") == "5"
    assert session.spark.conf.get("spark.wap.id") == "b1"


def test_settings_of_the_cluster_are_in_every_session(spark_server, opened):
    session = opened(endpoint_of(spark_server.url, {"conf.spark.sql.shuffle.partitions": "5"}))

    assert session.spark.conf.get("spark.sql.shuffle.partitions") == "5"


def test_a_table_is_read_fresh_though_the_servers_catalog_keeps_tables(spark_server, opened):
    endpoint = endpoint_of(spark_server.url, {}, catalog=CACHED)
    ours, other = opened(endpoint), opened(endpoint)
    careless = opened(endpoint_of(spark_server.url, {}))
    table = f"{CACHED}.{spark_server.namespace}.t"
    ours.rows(f"CREATE NAMESPACE {CACHED}.{spark_server.namespace}")
    ours.rows(f"CREATE TABLE {table} (id INT)")
    empty = [one.rows(f"SELECT * FROM {table}") for one in (ours, careless)]

    other.rows(f"INSERT INTO {table} VALUES (1)")

    assert empty == [[], []]
    assert len(ours.rows(f"SELECT * FROM {table}")) == 1
    assert careless.rows(f"SELECT * FROM {table}") == []  # what the setting is for


@pytest.mark.kill
def test_a_server_that_was_started_anew_cannot_take_a_write_that_counts_on_the_session(spark_server, opened, tmp_path):
    """It makes a session of that id, without `spark.wap.id`, for the first call that comes."""
    spark = KillableSpark(spark_server, tmp_path)
    spark.start()
    try:
        endpoint = endpoint_of(spark.server.url, {}, catalog=spark.server.catalog)
        session = opened(endpoint)
        table = spark.server.table("t")
        session.rows(f"CREATE NAMESPACE {spark.server.catalog}.{spark.server.namespace}")
        session.rows(f"CREATE TABLE {table} (id INT) TBLPROPERTIES ('write.wap.enabled' = 'true')")
        session.set({"spark.wap.id": "batch-1"})
        session.require()

        spark.kill()
        spark.start()

        with suppress(SparkError):  # what the first call meets, the client does not always tell
            session.rows("SELECT 1")
        # From now on the session is there again, without its settings.
        with pytest.raises(SparkSessionLost, match="was started anew"):
            session.rows(f"INSERT INTO {table} SELECT alive FROM {identifier(session.guard)}")
        with pytest.raises(SparkSessionLost, match="was started anew"):
            session.require()
        unguarded = opened(endpoint, session_id=session.id)
        unguarded.rows(f"INSERT INTO {table} VALUES (1)")
        assert [row.id for row in unguarded.rows(f"SELECT id FROM {table}")] == [1]  # in main, which the guard is for
    finally:
        spark.kill()


def test_closing_a_session_ends_no_other_ones_work(session, endpoint):
    other = connect(endpoint)
    rows = session.spark.sql("SELECT id FROM range(0, 400000, 1, 8)").toLocalIterator()
    first = next(iter(rows))

    other.close()

    assert first.id == 0
    assert sum(1 for _ in rows) + 1 == 400_000
