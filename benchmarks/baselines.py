"""The bare tools, each in a process of its own, as the product is.

    python -m benchmarks.baselines load KIND FOLDER OUT        fastest query → Parquet → one commit
    python -m benchmarks.baselines append HOME FILE            the file's rows by PyIceberg's own append
    python -m benchmarks.baselines list URL                    bare listing
    python -m benchmarks.baselines fetch URL                   bare fetch of every object

prints one JSON object: what was done, and how many seconds the bare work took inside the process.
No tracking, no lineage columns, no bad-record handling, no statistics but those of the Parquet footer.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

TYPES = {
    "id": "BIGINT",
    "at": "TIMESTAMPTZ",
    "customer": "VARCHAR",
    "country": "VARCHAR",
    "amount": "DOUBLE",
    "quantity": "INTEGER",
    "paid": "BOOLEAN",
    "note": "VARCHAR",
}


def query(kind: str, folder: str) -> str:
    """The fastest query for the files of that kind that was found."""
    pattern = f"'{folder}/*.{kind}'"
    if kind == "jsonl":
        structure = json.dumps(TYPES)
        return (
            "SELECT " + ", ".join(f'r."{name}"' for name in TYPES) + " FROM"
            f" (SELECT from_json(json, '{structure}') AS r FROM read_ndjson_objects({pattern}))"
        )
    if kind == "csv":
        columns = ", ".join(f"'{name}': '{type_}'" for name, type_ in TYPES.items())
        options = "header = true, auto_detect = false, delim = ',', quote = '\"'"
        return f"FROM read_csv({pattern}, {options}, columns = {{{columns}}})"
    columns = ", ".join(f'"{name}"::{type_} AS "{name}"' for name, type_ in TYPES.items())
    return f"SELECT {columns} FROM read_parquet({pattern})"


def load(kind: str, folder: str, out: str) -> dict[str, object]:
    import duckdb

    begun = time.perf_counter()
    target = Path(out) / "warehouse" / "bench" / "rows" / "data" / "all.parquet"
    target.parent.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
        ids = ", ".join(f'"{name}": {number}' for number, name in enumerate(TYPES, start=1))
        connection.execute(
            f"COPY ({query(kind, folder)}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, FIELD_IDS {{{ids}}})"
        )
    rows = commit(target, Path(out))
    return {"rows": rows, "seconds": time.perf_counter() - begun}


def commit(file: Path, out: Path) -> int:
    """One commit of one data file, described from its footer."""
    import pyarrow.parquet as pq
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.io.pyarrow import (
        compute_statistics_plan,
        data_file_statistics_from_parquet_metadata,
        parquet_path_to_id_mapping,
    )
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.schema import Schema
    from pyiceberg.typedef import Record
    from pyiceberg.types import BooleanType, DoubleType, IntegerType, LongType, NestedField, StringType, TimestamptzType

    kinds: dict[str, Any] = {
        "BIGINT": LongType(),
        "TIMESTAMPTZ": TimestamptzType(),
        "VARCHAR": StringType(),
        "DOUBLE": DoubleType(),
        "INTEGER": IntegerType(),
        "BOOLEAN": BooleanType(),
    }
    schema = Schema(*(NestedField(n, name, kinds[type_]) for n, (name, type_) in enumerate(TYPES.items(), start=1)))
    catalog = SqlCatalog("bench", uri=f"sqlite:///{out}/catalog.db", warehouse=f"file://{out}/warehouse")
    catalog.create_namespace("bench")
    table = catalog.create_table("bench.rows", schema)
    metadata = pq.read_metadata(file)
    statistics = data_file_statistics_from_parquet_metadata(
        parquet_metadata=metadata,
        stats_columns=compute_statistics_plan(schema, table.metadata.properties),
        parquet_column_mapping=parquet_path_to_id_mapping(schema),
    )
    data_file = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"file://{file}",
        file_format=FileFormat.PARQUET,
        partition=Record(),
        file_size_in_bytes=file.stat().st_size,
        sort_order_id=None,
        spec_id=table.spec().spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )
    with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
        append.append_data_file(data_file)
    return int(metadata.num_rows)


def append(home: str, file: str) -> dict[str, object]:
    """Into `bench.rows` of the product's own catalog."""
    import pyarrow.json as pa_json
    from pyiceberg.catalog.sql import SqlCatalog

    begun = time.perf_counter()
    catalog = SqlCatalog("local", uri=f"sqlite:///{home}/catalog.db", warehouse=f"file://{home}/warehouse")
    rows = pa_json.read_json(file)
    catalog.load_table("bench.rows").append(rows)
    return {"rows": rows.num_rows, "seconds": time.perf_counter() - begun}


# --- S3 --------------------------------------------------------------------------------------


def _store(url: str) -> Any:
    from obstore.store import S3Store

    return S3Store.from_url(url, client_options={"allow_http": True}, virtual_hosted_style_request=False)


def list_(url: str) -> dict[str, object]:
    """One stream, pages of Arrow: what the product's listing is measured against."""
    import obstore

    begun = time.perf_counter()
    objects = sum(page.num_rows for page in obstore.list(_store(url), chunk_size=5_000, return_arrow=True))
    return {"objects": objects, "seconds": time.perf_counter() - begun}


def fetch(url: str, at_once: int = 32) -> dict[str, object]:
    import obstore

    store = _store(url)

    async def all_of_them() -> tuple[int, int]:
        gate = asyncio.Semaphore(at_once)

        async def one(path: str) -> int:
            async with gate:
                response = await obstore.get_async(store, path)
                return len(await response.bytes_async())

        paths = [item["path"] for page in obstore.list(store) for item in page]
        sizes = await asyncio.gather(*(one(path) for path in paths))
        return len(sizes), sum(sizes)

    begun = time.perf_counter()
    objects, size = asyncio.run(all_of_them())
    return {"objects": objects, "bytes": size, "seconds": time.perf_counter() - begun}


def main() -> None:
    name, *arguments = sys.argv[1:]
    work: dict[str, Any] = {"load": load, "append": append, "list": list_, "fetch": fetch}
    print(json.dumps(work[name](*arguments)), flush=True)
    os._exit(0)  # a reader thread of the object store may still hold the interpreter


if __name__ == "__main__":
    main()
