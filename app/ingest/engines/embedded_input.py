"""A batch's files as the parsing child takes them: local, pinned, with everything decided beforehand."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from posixpath import splitext

from app.config import MIB, Settings
from app.datatypes import Column, TableSchema, primitive
from app.errors import InvalidInput
from app.ingest.engines.fetch_ahead import FetchAhead
from app.ingest.formats.contract import READ_FROM_PACKS, ParsedFile, ParseFile, ParseLimits, RowColumns
from app.schemas.ingestion import FormatShape, RowColumnsShape
from app.spool import Spool, SpooledFile
from app.storage import Store
from app.values import BatchFile

_ENDINGS = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2"}
_MOST_GROUPS, _LEAST_GROUP = 4, 48 * MIB
_ROW_TYPES = {"file_id": "bigint", "source_file": "string", "ingested_at": "timestamptz", "rescued_data": "string"}

Group = tuple[list[ParseFile], list[ParsedFile]]


def compression_of(path: str, shape: FormatShape) -> str:
    """The compression of a file: as the format says, or by the ending of its name."""
    if shape.compression != "auto":
        return shape.compression
    return _ENDINGS.get(splitext(path)[1].lower(), "none")  # a pathlib.Path costs ten times that, for each file


def format_options(shape: FormatShape) -> dict[str, object]:
    """The options that the user has set."""
    return shape.model_dump(mode="json", exclude_none=True, exclude={"type", "compression"})


def parse_limits(settings: Settings) -> ParseLimits:
    return ParseLimits(
        memory_bytes=settings.parser_memory_bytes,
        threads=settings.parser_threads or os.cpu_count() or 1,
        max_output_bytes=settings.parser_max_output_bytes,
        max_expansion=settings.parser_max_expansion,
        max_record_bytes=settings.max_record_bytes,
        target_file_bytes=settings.target_file_bytes,
    )


# --- row columns -----------------------------------------------------------------------------


def row_schema(shape: RowColumnsShape) -> TableSchema:
    """The columns added to each row, those that are not switched off."""
    names = shape.model_dump()
    return TableSchema(tuple(Column(names[key], primitive(kind)) for key, kind in _ROW_TYPES.items() if names[key]))


def row_columns(shape: RowColumnsShape, table: TableSchema) -> RowColumns:
    """The same with the table's field ids. Raises InvalidInput where the table lacks one or has it as another type."""
    found: dict[str, tuple[str, int] | None] = {}
    for key, name in shape.model_dump().items():
        column = table.find(name) if name else None
        if name and (column is None or column.field_id is None or str(column.type) != _ROW_TYPES[key]):
            off = "" if key == "file_id" else ", or switch it off with null"
            has = f"has it as {column.type}" if column else "lacks it"
            raise InvalidInput(
                f"The row column {name} must be a {_ROW_TYPES[key]}; the table {has}.",
                hint=f"Give it another name in row_columns.{key}{off}.",
            )
        found[key] = (column.name, column.field_id) if column and column.field_id is not None else None
    file_id = found["file_id"]
    if file_id is None:
        raise InvalidInput(
            "row_columns.file_id cannot be switched off.",
            hint="Give it another name, or leave it out: the ledger finds the rows of a file by it.",
        )
    return RowColumns(file_id, found["source_file"], found["ingested_at"], found["rescued_data"])


# --- files -----------------------------------------------------------------------------------


class LocalFiles:
    """Files of a batch on this machine: read where they are, or fetched into the spool, as much at a time as fits."""

    def __init__(
        self, store: Store, spool: Spool, settings: Settings, shape: FormatShape, *, packs: bool = False
    ) -> None:
        """`packs`: many small files may come as parts of one, where the format's reader takes that."""
        self.store = store
        self.packs = packs and shape.type in READ_FROM_PACKS
        self.spool = spool
        self.shape = shape
        self.most = settings.spool_max_bytes

    def groups(self, files: Sequence[BatchFile]) -> Generator[Group]:
        """What can be parsed, and what could not be had, group by group. A group's copies go with the next one.

        While a group is worked on the next one is fetched, as far as both fit into the spool. Close the generator:
        that ends a fetch under way.
        """
        if self.store.kind == "local":
            yield [self._in_place(file) for file in files], []
            return
        groups = list(_cut(files, _share(files, self.most)))
        held: list[BatchFile] = []
        try:
            with FetchAhead(self._fetched) as ahead:
                for group, after in zip(groups, [*groups[1:], []], strict=True):
                    held = group
                    fetched = ahead.take(group)
                    if after and _size([*group, *after], self.most) <= self.most:
                        held = [*group, *after]
                        ahead.begin(after)
                    yield fetched
                    self.spool.release(file.file_id for file in group)
        finally:
            self.spool.release(file.file_id for file in held)

    def _in_place(self, file: BatchFile) -> ParseFile:
        size, _, stamp = file.version.partition("-")
        return self._parse_file(
            file, self.store.local_path(file.path) or Path(file.path), expected=(int(size), int(stamp))
        )

    def _fetched(self, group: Sequence[BatchFile], stopped: Callable[[], bool]) -> Group:
        good: list[ParseFile] = []
        bad: list[ParsedFile] = []
        answers = self.spool.fetch(self.store, group, stopped, packs=self.packs)
        for file, answer in zip(group, answers, strict=True):
            if isinstance(answer, SpooledFile):
                good.append(self._parse_file(file, answer.local_path, offset=answer.offset))
            else:
                bad.append(ParsedFile(file.file_id, "FAILED", reason=answer.reason, error=answer.error))
        return good, bad

    def _parse_file(
        self, file: BatchFile, local: Path, *, expected: tuple[int, int] | None = None, offset: int | None = None
    ) -> ParseFile:
        return ParseFile(
            file_id=file.file_id,
            path=file.path,
            local_path=str(local),
            size=file.size,
            compression=compression_of(file.path, self.shape),
            expected_stat=expected,
            offset=offset,
        )


def _share(files: Sequence[BatchFile], most: int) -> int:
    """Bytes of one group, so that fetching and parsing overlap. Few groups: each gives a data file of its own."""
    total = _size(files, most)
    count = min(_MOST_GROUPS, max(1, total // _LEAST_GROUP))
    largest = max((file.size for file in files if file.size <= most), default=0)  # lest a few files be left at the end
    return min(total // count + largest, most // 2) if count > 1 else most


def _cut(files: Sequence[BatchFile], share: int) -> Iterator[list[BatchFile]]:
    """Groups of about `share` bytes: more only where one file has them."""
    group: list[BatchFile] = []
    held = 0
    for file in files:
        if group and held + file.size > share:
            yield group
            group, held = [], 0
        group.append(file)
        held += file.size
    if group:
        yield group


def _size(files: Sequence[BatchFile], most: int) -> int:
    """Bytes in the spool; a file that never fits counts nothing, the spool refuses it."""
    return sum(file.size for file in files if file.size <= most)
