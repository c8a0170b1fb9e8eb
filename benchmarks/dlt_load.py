"""dlt's filesystem source into an Iceberg table on the local disk; runs in an environment of its own.

.venv-bench/bin/python benchmarks/dlt_load.py KIND FOLDER OUT
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    kind, folder, out = sys.argv[1:]
    settings = {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
        "DLT_DATA_DIR": f"{out}/dlt",
        "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
        "NORMALIZE__LOADER_FILE_FORMAT": "parquet",
        "DESTINATION__FILESYSTEM__BUCKET_URL": f"file://{out}/warehouse",
    }
    os.environ.update(settings)
    import dlt
    from dlt.sources.filesystem import filesystem, read_csv_duckdb, read_jsonl, read_parquet

    readers = {
        "jsonl": lambda: read_jsonl(chunksize=10_000),
        "csv": lambda: read_csv_duckdb(use_pyarrow=True),
        "parquet": lambda: read_parquet(use_pyarrow=True),
    }
    files = filesystem(bucket_url=Path(folder).as_uri(), file_glob=f"*.{kind}")
    files.apply_hints(incremental=dlt.sources.incremental("modification_date"))
    pipeline = dlt.pipeline("bench", destination="filesystem", dataset_name="bench", pipelines_dir=f"{out}/pipelines")
    resource = (files | readers[kind]()).with_name("rows")
    pipeline.run(resource, table_name="rows", table_format="iceberg", write_disposition="append")
    counts = pipeline.last_trace.last_normalize_info.row_counts
    print(json.dumps({"rows": counts["rows"]}))


if __name__ == "__main__":
    main()
