from __future__ import annotations

import gzip
import json

import pytest

from app.catalog.names import TableName
from app.catalog.seen import parse_metadata
from app.errors import CatalogError

NAME = TableName("far", "db", "t")
CONTENT = {
    "format-version": 2,
    "table-uuid": "2005e3e5-d5f7-4a22-a8fa-cc2b5ea46186",
    "location": "file:///far/db/t",
    "last-sequence-number": 0,
    "last-updated-ms": 1,
    "last-column-id": 1,
    "current-schema-id": 0,
    "schemas": [
        {"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "a", "required": True, "type": "int"}]}
    ],
    "default-spec-id": 0,
    "partition-specs": [{"spec-id": 0, "fields": []}],
    "last-partition-id": 999,
    "default-sort-order-id": 0,
    "sort-orders": [{"order-id": 0, "fields": []}],
    "current-snapshot-id": -1,
}


@pytest.mark.parametrize("packed", [False, True])
def test_a_metadata_file_is_read_whether_it_is_packed_or_not(packed):
    text = json.dumps(CONTENT).encode()
    found = parse_metadata(NAME, gzip.compress(text) if packed else text)
    assert (str(found.table_uuid), found.current_snapshot_id) == (CONTENT["table-uuid"], None)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\x1f\x8bxx", b"\xff", json.dumps({**CONTENT, "format-version": 9}).encode()]
)
def test_a_metadata_file_that_we_do_not_know_is_told_by_the_tables_name(data):
    with pytest.raises(CatalogError, match=r"The metadata of table far\.db\.t cannot be read") as refused:
        parse_metadata(NAME, data)
    assert "version of Iceberg's format" in refused.value.hint
