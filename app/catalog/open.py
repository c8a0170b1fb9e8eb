"""Open a catalog: the one of this machine, a SQLite file and a folder, or whatever the options name."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from pyiceberg.catalog import Catalog as Library
from pyiceberg.catalog import load_catalog

from app.catalog.alone import TYPE as ALONE
from app.catalog.alone import check_alone, cluster_alone, not_from_here
from app.catalog.faults import reading
from app.catalog.table import Catalog
from app.errors import CatalogUnavailable, InvalidInput

TYPES = ("sql", "rest", "glue", "hive")  # that are opened from here
_NEEDED = {"sql": ("uri", "warehouse"), "rest": ("uri",), "hive": ("uri",)}
_BUSY_SECONDS = 30.0
_OPENING_ATTEMPTS = 5
_FILE_IO = "app.catalog.durable.DurableFileIO"


def open_catalog(name: str, options: Mapping[str, str]) -> Catalog:
    """The catalog of that name.

    `options` are the library's: `type` (sql, rest, glue, hive), `uri`, `warehouse`, `s3.endpoint`, ….
    Raises InvalidInput for options that cannot be right or name a catalog that a cluster alone reaches,
    CatalogUnavailable when it does not answer.
    """
    cluster = cluster_alone(options)
    if cluster is not None:
        raise not_from_here(name, cluster)
    return Catalog(name, _open(name, _complete(name, options)))


def check_options(name: str, options: Mapping[str, str]) -> None:
    """Raise InvalidInput for options that name no catalog; asks nobody."""
    if cluster_alone(options) is not None:
        check_alone(name, options)
        return
    properties = _complete(name, options)
    lacking = [key for key in _NEEDED.get(properties["type"], ()) if not properties.get(key)]
    if lacking:
        raise InvalidInput(
            f"Catalog {name!r} of the type {properties['type']} needs {' and '.join(lacking)}.",
            hint="Add " + " ".join(f"-o {key}=…" for key in lacking),
        )


def local_options(home: Path) -> dict[str, str]:
    """Options of the catalog of this machine: `<home>/catalog.db`, tables in `<home>/warehouse`.

    Creates the database when it is not there. It is a file of its own, and readers never wait for writers.
    """
    home = home.expanduser().absolute()
    database = home / "catalog.db"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(database, timeout=_BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    except (OSError, sqlite3.Error) as error:
        raise CatalogUnavailable(
            f"The catalog {database} could not be opened: {error}.", hint="Is the folder writable, the disk full?"
        ) from error
    # As SQLite's own kind of address, which has escapes: SQLAlchemy takes a `?` in a path for the start of its options.
    address = f"sqlite:///file:{quote(str(database))}?uri=true&timeout={_BUSY_SECONDS:.0f}"
    return {"type": "sql", "uri": address, "warehouse": f"file://{home / 'warehouse'}"}


def _complete(name: str, options: Mapping[str, str]) -> dict[str, str]:
    properties = {"py-io-impl": _FILE_IO, **options}
    uri = properties.get("uri", "")
    for prefix in ("postgresql://", "postgres://"):
        if uri.startswith(prefix):
            properties["uri"] = "postgresql+psycopg://" + uri.removeprefix(prefix)
    if "type" not in properties and uri.startswith(("sqlite", "postgres")):
        properties["type"] = "sql"
    kind = properties.get("type", "rest" if uri.startswith("http") else "")
    if kind not in TYPES:
        raise InvalidInput(
            f"Catalog {name!r}: the type {kind!r} is not known." if kind else f"Catalog {name!r} has no type.",
            hint=f"Set `type` to one of {', '.join((*TYPES, ALONE))}:"
            f" autoloader connections add {name} catalog --replace -o type=…",
        )
    properties["type"] = kind
    if kind == "sql":
        properties.setdefault("pool_pre_ping", "true")
    return properties


def _open(name: str, properties: dict[str, str]) -> Library:
    """Open, again where two processes create the catalog's own tables at the same moment."""
    for attempt in range(1, _OPENING_ATTEMPTS + 1):
        try:
            with reading(f"catalog {name}"):
                return load_catalog(name, **properties)
        except CatalogUnavailable:
            if attempt == _OPENING_ATTEMPTS or properties["type"] != "sql":
                raise
            time.sleep(0.05 * attempt)
    raise AssertionError
