from __future__ import annotations

import pytest

from app.catalog.names import TableName
from app.catalog.widen import missing_paths
from app.datatypes import parse_schema
from app.errors import InvalidInput
from app.ingest.engines import cluster_sql

NAME = TableName("far", "db", "t")


def test_a_table_is_made_with_its_types_partition_and_properties_quoted():
    schema = parse_schema(
        "id bigint not null, `a``b` timestamp, at timestamptz, o struct<x: timestamp, y: map<string, date>>"
    )
    assert cluster_sql.create(NAME, schema, ["day(at)", "bucket(4, id)", "o.x", "truncate(2, id)"], {"k'": "v\\"}) == (
        "CREATE TABLE `far`.`db`.`t` (`id` BIGINT NOT NULL, `a``b` TIMESTAMP_NTZ, `at` TIMESTAMP_LTZ,"
        " `o` STRUCT<`x`: TIMESTAMP_NTZ, `y`: MAP<STRING, DATE>>) USING iceberg"
        " PARTITIONED BY (days(`at`), bucket(4, `id`), `o`.`x`, truncate(2, `id`))"
        " TBLPROPERTIES ('k\\u0027' = 'v\\u005C')"
    )


@pytest.mark.parametrize("kind", ["uuid", "array<time>", "struct<a: map<string, uuid>>"])
def test_a_type_that_a_cluster_cannot_make_is_refused_by_its_columns_name(kind):
    with pytest.raises(InvalidInput, match=r"Column c of far\.db\.t is of the type"):
        cluster_sql.create(NAME, parse_schema(f"c {kind}"), (), {})


def test_a_partition_that_a_cluster_cannot_make_is_refused():
    with pytest.raises(InvalidInput, match=r"void\(id\) cannot be made on a cluster"):
        cluster_sql.create(NAME, parse_schema("id int"), ["void(id)"], {})


def test_what_a_nested_column_lacks_is_added_by_its_whole_path():
    have = parse_schema(
        "o struct<x: int>, l array<struct<x: int>>, m map<string, struct<x: int>>, ll array<array<struct<x: int>>>"
    )
    want = parse_schema(
        "o struct<x: int, y: int>, l array<struct<y: int>>, m map<string, struct<y: int>>,"
        " ll array<array<struct<y: int>>>, n date"
    )
    assert cluster_sql.add_columns(NAME, missing_paths(have, want.columns)) == (
        "ALTER TABLE `far`.`db`.`t` ADD COLUMNS (`o`.`y` INT, `l`.`element`.`y` INT, `m`.`value`.`y` INT,"
        " `ll`.`element`.`element`.`y` INT, `n` DATE)"
    )


def test_only_the_named_snapshots_are_expired_and_none_by_its_age():
    assert cluster_sql.expire(NAME, [1, 2]) == (
        "CALL `far`.system.expire_snapshots(table => '`far`.`db`.`t`', older_than => TIMESTAMP'1970-01-01 00:00:00',"
        " snapshot_ids => array(1L, 2L))"
    )


def test_nothing_is_a_row_that_may_stand_in_the_table():
    assert cluster_sql.nothing(parse_schema("a date, b int not null")) == (
        "SELECT CAST(NULL AS DATE) AS `a`, CAST(0 AS INT) AS `b` WHERE false"
    )
