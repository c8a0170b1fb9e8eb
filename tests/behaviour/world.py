"""A source, a ledger and a table of one test, and the `autoloader` processes that work on them.

Every generated row carries its file, its number and a checksum, so that a lost, doubled or altered row shows.
"""

from __future__ import annotations

import json
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.table import Table

from app.config import Settings
from app.database import Database
from app.services.connection_service import ConnectionService
from app.storage import Store, open_store
from tests.behaviour.zygote import Forked, Ran, Zygote
from tests.services.objects import s3_client

LEASE = {"LEASE_SECONDS": "2", "LEASE_HEARTBEAT_SECONDS": "0.5"}
BAD_LINE = '{"file": broken\n'


def checksum(file: str, row: int) -> int:
    return zlib.crc32(f"{file}:{row}".encode())


def lines(file: str, rows: int, *, extra: str | None = None) -> str:
    """JSON lines of `rows` rows; `extra` adds a column of that name."""
    made = []
    for row in range(rows):
        record: dict[str, object] = {"file": file, "row": row, "crc": checksum(file, row)}
        if extra:
            record[extra] = row
        made.append(json.dumps(record))
    return "".join(f"{line}\n" for line in made)


@dataclass
class World:
    """`options` open the source's store and the warehouse; empty for folders."""

    zygote: Zygote
    home: Path
    source: str
    table: str
    database_url: str
    catalog_options: dict[str, str]
    store_options: dict[str, str] = field(default_factory=dict)
    more_options: tuple[str, ...] = ()
    more_env: dict[str, str] = field(default_factory=dict)
    delivered: dict[str, int] = field(default_factory=dict)  # file → good rows
    bad_lines: int = 0

    # --- set-up

    def prepare(self) -> None:
        """Store the connections that the world needs."""
        if not self.store_options:
            return
        database = Database(self.settings().database_address)
        service = ConnectionService(database, self.settings())
        service.put("source", "s3", self.store_options)
        service.put(self.table.split(".")[0], "catalog", self.catalog_options)
        database.close()

    def settings(self) -> Settings:
        return Settings(_env_file=None, autoloader_home=self.home, database_url=self.database_url)

    def store(self) -> Store:
        return open_store(self.source, self.store_options)

    def deliver(self, name: str, rows: int, *, bad: int = 0, extra: str | None = None) -> None:
        """Put one file into the source, with `bad` lines that no parser takes."""
        text = lines(name, rows, extra=extra) + BAD_LINE * bad
        self.put(name, text.encode())
        self.delivered[name] = rows
        self.bad_lines += bad

    def put(self, name: str, data: bytes) -> None:
        store = self.store()
        local = store.local_path(f"{store.base}/{name}")
        if local is not None:
            local.parent.mkdir(parents=True, exist_ok=True)
            part = local.with_name(f".{local.name}.part")
            part.write_bytes(data)
            part.rename(local)
        else:
            bucket, _, key = f"{store.base}/{name}".removeprefix("s3://").partition("/")
            s3_client(self.store_options["endpoint"]).put_object(Bucket=bucket, Key=key, Body=data)

    # --- processes

    def arguments(self) -> list[str]:
        """Of `autoloader load`."""
        source = ["--connection", "source"] if self.store_options else []
        options = ["--format", "jsonl", "--batch-max-files", "2", "--min-age", "0"]
        return ["load", self.source, self.table, *options, *source, *self.more_options]

    def env(self, failpoints: str = "") -> dict[str, str]:
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith(("AUTOLOADER", "DATABASE", "LEASE"))},
            **LEASE,
            "AUTOLOADER_HOME": str(self.home),
            "DATABASE_URL": self.database_url,
            # A process stopped in the midst of a heartbeat would hold SQLite's lock for as long as it is stopped.
            "AUTOLOADER_FAILPOINTS": f"{failpoints};heartbeat=error" if "=stop" in failpoints else failpoints,
            "PARSER_THREADS": "1",
            **self.more_env,
        }

    def start(self, failpoints: str = "") -> Forked:
        """A run as a process of its own."""
        return self.zygote.start([*self.arguments(), "--json"], self.env(failpoints))

    def run(self, failpoints: str = "") -> Ran:
        return self.start(failpoints).result()

    def cli(self, *arguments: str) -> Ran:
        """Another command of `autoloader`, with `--json`."""
        return self.zygote.start([*arguments, "--json"], self.env()).result()

    # --- what came of it

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        catalog = load_catalog(self.table.split(".")[0], **self.catalog_options)
        try:
            yield catalog
        finally:
            catalog.close()

    @contextmanager
    def opened(self, suffix: str = "") -> Iterator[Table]:
        """The table, by PyIceberg, as another program sees it."""
        with self.catalog() as catalog:
            yield catalog.load_table(self.identifier + suffix)

    @property
    def identifier(self) -> str:
        return self.table.split(".", 1)[1]

    def scan(self, suffix: str = "") -> list[dict[str, Any]]:
        with self.opened(suffix) as table:
            return table.scan().to_arrow().to_pylist()

    def rows(self) -> Counter[tuple[str, int, int]]:
        return Counter((r["file"], r["row"], r["crc"]) for r in self.scan())

    def expected(self, files: Iterable[str] | None = None) -> Counter[tuple[str, int, int]]:
        names = self.delivered if files is None else files
        return Counter((n, r, checksum(n, r)) for n in names for r in range(self.delivered[n]))

    def ledger(self) -> list[dict[str, Any]]:
        """The ledger's rows, as stored."""
        from sqlalchemy import text

        database = Database(self.settings().database_address)
        try:
            with database.session_scope() as session:
                query = text("SELECT * FROM processed_files ORDER BY path")
                return [dict(row) for row in session.execute(query).mappings()]
        finally:
            database.close()


def assert_all_there_once(world: World) -> None:
    """Rows as delivered, each once; rejects each once; the ledger says the same as the table."""
    assert world.rows() == world.expected()
    rejects = world.scan("__rejects") if world.bad_lines else []
    assert len(rejects) == world.bad_lines
    per_file = Counter(row["_file_id"] for row in world.scan())
    ledger = world.ledger()
    assert {row["path"].rpartition("/")[2] for row in ledger} == set(world.delivered)
    assert {row["state"] for row in ledger} == {"SUCCESS"}
    assert {row["id"]: row["row_count"] for row in ledger if row["row_count"]} == dict(per_file)
