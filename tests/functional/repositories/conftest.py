"""A pipeline on each kind of database."""

from __future__ import annotations

import pytest

from app.database import Database
from tests.fakes.ledger import Pipeline


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    return Pipeline.new(database)
