"""Files as the API answers them, and which of them a call means."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from app.api.views.base import BigId, NextCursor, Told, View, examples
from app.schemas.ingestion import Shape

FileStateWord = Literal["DISCOVERED", "PROCESSING", "SUCCESS", "FAILED", "QUARANTINED", "SKIPPED"]


def _in_range(value: str) -> str:
    if int(value) >= 2**63:
        message = "there is no such id: it has more than 63 bits"
        raise ValueError(message)
    return value


FileId = Annotated[
    str,
    Field(pattern=r"^[1-9][0-9]{0,18}$", description="The file's id: `_file_id` of its rows."),
    AfterValidator(_in_range),
]

_FILE = {
    "id": "4611686018427387905",
    "ingestion": "orders",
    "ingestion_deleted_at": None,
    "path": "s3://shop/orders/2026-03-01.jsonl.gz",
    "version": '"9b2cf535f27731c974343645a3985328"',
    "size": 1_048_576,
    "modified_at": "2026-03-01T11:58:00Z",
    "state": "SUCCESS",
    "reason": None,
    "error": None,
    "attempts": 1,
    "batch_id": "b7e6c9a0-0000-4000-8000-000000000002",
    "batch_state": "SETTLED",
    "discovered_run_id": "a1b2c3d4-0000-4000-8000-000000000001",
    "discovered_at": "2026-03-01T12:00:00Z",
    "settled_at": "2026-03-01T12:00:03Z",
    "rows": 8200,
    "rescued": 0,
    "rejected": 0,
    "snapshot_id": "5936496482203646636",
}


class FileEventOut(View):
    """One thing that happened to a file after its discovery."""

    at: datetime
    state: FileStateWord
    reason: str | None
    error: Told | None
    run_id: UUID | None
    batch_id: UUID | None
    snapshot_id: BigId | None
    rows: int | None
    rescued: int | None
    rejected: int | None


class FileOut(View):
    """One version of one file as the ledger has it."""

    model_config = ConfigDict(json_schema_extra=examples(_FILE))

    id: BigId
    ingestion: str
    ingestion_deleted_at: datetime | None = Field(description="When its ingestion was deleted, whose ledger stays.")
    path: str
    version: str = Field(description="What tells this content from another at the same path.")
    size: int
    modified_at: datetime
    state: FileStateWord
    reason: str | None = Field(description="A stable word: why it is not loaded.")
    error: Told | None = Field(description="The same as a sentence.")
    attempts: int
    batch_id: UUID | None
    batch_state: str | None
    discovered_run_id: UUID
    discovered_at: datetime
    settled_at: datetime | None
    rows: int | None
    rescued: int | None
    rejected: int | None
    snapshot_id: BigId | None


class FileWithHistoryOut(FileOut):
    """One version of one file, with all that happened to it."""

    model_config = ConfigDict(json_schema_extra=examples({**_FILE, "history": []}))

    history: tuple[FileEventOut, ...]


class ExplanationOut(View):
    """Why an ingestion does not have a file."""

    ingestion: str
    path: str
    reason: str = Field(description="The rule that leaves it out, or `next-run`, `missing`, `unreachable`.")
    sentence: Told


class FoundFilesOut(View):
    """What a name means: versions of files with their history, or else why the ledger has no such file."""

    model_config = ConfigDict(json_schema_extra=examples({"files": [{**_FILE, "history": []}], "explanations": []}))

    files: tuple[FileWithHistoryOut, ...]
    explanations: tuple[ExplanationOut, ...]


class FilePageOut(View):
    """Part of the list of files."""

    items: tuple[FileOut, ...]
    next_cursor: NextCursor


class WhereOut(View):
    """Where a file is: its versions in the ledger, or else why the ledger does not have it."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {
                "files": [],
                "explanations": [
                    {
                        "ingestion": "orders",
                        "path": "s3://shop/orders/readme.txt",
                        "reason": "not-included",
                        "sentence": "Left out of orders: no include pattern matches.",
                    }
                ],
            }
        )
    )

    files: tuple[FileOut, ...]
    explanations: tuple[ExplanationOut, ...]


