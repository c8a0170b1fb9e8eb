"""What `clusters test` shows: each thing that we need of a cluster, tried one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

from app.errors import AutoloaderError, SparkError, SparkRefused, TableNotFound
from app.spark.endpoint import Endpoint
from app.spark.probe_stores import stores_told
from app.spark.session import Session, connect
from app.spark.sql import identifier, literal

SECONDS = 120.0  # for all that is asked of one session, unless said otherwise

_OLDEST = (3, 5)
_TRIED = ("3.5", "4.0", "4.1")
_ITSELF = re.compile(r": autoloader clusters test \S+$")  # a next step that is being made
_PAGE = "The settings: autoloader docs clusters"
_EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
_CLASSES = ("org.apache.iceberg.spark.SparkCatalog", "org.apache.iceberg.spark.SparkSessionCatalog")
_CACHE = "spark.sql.catalog.{}.cache-enabled"


@dataclass(frozen=True, slots=True)
class ClusterStep:
    """One thing that was tried; `detail` says what was found, or what is missing and how it is mended."""

    name: str
    ok: bool
    detail: str


class _Missing(Exception):
    """The cluster lacks something; the text says what, and the next step."""


def probe(endpoint: Endpoint, *, write: bool, namespace: str | None, seconds: float = SECONDS) -> Iterator[ClusterStep]:
    """Each step as it is made, up to the first one that the others rest on and that fails.

    With `write` a table is made in `namespace`, written to and removed again; without a name in a namespace of its
    own, which is removed too. Raises nothing that is the cluster's fault: that is a step's detail.
    """
    plain: list[Session] = []
    try:
        connected = _step("connect", lambda: _connected(endpoint, plain))
        yield connected
        if not connected.ok:
            return
        yield _step("login", lambda: _login(endpoint))
        with plain[0].within(seconds):
            yield from _looked_into(endpoint, plain[0], write=write, namespace=namespace)
    except AutoloaderError as error:
        yield ClusterStep("time", ok=False, detail=str(error))
    finally:
        for session in plain:
            session.close()


def _step(name: str, work: Callable[[], str]) -> ClusterStep:
    try:
        return ClusterStep(name, ok=True, detail=work())
    except (AutoloaderError, _Missing) as error:
        return ClusterStep(name, ok=False, detail=_ITSELF.sub(".", str(error)))


# --- the server ------------------------------------------------------------------------------


def _connected(endpoint: Endpoint, opened: list[Session]) -> str:
    # Without the catalog: a session that names it has settings of ours already, and the server's are asked for below.
    session = connect(replace(endpoint, catalog=""), "test")
    opened.append(session)
    version = str(session.version)
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < _OLDEST:
        raise _Missing(f"Spark {version} is too old. Spark 3.5 or newer is needed.")
    known = "" if version.startswith(_TRIED) else f"; tried were {', '.join(_TRIED)}"
    return f"Spark {version} answers as Spark Connect does{known}."


def _login(endpoint: Endpoint) -> str:
    """Whether the token is right was said by the answer; here, whether it matters."""
    others = tuple(header for header in endpoint.headers if header[0] != "authorization")
    try:
        connect(replace(endpoint, headers=others, catalog=""), "test").close()
    except SparkRefused:
        return "A token is asked for, and ours is taken."
    open_to_all = "No token is asked for: keep the endpoint private, or behind a proxy that asks for one."
    return f"{open_to_all} Ours is not looked at." if endpoint.has_token else open_to_all


def _looked_into(endpoint: Endpoint, plain: Session, *, write: bool, namespace: str | None) -> Iterator[ClusterStep]:
    for name, work in (("functions", _functions), ("extensions", _extensions), ("stores", stores_told)):
        yield _step(name, lambda work=work: work(plain))  # type: ignore[misc] # a lambda's default has no type
    if not endpoint.catalog:
        yield _step("catalog", lambda: _catalogs(plain))
        return
    catalog = _step("catalog", lambda: _catalog(plain, endpoint.catalog))
    yield catalog
    if catalog.ok:
        yield _step("iceberg", lambda: _iceberg(plain, endpoint.catalog))
        yield from _with_catalog(endpoint, plain, write=write, namespace=namespace)


def _functions(session: Session) -> str:
    session.rows("SELECT url_decode('a%2Bb'), json_object_keys('{\"a\": 1}'), from_json('{}', 'map<string,string>')")
    return "The functions that we read with are there."


def _extensions(session: Session) -> str:
    found = session.setting("spark.sql.extensions") or ""
    if _EXTENSIONS not in found:
        raise _Missing(f"Iceberg's extensions are not loaded. Start the server with spark.sql.extensions={_EXTENSIONS}")
    return "Iceberg's extensions are loaded: staging and publishing can be called."


# --- the catalog -----------------------------------------------------------------------------


def _catalogs(session: Session) -> str:
    return f"No catalog is named. The server defines {_named(session)}; name one with --catalog."


def _named(session: Session) -> str:
    rows = session.rows("SET")
    found = sorted({row.key.split(".")[3] for row in rows if re.fullmatch(r"spark\.sql\.catalog\.[^.]+", row.key)})
    return ", ".join(found) or "none"


def _catalog(session: Session, name: str) -> str:
    kind = session.setting(f"spark.sql.catalog.{name}")
    if kind is None:
        raise _Missing(f"There is no catalog {name!r} on the server; it defines {_named(session)}. {_PAGE}")
    if kind not in _CLASSES:
        raise _Missing(f"The catalog {name!r} is of {kind}, and not of Iceberg ({_CLASSES[0]}). {_PAGE}")
    found = len(session.rows(f"SHOW NAMESPACES IN {identifier(name)}", name))
    return f"The catalog {name!r} answers ({found} {'namespace' if found == 1 else 'namespaces'})."


def _iceberg(session: Session, catalog: str) -> str:
    try:
        (row,) = session.rows(f"SELECT {identifier(catalog)}.system.iceberg_version() AS version", catalog)
    except (TableNotFound, SparkError) as error:  # Spark 3.5 misses the schema `system`, 4.0 what is in it
        if catalog != "spark_catalog" or not (isinstance(error, TableNotFound) or "ROUTINE_NOT_FOUND" in error.message):
            raise
        return "Of which version it is, Spark's own catalog does not tell."
    return f"Iceberg {row.version}."


def _cache(session: Session, plain: Session, catalog: str) -> str:
    if session.setting(_CACHE.format(catalog)) != "false":
        raise _Missing(
            f"The server does not let a session set {_CACHE.format(catalog)}: loads would decide by what it kept, up to"
            f" 30 s old. Start it with {_CACHE.format(catalog)}=false."
        )
    if (plain.setting(_CACHE.format(catalog)) or "true") == "false":
        return "Tables are read fresh."
    return (
        "Loads read tables fresh: nothing must be done for them. Other sessions on this server see what the embedded"
        " engine loads up to 30 s late, as Spark keeps tables; start it with"
        f" {_CACHE.format(catalog)}=false to end that."
    )


def _with_catalog(endpoint: Endpoint, plain: Session, *, write: bool, namespace: str | None) -> Iterator[ClusterStep]:
    opened: list[Session] = []

    def cache() -> str:
        opened.append(connect(endpoint, "test"))
        return _cache(opened[0], plain, endpoint.catalog)

    try:
        cached = _step("cache", cache)
        yield cached
        if opened and write:
            with opened[0].within(SECONDS):
                yield from _written(opened[0], endpoint.catalog, namespace)
    finally:
        for session in opened:
            session.close()


def _written(session: Session, catalog: str, namespace: str | None) -> Iterator[ClusterStep]:
    """A table is made, a row staged and published, and all of it removed again."""
    mark = f"autoloader_test_{uuid4().hex[:12]}"
    space = identifier(catalog, namespace or mark)
    table = identifier(catalog, namespace or mark, mark)

    def make() -> str:
        if namespace is None:
            session.rows(f"CREATE NAMESPACE {space}", catalog)
        session.rows(f"CREATE TABLE {table} (id INT) USING iceberg TBLPROPERTIES ('write.wap.enabled' = 'true')", mark)
        return f"A table can be made in {namespace or 'a namespace of its own'}."

    def remove() -> str:
        session.rows(f"DROP TABLE IF EXISTS {table} PURGE", mark)
        if namespace is None:
            session.rows(f"DROP NAMESPACE IF EXISTS {space}", catalog)
        return "What the test made is removed."

    made = _step("write", make)
    yield made
    if made.ok:
        yield _step("publish", lambda: _published(session, catalog, namespace or mark, mark))
    removed = _step("clean up", remove)
    if made.ok or (not removed.ok and namespace is None):
        yield removed


def _published(session: Session, catalog: str, namespace: str, name: str) -> str:
    """Staged under an id, seen by nobody, published once and not again."""
    table = identifier(catalog, namespace, name)
    session.set({"spark.wap.id": name})
    session.rows(f"INSERT INTO {table} SELECT alive FROM {identifier(session.guard)}", name)
    session.reset()
    if session.rows(f"SELECT _file FROM {table}", name):
        raise _Missing("A row that was staged is seen at once: the catalog ignores spark.wap.id. Loads need it.")
    (staged,) = session.rows(f"SELECT snapshot_id FROM {table}.snapshots", name)
    pick = f"CALL {identifier(catalog)}.system.cherrypick_snapshot({literal(table)}, {staged[0]}L)"
    session.rows(pick, name)
    if len(session.rows(f"SELECT _file FROM {table}", name)) != 1:
        raise _Missing("A row that was published is not seen. Loads need it.")
    return "A batch can be staged, and published as one snapshot."
