"""Parquet files made and parsed; the tests of other formats have a `load` of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.ingest.engines.sandbox import Sandbox
from tests.functional.ingest.parsing import Parsed, parse


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def run(data: dict[str, object], name: str = "a.parquet") -> Path:
        pq.write_table(pa.table(data), tmp_path / name)
        return tmp_path / name

    return run


@pytest.fixture
def load(sandbox: Sandbox, tmp_path: Path) -> Callable[..., Parsed]:
    def run(*paths: Path, schema: str, **changes: object) -> Parsed:
        return parse(sandbox, paths, schema, tmp_path, **{"format": "parquet", **changes})

    return run
