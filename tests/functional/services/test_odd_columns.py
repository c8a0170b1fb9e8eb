"""Columns that are named like our own, and times that Python has no value for: loaded all the same."""

from __future__ import annotations

import json

import pytest

from app.catalog.open import local_options, open_catalog
from app.config import Settings
from app.database import Database
from app.datatypes import parse_schema
from app.errors import CatalogError
from app.services.batch_orchestrator import BatchOrchestrator
from app.services.load_service import LoadService
from app.services.table_service import TableService


@pytest.fixture
def place(tmp_path):
    """Loads files of JSON lines into a table of its own, and reads it."""
    settings = Settings(_env_file=None, autoloader_home=tmp_path / "home", min_age_seconds=0, parser_threads=1)
    database = Database(settings.database_address)
    database.upgrade()
    yield Place(settings, database, tmp_path)
    database.close()


class Place:
    def __init__(self, settings, database, folder):
        self.settings, self.database, self.folder = settings, database, folder

    def load(self, table="t.rows", shape=None, **files):
        source = self.folder / table
        source.mkdir(exist_ok=True)
        for name, records in files.items():
            text = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in records)
            (source / f"{name}.jsonl").write_text(text)
        info = LoadService(self.database, self.settings).prepare(str(source), table, shape or {}).ingestion
        return BatchOrchestrator(self.database, self.settings).run_ingestion(info)

    def count(self, table="t.rows"):
        found = TableService(self.database, self.settings).sql(table, f"SELECT count(*) FROM {table.split('.')[1]}")
        return found.rows[0][0]


@pytest.mark.parametrize(
    "name", ["__autoloader_file", "__autoloader_reject", "__autoloader_rescued", "path", "PATH", "file_id", "rowid"]
)
def test_a_column_may_have_any_name(place, name):
    first = place.load(one=[{"a": 1, name: 7}], two=[{"a": 2}])
    second = place.load(three=[{"a": 3}], four=[{"a": 4, name: 8}])

    assert (first.state, first.metrics["rows"], first.metrics["rejected"]) == ("SUCCESS", 2, 0)
    assert (second.state, second.metrics["rows"], second.metrics["rejected"]) == ("SUCCESS", 2, 0)
    assert place.count() == 4


@pytest.mark.parametrize("value", ["x" * 300, "ü" * 200, "%/ " * 90, "x" * 2000])
def test_a_partition_may_be_longer_than_a_folder_s_name(place, value):
    shape = {"destination": {"table": "t.rows", "partition_by": ["city"]}}
    done = place.load(shape=shape, one=[{"city": value, "n": 1}, {"city": "Ulm", "n": 2}])

    assert (done.state, done.metrics["rows"]) == ("SUCCESS", 2)
    found = TableService(place.database, place.settings).sql("t.rows", "SELECT city, n FROM rows ORDER BY n")
    assert [tuple(row) for row in found.rows] == [(value, 1), ("Ulm", 2)]


def test_a_time_outside_of_python_s_years_stops_nobody(place):
    place.load(one=[{"n": 0, "d": "2024-01-01T00:00:00"}])

    summary = place.load(two=[{"n": 1, "d": "2024-01-01T00:00:00"}], three=[{"n": 2, "d": "0000-01-01T00:00:00"}])

    assert (summary.state, summary.metrics["files"]["loaded"]) == ("SUCCESS", 2)
    assert place.count() == 3


def test_rejects_do_not_go_into_a_table_of_somebody_else(place):
    with open_catalog("local", local_options(place.settings.home)) as catalog:
        catalog.create("t.rows__rejects", parse_schema("z bigint"))

    with pytest.raises(CatalogError, match="is no reject table"):
        place.load("t.rows", one=[{"x": 1}, "bad"])

    assert place.count("t.rows__rejects") == 0
