"""After a query that failed stands what helps: names that can be copied into the query, and nothing else."""

from __future__ import annotations

import pytest

from app.catalog import read
from app.datatypes import parse_schema
from app.errors import InvalidInput

COLUMNS = "id bigint, region string, `order` int, `select` int, `a b` int, home struct<city: string>"


@pytest.fixture
def hint(catalog):
    """Map query → what is said after it, of the table `shop.orders` or another of these columns."""

    def asked(query: str, table: str = "shop.orders") -> str:
        if not catalog.table(table).exists():
            catalog.create(table, parse_schema(COLUMNS))
        with pytest.raises(InvalidInput, match="The query failed: ") as caught:
            read.sql(catalog.table(table).look(), query)
        return caught.value.hint

    return asked


@pytest.mark.parametrize("wrong", ["SELECT * FROM nope", "SELECT * FROM shop.nope", "SELECT * FROM table"])
def test_a_wrong_table_is_answered_with_the_one_that_there_is(hint, wrong):
    assert hint(wrong) == "The only table here is orders, also by the name shop.orders."


def test_the_table_is_named_as_it_is_to_be_typed(hint):
    told = 'The only table here is "order", also by the name "select"."order".'
    assert hint("SELECT * FROM nope", "select.order") == told


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("SELECT regoin FROM orders", "region, id"),
        ("SELECT o.regoin FROM orders o", "region, id"),
        ("SELECT * EXCLUDE (regoin) FROM orders", "region, id"),
        ("SELECT ordr FROM orders", '"order", id'),
        ("SELECT sth_else FROM orders", "id, region"),
    ],
)
def test_a_wrong_column_is_answered_with_the_columns_to_type_the_nearest_first(hint, query, first):
    told = hint(query)

    assert told.startswith(f"Columns: {first}")
    assert set(told.removeprefix("Columns: ").removesuffix(".").split(", ")) == {
        "id",
        "region",
        '"order"',
        '"select"',
        '"a b"',
        "home",
    }


def test_of_very_many_columns_the_nearest_are_told_and_where_the_others_stand(catalog):
    catalog.create("db.wide", parse_schema(", ".join(f"c{at} int" for at in range(99)) + ", region int"))
    with pytest.raises(InvalidInput) as caught:
        read.sql(catalog.table("db.wide").look(), "SELECT regoin FROM wide")

    assert caught.value.hint.startswith("Columns: region, c0, ")
    assert caught.value.hint.endswith(", c28, and 70 more: autoloader table show local.db.wide")


@pytest.mark.parametrize("query", ["SELECT order FROM orders", "SELECT id, select FROM orders", "SELECT a b, id c d"])
def test_a_name_that_needs_quotes_is_told_with_them(hint, query):
    kind = "with other characters than letters, digits and _" if "a b" in query else "that is a word of SQL"
    name = "a b" if "a b" in query else query.split()[-3]
    assert hint(query) == f'A name {kind} stands in double quotes: "{name}"'


def test_a_table_that_is_a_word_of_sql_is_told_in_quotes_that_are_taken(hint, catalog):
    told = 'A name that is a word of SQL stands in double quotes: "order"'
    assert hint("SELECT * FROM order", "db.order") == told
    assert read.sql(catalog.table("db.order").look(), 'SELECT "order", "a b" FROM db."order"').rows == ()


@pytest.mark.parametrize(
    "query", ["SELEC region FROM orders", "SELECT 'x'::date", "SELECT '", "SELECT nofn(id) FROM orders"]
)
def test_where_nothing_is_known_to_help_nothing_is_made_up(hint, query):
    assert hint(query) == ""


def test_what_a_query_may_not_reach_is_told_as_such(hint):
    told = "A query reaches nothing but the table: orders."
    assert hint("SELECT * FROM read_csv('/etc/passwd')") == told


def test_advice_of_duckdb_itself_is_kept(hint):
    assert "ANY_VALUE" in hint("SELECT region, count(*) FROM orders")
    assert hint("SELECT home.town FROM orders") == 'Candidate Entries: "city"'
