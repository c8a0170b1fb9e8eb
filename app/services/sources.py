"""The source of an ingestion: its store, which of its objects count, and a sample of its files on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from app.config import MIB, Settings
from app.database import Database
from app.errors import InvalidInput, SourceError
from app.ingest.discovery import DiscoveryRules, split_source
from app.ingest.engines.embedded_input import LocalFiles, compression_of
from app.ingest.formats.contract import ParseFile
from app.schemas.ingestion import FormatShape, SourceShape
from app.services.connection_service import STORES, ConnectionService
from app.services.context import IngestionInfo
from app.spool import Spool
from app.storage import Store, open_store, parse_address
from app.values import BatchFile


@contextmanager
def opened_source(database: Database, settings: Settings, ingestion: IngestionInfo) -> Iterator[Store]:
    """The ingestion's source, with the credentials of its connection."""
    yield store_of(database, settings, ingestion.shape.source, ingestion.tenant_id)


def store_of(database: Database, settings: Settings, source: SourceShape, tenant_id: str) -> Store:
    """The store at a source's address. Raises NotFound for a connection that is not there, InvalidInput."""
    base = split_source(source.url)[0]
    options: dict[str, str] = {}
    if source.connection is not None:
        service = ConnectionService(database, settings, tenant_id=tenant_id)
        options = service.options(source.connection, STORES)
        _require_kind(source.connection, service.kind(source.connection), base)
    _refuse_own_files(settings, base)
    return open_store(
        base,
        options,
        timeout_seconds=settings.request_timeout_seconds,
        retries=settings.request_retries,
        page_size=settings.list_page_size,
        list_concurrency=settings.list_concurrency,
    )


def _require_kind(connection: str, kind: str | None, base: str) -> None:
    """Raise InvalidInput for a connection to another kind of store than the address names."""
    if (wanted := parse_address(base).kind) == kind:
        return
    there = "a folder, which needs no connection" if wanted == "local" else f"{wanted}"
    raise InvalidInput(
        f"The connection {connection!r} is of the kind {kind}, and {base} is {there}.",
        hint="Leave the connection out." if wanted == "local" else f"Name a connection of the kind {wanted}.",
    )


def _refuse_own_files(settings: Settings, base: str) -> None:
    """Raise InvalidInput for our own files in AUTOLOADER_HOME: keys and ledger are nobody's data."""
    address = parse_address(base)
    if address.kind != "local":
        return
    path, home = Path(address.base).resolve(), settings.home.resolve()
    if path == home or (path.parent == home and not path.is_dir()):
        raise InvalidInput(f"{base} belongs to the Autoloader itself.", hint="Load from another folder.")


def rules_of(settings: Settings, source: SourceShape) -> DiscoveryRules:
    """Which objects of a source count. Where AUTOLOADER_HOME lies below the source, nothing in it does."""
    own = _home_below(settings, split_source(source.url)[0])
    return DiscoveryRules.of(source, local_min_age_seconds=settings.min_age_seconds, own=own)


def _home_below(settings: Settings, base: str) -> str:
    """AUTOLOADER_HOME relative to a folder that holds it; else empty."""
    address = parse_address(base)
    if address.kind != "local":
        return ""
    path, home = Path(address.base).resolve(), settings.home.resolve()
    return home.relative_to(path).as_posix() if path != home and home.is_relative_to(path) else ""


def local_sample(
    settings: Settings, store: Store, sample: Sequence[BatchFile], shape: FormatShape, folder: Path
) -> list[ParseFile]:
    """The sample's files, readable on this machine; of a large remote text only its beginning is fetched.

    Files that cannot be had are left out: inference needs some files, not each of them.
    """
    share = max(MIB, settings.inference_max_bytes // max(1, len(sample)))
    found: list[ParseFile] = []
    whole: list[BatchFile] = []
    for file in sample:
        plain = shape.type != "parquet" and compression_of(file.path, shape) == "none"
        if store.kind != "local" and plain and file.size > share:
            found += _beginning(store, file, share, folder)
        else:
            whole.append(file)
    with Spool(folder, settings.spool_max_bytes, settings.fetch_concurrency) as spool:
        # The copies outlive the spool object here: they are in `folder`, which the caller removes.
        for good, _ in LocalFiles(store, spool, settings, shape).groups(whole):
            found += [_kept(file, folder) for file in good]
    return found


def _beginning(store: Store, file: BatchFile, size: int, folder: Path) -> list[ParseFile]:
    """Up to `size` bytes of a text, cut behind its last whole line."""
    try:
        text = store.read(file.path, 0, size)
    except SourceError:
        return []
    local = folder / f"begin-{file.file_id}"
    local.write_bytes(text[: text.rfind(b"\n") + 1])
    return [ParseFile(file.file_id, file.path, str(local), local.stat().st_size, "none")]


def _kept(file: ParseFile, folder: Path) -> ParseFile:
    if file.expected_stat is not None:  # read in place
        return file
    kept = folder / f"whole-{file.file_id}"
    Path(file.local_path).rename(kept)
    return replace(file, local_path=str(kept))
