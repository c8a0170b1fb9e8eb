from __future__ import annotations

import pytest

from app.config import GIB, Settings
from app.schemas.ingestion import IngestionShape
from app.services.deployment_spec import work_queue
from app.services.engine_rule import Choice, Rule


def shape(**given):
    needed = {
        "name": "orders",
        "source": {"url": "/landing"},
        "format": {"type": "jsonl"},
        "destination": {"table": "lake.demo.orders"},
    }
    return IngestionShape.model_validate({**needed, **given})


def settings(**given):
    return Settings(_env_file=None, **given)


AUTO = {"engine": "auto", "cluster": "big"}


@pytest.mark.parametrize("engine", ["embedded", "big"])
def test_without_auto_every_batch_goes_to_the_engine_that_is_named(engine):
    rule = Rule.of(shape(engine=engine, cluster="other"), settings())
    assert rule.engines == (engine,)
    assert {rule.choose(*size) for size in ((1, 1), (10**6, 10**13))} == {Choice(engine, f"engine: {engine}")}


@pytest.mark.parametrize(
    ("files", "size", "engine", "why"),
    [
        (10, 1000, "embedded", "at most 10 files and 1,000 bytes"),
        (11, 1000, "big", "more than 10 files"),
        (10, 1001, "big", "more than 1,000 bytes"),
    ],
)
def test_with_auto_the_size_of_a_batch_says_who_takes_it(files, size, engine, why):
    by_settings = Rule.of(shape(**AUTO), settings(embedded_max_files=10, embedded_max_bytes=1000))
    own = {"embedded_max_files": 10, "embedded_max_bytes": 1000}
    for rule in (by_settings, Rule.of(shape(**AUTO, policies=own), settings())):
        assert rule.engines == ("embedded", "big")
        assert rule.choose(files, size) == Choice(engine, why)


@pytest.mark.parametrize(
    ("given", "queue"),
    [
        ({}, "default"),
        ({"policies": {"batch_max_bytes": 4 * GIB}}, "default"),
        ({"policies": {"batch_max_bytes": 4 * GIB + 1}}, "high_memory"),
        ({"policies": {"batch_max_bytes": 8 * GIB}, "engine": "big"}, "default"),
        ({"policies": {"batch_max_bytes": 8 * GIB}, **AUTO}, "default"),
        ({"policies": {"batch_max_bytes": 8 * GIB, "embedded_max_bytes": 6 * GIB}, **AUTO}, "high_memory"),
        ({"policies": {"batch_max_bytes": 8 * GIB}, "work_queue": "default"}, "default"),
        ({"work_queue": "high_memory"}, "high_memory"),
    ],
)
def test_the_queue_follows_the_largest_batch_that_is_loaded_embedded_unless_it_is_chosen(given, queue):
    assert work_queue(shape(**given), settings()) == queue
