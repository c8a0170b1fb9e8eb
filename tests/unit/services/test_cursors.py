from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.services import cursors

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "key", "kinds"),
    [
        ("päth/%2F", 7, (str, int)),
        (NOON, uuid4(), (datetime, UUID)),
        ("x", uuid4(), (str, UUID)),
        (5, -(2**63), (int, int)),
    ],
)
def test_what_goes_in_comes_out(value, key, kinds):
    assert cursors.decode(cursors.encode("list", value, key), "list", *kinds) == (value, key)


def test_a_cursor_of_another_list_is_refused():
    cursor = cursors.encode(("list", "a"), "x", 1)
    with pytest.raises(InvalidInput, match="other filters"):
        cursors.decode(cursor, ("list", "b"), str, int)


def test_a_cursor_with_values_of_another_kind_is_refused():
    for value, key in (("x", "y"), ("2026-03-01", 1), (1, 2**63), (True, 1), ("a\x00", 1)):
        with pytest.raises(InvalidInput):
            cursors.decode(cursors.encode("l", value, key), "l", datetime, int)
    with pytest.raises(InvalidInput):
        cursors.decode(cursors.encode("l", "2026-03-01T00:00:00", 1), "l", datetime, int)


@given(st.one_of(st.text(), st.binary().map(lambda data: data.decode("latin-1"))))
def test_whatever_comes_is_read_or_refused(text):
    with pytest.raises(InvalidInput):
        cursors.decode(text, "list", str, int)
