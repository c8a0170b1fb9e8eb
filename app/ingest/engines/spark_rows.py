"""From a format's columns to those of the table: Spark SQL for the rows of one attempt.

A rejected record is first staged like any row, but under the negative of its file's id, with its reason and text in the
column of rescued data: so the clean case is one pass over the source. Only when there are such rows, or a file has to
be left out, the rows are staged once more without them, from what was staged.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from app.datatypes import Column, DataType, TableSchema
from app.ingest.formats.contract import RowColumns
from app.ingest.formats.spark.text import type_sql
from app.ingest.formats.spark.words import FILE, RAW, REJECT, RESCUED
from app.spark import identifier, literal

PATH = "path"
REASON_KEY, RAW_KEY = "reason", "raw"
_EMPTY = {
    "boolean": "false", "date": "DATE'1970-01-01'", "string": "''", "binary": "X''",
    "uuid": "'00000000-0000-0000-0000-000000000000'",
    "timestamp": "TIMESTAMP_NTZ'1970-01-01 00:00:00'", "timestamptz": "TIMESTAMP'1970-01-01 00:00:00+00:00'",
}  # fmt: skip


def table_columns(schema: TableSchema, names: RowColumns, at: datetime) -> list[str]:
    """Expressions over a format's last layer (`v0`, `v1` …, FILE, RESCUED, REJECT, RAW, PATH), named as the table's."""
    columns = [f"{_value(place, column)} AS {identifier(column.name)}" for place, column in enumerate(schema)]
    told = f"to_json(named_struct('{REASON_KEY}', {REJECT}, '{RAW_KEY}', {RAW}))"
    columns.append(f"CASE WHEN {REJECT} IS NULL THEN {FILE} ELSE -{FILE} END AS {identifier(names.file_id[0])}")
    if names.source_file:
        columns.append(f"{PATH} AS {identifier(names.source_file[0])}")
    if names.ingested_at:
        columns.append(f"{literal(at)} AS {identifier(names.ingested_at[0])}")
    if names.rescued_data:
        rescued = f"CASE WHEN {REJECT} IS NULL THEN {RESCUED} ELSE {told} END"
        columns.append(f"{rescued} AS {identifier(names.rescued_data[0])}")
    return columns


def nothing(schema: TableSchema, names: RowColumns, at: datetime) -> str:
    """The SELECT of no rows."""
    return f"SELECT {', '.join(table_columns(schema, names, at))} FROM ({_empty(schema)}) WHERE false"


def trial(schema: TableSchema, names: RowColumns, at: datetime, size: int) -> str:
    """The SELECT of rows of no file, of a kilobyte each where there is a column to hold it, `size` bytes in all."""
    count = max(1, size // 1024)
    text = "array_join(transform(sequence(1, 8), place -> sha2(concat(id, '-', place), 512)), '')"
    inner = f"{_empty(schema, rescued=text)} FROM range({count})"
    return f"SELECT {', '.join(table_columns(schema, names, at))} FROM ({inner})"


def _empty(schema: TableSchema, rescued: str = "CAST(NULL AS STRING)") -> str:
    """The SELECT of a format's last layer with nothing in it, of the file 0, which is none."""
    typed = [f"CAST(NULL AS {type_sql(column.type)}) AS v{place}" for place, column in enumerate(schema)]
    typed += [f"CAST(0 AS BIGINT) AS {FILE}", f"{rescued} AS {RESCUED}"]
    typed += [f"CAST(NULL AS STRING) AS {name}" for name in (REJECT, RAW, PATH)]
    return f"SELECT {', '.join(typed)}"


def _value(place: int, column: Column) -> str:
    value = f"CAST(v{place} AS {type_sql(column.type)})"
    if not column.required:
        return value
    return f"coalesce({value}, {empty_sql(column.type)})"  # of a rejected record, which nobody will see


def empty_sql(kind: DataType) -> str:
    """Some value of the type, which is not nested."""
    return _EMPTY.get(kind.name, f"CAST(0 AS {type_sql(kind)})")


# --- over what was staged --------------------------------------------------------------------


def counts_sql(names: RowColumns) -> list[str]:
    """The count of each file: rows, rescued rows, rejected records. To be grouped by `file`."""
    file_id = identifier(names.file_id[0])
    rescued = identifier(names.rescued_data[0]) if names.rescued_data else "NULL"
    return [
        f"abs({file_id}) AS file",
        f"CAST({file_id} > 0 AS INT) AS good",
        f"CAST({file_id} > 0 AND {rescued} IS NOT NULL AS INT) AS rescued",
        f"CAST({file_id} < 0 AS INT) AS rejected",
    ]


def good(names: RowColumns, bad: Collection[int]) -> str:
    """A condition: the row is no rejected record, and of no bad file."""
    file_id = identifier(names.file_id[0])
    return f"{file_id} > 0{_without(file_id, bad)}"


def rejected(names: RowColumns, bad: Collection[int]) -> str:
    file_id = identifier(names.file_id[0])
    return f"{file_id} < 0{_without(f'-{file_id}', bad)}"


def _without(file_id: str, bad: Collection[int]) -> str:
    return f" AND {file_id} NOT IN ({', '.join(map(literal, sorted(bad)))})" if bad else ""


def rejects_sql(names: RowColumns) -> list[str]:
    """The columns of a reject file, over staged rows. Spark does not tell a record's line or place."""
    told = identifier(names.rescued_data[0]) if names.rescued_data else "NULL"
    return [
        f"-{identifier(names.file_id[0])} AS file_id",
        f"get_json_object({told}, '$.{REASON_KEY}') AS reason",
        f"get_json_object({told}, '$.{RAW_KEY}') AS raw",
    ]


def samples_sql(names: RowColumns, among: str) -> tuple[list[str], list[str]]:
    """Two layers: rescued values by their keys, and their places by file `among` which they are counted."""
    file_id, rescued = identifier(names.file_id[0]), identifier(names.rescued_data[0] if names.rescued_data else "")
    keyed = [f"{file_id} AS file_id", f"{rescued} AS rescued", keys_sql(names)]
    ranked = ["file_id", "rescued", f"row_number() OVER (PARTITION BY {among} ORDER BY file_id) AS place"]
    return keyed, ranked


def keys_sql(names: RowColumns) -> str:
    """A row for each `key` of what was rescued."""
    return f"explode(json_object_keys({rescued_name(names)})) AS key"


def rescued_name(names: RowColumns) -> str:
    return identifier(names.rescued_data[0]) if names.rescued_data else "NULL"