class FilesOf(Shape):
    """All files of one ingestion that a filter means."""

    ingestion_id: UUID
    states: tuple[FileStateWord, ...] = Field(min_length=1, max_length=6, description="Only files in these states.")
    reason: str | None = Field(default=None, max_length=64, description="Only files with this reason.")
    path_contains: str | None = Field(default=None, max_length=1024, description="Only paths that hold this text.")
    run_id: UUID | None = Field(default=None, description="Only files that this run ended.")


FileName = Annotated[
    str, Field(min_length=1, max_length=2048, description="Full path, end of a path, or id, as GET /v1/where takes it.")
]


class FilesByName(Shape):
    """Files as a person names them."""

    names: tuple[FileName, ...] = Field(
        min_length=1, max_length=1000, description="Each must mean one file; of its versions the newest that may move."
    )
    ingestion_id: UUID | None = Field(default=None, description="Only files of this ingestion.")


class FileSelection(Shape):
    """Which files a call means: some by their ids or names, or all that a filter means."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {"ids": ["4611686018427387905"]},
            {"named": {"names": ["2026-03-01.jsonl.gz"]}},
            {"filter": {"ingestion_id": "3f6c1f0e-7d55-4b0e-9d7c-0f3f1a2b4c5d", "states": ["QUARANTINED"]}},
        )
    )

    ids: tuple[FileId, ...] | None = Field(
        default=None, min_length=1, max_length=1000, description="These files, all or none of them."
    )
    named: FilesByName | None = Field(default=None, description="These files, all or none of them.")
    filter: FilesOf | None = Field(default=None, description="What may be moved of all that it means.")

    @model_validator(mode="after")
    def _one(self) -> FileSelection:
        if sum(given is not None for given in (self.ids, self.named, self.filter)) != 1:
            message = "give one of ids, named and filter"
            raise ValueError(message)
        return self


class RefusalOut(View):
    """A file that was not moved, and why."""

    id: BigId
    path: str
    state: FileStateWord
    why: Told


class MovedOut(View):
    """What became of the files that a call meant."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {"moved": 12, "refused": 0, "refusals": [], "more": False, "files": [], "left": {"empty": 1}}
        )
    )

    moved: int
    refused: int
    refusals: tuple[RefusalOut, ...] = Field(description="Some of those that were refused.")
    more: bool = Field(description="The filter means further files than one call moves: call again.")
    files: tuple[FileOut, ...] = Field(
        default=(), description="Those that were moved, of a filter the first 100; forgotten ones as they were."
    )
    left: dict[str, int] = Field(
        default_factory=dict, description="By reason, files of the filter that another try cannot help."
    )


class RejectOut(View):
    """A record that could not be parsed at all."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {
                "file_id": "4611686018427387905",
                "source_file": "s3://shop/orders/2026-03-01.jsonl.gz",
                "line": 17,
                "byte_offset": None,
                "reason": "malformed: the record is not valid JSON",
                "raw": '{"id": 17, "amount": ',
                "batch_id": "b7e6c9a0-0000-4000-8000-000000000002",
                "run_id": "a1b2c3d4-0000-4000-8000-000000000001",
                "ingested_at": "2026-03-01T12:00:02Z",
            }
        )
    )

    file_id: BigId
    source_file: str
    line: int | None
    byte_offset: int | None
    reason: str = Field(description="A stable word, and what is wrong.")
    raw: str | None = Field(description="The record as it stands in the file, cut where it is very long.")
    batch_id: UUID
    run_id: UUID
    ingested_at: datetime


class RejectPageOut(View):
    """Part of the rejected records of an ingestion."""

    items: tuple[RejectOut, ...]
    next_cursor: NextCursor
