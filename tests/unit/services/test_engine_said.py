from __future__ import annotations

import pytest
import yaml

from app.schemas.ingestion import IngestionShape
from app.services import engine_said
from app.services.apply_service import dumped, written_with_columns

NEEDED = {
    "name": "orders",
    "source": {"url": "/landing"},
    "format": {"type": "jsonl"},
    "destination": {"table": "lake.demo.orders"},
}
AUTO = {"engine": "auto", "cluster": "big"}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({}, ("embedded", None)),
        ({"cluster": "big"}, ("big", None)),
        ({"engine": "big"}, ("big", None)),
        ({"engine": "big", "cluster": "big"}, ("big", None)),
        (AUTO, ("auto", "big")),
        ({"engine": "auto"}, ("auto", None)),
    ],
)
def test_a_document_that_names_a_cluster_and_no_engine_is_loaded_by_the_cluster(said, meant):
    shape = engine_said.of_document(IngestionShape.model_validate({**NEEDED, **said}))
    assert (shape.engine, shape.cluster) == meant
    assert list(engine_said.contradictions(shape)) == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"engine": "embedded", "cluster": "big"}, "The engine is embedded, and the cluster big: only one of them"),
        ({"engine": "small", "cluster": "big"}, "The engine is small, and the cluster big: only one of them"),
        ({"cluster": "embedded"}, "'embedded' is the name of an engine, and of no cluster."),
        ({"engine": "auto", "cluster": "auto"}, "'auto' is the name of an engine, and of no cluster."),
    ],
)
def test_an_engine_and_a_cluster_that_cannot_both_load_contradict_each_other(said, told):
    shape = engine_said.of_document(IngestionShape.model_validate({**NEEDED, **said}))
    (text, hint) = next(engine_said.contradictions(shape))
    assert text.startswith(told)
    assert "--engine" in hint


@pytest.mark.parametrize(
    ("known", "given", "meant"),
    [
        ({"engine": "embedded"}, {"cluster": "big"}, {"engine": "big", "cluster": None}),
        ({"engine": "small"}, {"cluster": "big"}, {"engine": "big", "cluster": None}),
        (AUTO, {"cluster": "small"}, {"cluster": "small"}),
        (AUTO, {"engine": "embedded"}, {"engine": "embedded", "cluster": None}),
        (AUTO, {"engine": None}, {"engine": None, "cluster": None}),
        (AUTO, {"engine": None, "cluster": "small"}, {"engine": "small", "cluster": None}),
        (AUTO, {"paused": True}, {"paused": True}),
        (AUTO, {"cluster": None}, {"cluster": None}),
        ({"engine": "big"}, {"engine": "auto"}, {"engine": "auto"}),
        ({"engine": "big"}, {"engine": "embedded", "cluster": "big"}, {"engine": "embedded", "cluster": "big"}),
    ],
)
def test_a_change_takes_the_cluster_of_auto_for_the_one_of_its_large_batches_and_any_other_for_the_engine(
    known, given, meant
):
    assert engine_said.of_change(known, given) == meant


def test_a_cluster_that_was_stored_beside_another_engine_than_auto_is_not_there():
    assert engine_said.of_stored({"engine": "embedded", "cluster": "big"}) == {"engine": "embedded", "cluster": None}
    assert engine_said.of_stored(dict(AUTO)) == AUTO
    assert engine_said.of_stored({}) == {}


@pytest.mark.parametrize(("said", "cluster"), [({"cluster": "big"}, None), (AUTO, "big"), ({"engine": "big"}, None)])
def test_an_export_of_an_older_server_moves_no_ingestion_to_a_cluster_that_meant_nothing(said, cluster):
    text = dumped([written_with_columns(IngestionShape.model_validate({**NEEDED, **said}), None)])
    applied = engine_said.of_document(IngestionShape.model_validate(yaml.safe_load(text)))
    assert (applied.engine, applied.cluster) == (said.get("engine", "embedded"), cluster)
    assert "null" not in text
