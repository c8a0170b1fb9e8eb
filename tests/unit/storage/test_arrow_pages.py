"""The library's pages as columns of ours."""

from __future__ import annotations

import pyarrow as pa
import pytest

from app.storage.arrow_pages import to_objects

_SECOND = 1_700_000_000


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_moments_are_microseconds_in_whatever_unit_the_library_gives_them(unit):
    each = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    page = pa.record_batch(
        {
            "path": ["a", "b"],
            "size": [1, 22],
            "e_tag": ['"x"', None],
            "last_modified": pa.array([_SECOND * each, (_SECOND + 1) * each], pa.timestamp(unit, "UTC")),
        }
    )
    found = to_objects(page, "s3://bucket/")
    assert found.paths == ["s3://bucket/a", "s3://bucket/b"]
    assert found.versions == ["x", f"22-{_SECOND + 1}"]
    assert found.times == [_SECOND * 10**6, (_SECOND + 1) * 10**6]
