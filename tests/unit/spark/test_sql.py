from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.spark.sql import identifier, literal


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (True, "TRUE"),
        (7, "7"),
        (2**31, "2147483648L"),
        (-(2**63), "-9223372036854775808BD"),
        (1.5, "1.5D"),
        (float("nan"), "double('NaN')"),
        (Decimal("1.10"), "1.10BD"),
        (b"\x00\xff", "X'00ff'"),
        (date(2026, 1, 2), "DATE'2026-01-02'"),
        (datetime(2026, 1, 2, 3, 4, 5), "TIMESTAMP_NTZ'2026-01-02 03:04:05'"),  # noqa: DTZ001 - without a zone
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "TIMESTAMP_LTZ'2026-01-02 03:04:05 UTC'"),
        ("plain text", "'plain text'"),
        ("it's", r"'it\u0027s'"),
        ("a\\b", r"'a\u005Cb'"),
        ("${env:SECRET}", r"'\u0024{env:SECRET}'"),
        ("é\n😀", r"'\u00E9\u000A\U0001F600'"),
    ],
)
def test_a_value_is_written_as_spark_reads_it(value, text):
    assert literal(value) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_can_end_its_own_quotes_or_be_replaced_by_the_server(value):
    text = literal(value)

    assert text[0] == text[-1] == "'"
    assert "'" not in text[1:-1]
    assert "$" not in text
    assert text.isascii()
    assert text.isprintable()


def test_a_name_is_quoted_whatever_it_holds():
    assert identifier("lake", "a.b", "c`d") == "`lake`.`a.b`.`c``d`"


@pytest.mark.parametrize("name", ["", "a\x00b", "half \ud800"])
def test_what_no_name_can_be_is_refused(name):
    with pytest.raises(InvalidInput):
        identifier("lake", name)


def test_half_a_character_cannot_be_said():
    with pytest.raises(InvalidInput, match="not valid UTF-8"):
        literal("half \ud800")


@pytest.mark.parametrize("value", [object(), [1], Decimal("NaN")])
def test_a_value_of_another_type_is_a_fault_of_the_program(value):
    with pytest.raises(TypeError, match="no SQL for"):
        literal(value)
