from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from app.errors import SparkUnavailable
from app.spark import Endpoint, Session, SessionPool
from tests.services.spark.gate import gate
from tests.services.spark.killable import KillableSpark


@pytest.fixture
def pool() -> Iterator[SessionPool]:
    made = SessionPool(wait_seconds=0.2)
    yield made
    made.close()


@contextmanager
def lent(pool: SessionPool, endpoint: Endpoint, name: str, *, good: bool = True) -> Iterator[Session]:
    taken = pool.take(endpoint, name)
    try:
        yield taken
    finally:
        pool.give_back(taken, good=good)


def test_a_session_is_used_again_without_the_settings_of_before(pool, endpoint):
    with lent(pool, endpoint, "run 1") as first:
        first.set({"spark.wap.id": "b1"})
    with lent(pool, endpoint, "run 2") as second:
        assert second.id == first.id
        assert second.spark.conf.get("spark.wap.id", None) is None


def test_one_that_is_no_good_any_more_is_not_used_again(pool, endpoint):
    with lent(pool, endpoint, "run 1", good=False) as first:
        pass
    with lent(pool, endpoint, "run 2") as second:
        assert second.id != first.id


def test_two_users_never_have_one_session(pool, endpoint):
    with lent(pool, endpoint, "run 1") as first, lent(pool, endpoint, "run 2") as second:
        assert second.id != first.id


def test_no_more_than_its_bound_are_open_to_a_cluster(pool, endpoint):
    narrow = replace(endpoint, max_sessions=1)
    with lent(pool, narrow, "run 1"):
        told = pytest.raises(SparkUnavailable, match=r"All 1 sessions on .* are in use\. Try again, or give")
        with told as raised, lent(pool, narrow, "run 2"):
            pass
        assert raised.value.retryable
    with lent(pool, narrow, "run 3") as third:
        assert third.rows("SELECT 1 AS one")[0].one == 1


def test_who_waits_gets_the_one_that_is_given_back(endpoint):
    pool, narrow = SessionPool(wait_seconds=60), replace(endpoint, max_sessions=1)
    seen = []

    def wait():
        with lent(pool, narrow, "run 2") as second:
            seen.append(second.id)

    with lent(pool, narrow, "run 1") as first:
        waiting = threading.Thread(target=wait)
        waiting.start()
    waiting.join(60)
    pool.close()

    assert seen == [first.id]


def test_a_connection_that_fails_leaves_its_place_to_others(pool, endpoint):
    dead = replace(endpoint, port=9, max_sessions=1)
    for _ in range(2):
        with pytest.raises(SparkUnavailable, match="not reachable"), lent(pool, dead, "run 1"):
            pass


def test_the_server_sees_whose_operation_it_is(pool, spark_server, endpoint):
    with gate(spark_server.port) as watching:
        through = replace(endpoint, port=watching.port)
        for name in ("run 1", "run 2"):
            with lent(pool, through, name) as session:
                session.rows("SELECT 1")
        pool.close()

    assert session.spark.operator.userAgent.endswith("run 2")


@pytest.mark.kill
def test_a_session_that_the_server_has_lost_is_made_anew(pool, spark_server, endpoint, tmp_path):
    spark = KillableSpark(spark_server, tmp_path)
    spark.start()
    try:
        there = replace(endpoint, port=spark.server.port)
        with lent(pool, there, "run 1") as first:
            first.rows("SELECT 1")
        spark.kill()
        spark.start()
        with lent(pool, there, "run 2") as second:
            assert second.id != first.id
            assert second.rows("SELECT 1 AS one")[0].one == 1
    finally:
        spark.kill()
