"""A ledger that knows a great many objects: one is loaded by the product, the others are copies of its row.

To load a million objects of nine bytes one by one would measure the server, for an hour. What a run does with
them afterwards is the same: the rows are those of loaded files.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks import product, seaweed

_CHUNK = 5_000


def prepare(server: seaweed.Server, root: Path, count: int) -> tuple[str, Path]:
    """The source and the home of an ingestion that knows all of its `count` objects; kept for the next time."""
    folder = root / f"known-{count}"
    name, home = folder / "prefix", folder / "home"
    if not name.exists():
        shutil.rmtree(folder, ignore_errors=True)
        home.mkdir(parents=True)
        prefix = f"known-{count}-{int(time.time())}"
        source = f"s3://{seaweed.BUCKET}/{prefix}/"
        seaweed.put_numbers(server, prefix, 1)
        product.load(source, home, environment=server.environment, expected=1)
        seaweed.put_numbers(server, prefix, count)
        _copy_the_row(home / "autoloader.db", server, prefix, count)
        name.write_text(prefix, encoding="utf-8")
    return f"s3://{seaweed.BUCKET}/{name.read_text(encoding='utf-8')}/", home


def _copy_the_row(database: Path, server: seaweed.Server, prefix: str, count: int) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM processed_files").fetchone())
        objects = list(_objects(server, prefix))
        quoted = next(tag for path, tag, _ in objects if path == row["path"]) == row["version"]
        others = [item for item in objects if item[0] != row["path"]]
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        for begin in range(0, len(others), _CHUNK):
            rows = [
                row
                | {"id": row["id"] + number, "path": path, "version": tag if quoted else tag.strip('"'), "size": size}
                for number, (path, tag, size) in enumerate(others[begin : begin + _CHUNK], start=begin + 1)
            ]
            connection.executemany(f"INSERT INTO processed_files ({names}) VALUES ({marks})", rows)
        connection.execute("UPDATE file_id_source SET next_sequence = next_sequence + ?", (count,))


def _objects(server: seaweed.Server, prefix: str) -> Iterator[tuple[str, str, int]]:
    import obstore

    for page in obstore.list(server.store(), f"{prefix}/", chunk_size=_CHUNK):
        for item in page:
            yield f"s3://{seaweed.BUCKET}/{item['path']}", item["e_tag"] or "", item["size"]
