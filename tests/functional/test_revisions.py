from __future__ import annotations

import pytest
from sqlalchemy import inspect, text

from app.database import make_engine, migrate, upgrade
from app.models import Base
from tests.fakes.ledger import add_ingestion

PREFECT_COLUMNS = {"prefect_deployment_id", "prefect_flow_id"}
PREFECT_INDEX = "ix_ingestions_prefect_deployment_id"


@pytest.fixture
def engine(empty_url):
    made = make_engine(empty_url)
    yield made
    made.dispose()


def index_shape(index) -> str:
    options = {key: str(value) for key, value in index.get("dialect_options", {}).items() if key.endswith("_where")}
    return f"{index['name']} {index['column_names']} {bool(index['unique'])} {sorted(options.items())}"


def shape(engine) -> dict[str, tuple]:
    """Columns, indexes, unique constraints and foreign keys of every table, as the database tells them."""
    found = inspect(engine)
    return {
        name: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)],
            sorted(index_shape(index) for index in found.get_indexes(name)),
            sorted(str(u["column_names"]) for u in found.get_unique_constraints(name)),
            sorted((str(f["constrained_columns"]), f["referred_table"]) for f in found.get_foreign_keys(name)),
        )
        for name in set(found.get_table_names()) - {"alembic_version"}
    }


def test_down_to_nothing_and_up_again_ends_with_the_same_columns_keys_and_indexes(empty_url, engine):
    upgrade(empty_url)
    first = shape(engine)
    assert set(first) == set(Base.metadata.tables)

    migrate(empty_url, "base")
    assert shape(engine) == {}

    upgrade(empty_url)
    assert shape(engine) == first


def test_the_partial_indexes_have_the_predicates_of_the_models(empty_url, engine):
    """Autogenerate does not compare predicates, and a query that does not repeat them does not use the index."""
    upgrade(empty_url)
    key = f"{engine.dialect.name}_where"
    partial = 0
    for name, table in Base.metadata.tables.items():
        made = {i["name"]: i.get("dialect_options", {}).get(key) for i in inspect(engine).get_indexes(name)}
        for index in table.indexes:
            wanted = index.dialect_options[engine.dialect.name]["where"]
            partial += wanted is not None
            assert (made[index.name] is None) == (wanted is None), index.name
            if wanted is not None and engine.dialect.name == "sqlite":
                assert str(made[index.name]) == str(wanted)
    assert partial


def test_revision_0002_adds_the_two_prefect_columns_and_their_index_and_nothing_else(empty_url, engine):
    migrate(empty_url, "0001")
    before = shape(engine)
    migrate(empty_url, "0002")
    after = shape(engine)

    assert {name for name in after if after[name] != before[name]} == {"ingestions"}
    columns, indexes, *_ = after["ingestions"]
    assert {c[0] for c in columns} - {c[0] for c in before["ingestions"][0]} == PREFECT_COLUMNS
    assert [i for i in indexes if i not in before["ingestions"][1]] == [
        f"{PREFECT_INDEX} ['prefect_deployment_id'] False []"
    ]
    assert all(c[2] for c in columns if c[0] in PREFECT_COLUMNS), "they are empty until Prefect knows the ingestion"

    migrate(empty_url, "0001")
    assert shape(engine) == before


def test_going_back_to_0001_and_up_again_keeps_the_ingestions(empty_url, engine):
    upgrade(empty_url)
    made = add_ingestion(engine)
    migrate(empty_url, "0001")
    upgrade(empty_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM ingestions")).scalars().all() == [made.name]
