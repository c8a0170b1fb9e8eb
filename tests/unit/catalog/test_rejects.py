"""Rejected records as messages name them."""

from __future__ import annotations

import pytest

from app.catalog.rejects import sample


@pytest.mark.parametrize(
    ("line", "byte_offset", "text"),
    [(3, 40, "line 3: malformed: no"), (None, 40, "byte 40: malformed: no"), (None, None, "malformed: no")],
)
def test_a_record_is_named_by_its_line_else_by_its_byte_and_without_a_place_where_none_is_known(
    line, byte_offset, text
):
    row = {"file_id": 7, "line": line, "byte_offset": byte_offset, "reason": "malformed", "raw": "no\r\n"}
    assert sample(row).text == text
