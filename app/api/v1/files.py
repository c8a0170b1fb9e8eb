"""Files of the ledger: list, read, explain; retry, skip and forget by hand."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from app.api.deps import Given
from app.api.documents import problems
from app.api.v1.common import Cursor, IngestionId, Limit, OfIngestion
from app.api.views.files import (
    FileId,
    FileName,
    FileOut,
    FilePageOut,
    FilesByName,
    FileSelection,
    FilesOf,
    FileStateWord,
    FileWithHistoryOut,
    FoundFilesOut,
    MovedOut,
    WhereOut,
)
from app.services.file_bulk_service import Moved
from app.services.file_query_service import FileFilter
from app.values import FileState

router = APIRouter(prefix="/v1", tags=["files"])

PathText = Annotated[str | None, Query(max_length=2048)]
OneFile = Annotated[FileId, Path(description="The file's id: `_file_id` of its rows.")]


@router.get("/files", summary="List files", responses=problems(404))
def list_files(
    given: Given,
    ingestion_id: OfIngestion,
    state: Annotated[list[FileStateWord] | None, Query(description="Only in this state; may be repeated.")] = None,
    reason: Annotated[str | None, Query(max_length=64, description="Only with this reason.")] = None,
    path: Annotated[PathText, Query(description="Exactly this path: its versions.")] = None,
    path_contains: Annotated[PathText, Query(description="Only paths that hold this text.")] = None,
    run_id: Annotated[UUID | None, Query(description="Only files that this run ended.")] = None,
    batch_id: Annotated[UUID | None, Query(description="Only files of this batch.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> FilePageOut:
    """The files of an ingestion by path, page by page."""
    wanted = FileFilter(
        ingestion_id=ingestion_id,
        states=tuple(state or ()),
        reason=reason,
        path=path,
        path_contains=path_contains,
        run_id=run_id,
        batch_id=batch_id,
    )
    return FilePageOut.model_validate(given.files.page(wanted, cursor, limit))


@router.get("/ledger", summary="List files in order of discovery", responses=problems(404))
def list_ledger(
    given: Given,
    ingestion_id: Annotated[UUID | None, Query(description="Only of this ingestion.")] = None,
    state: Annotated[list[FileStateWord] | None, Query(description="Only in this state; may be repeated.")] = None,
    path_contains: Annotated[PathText, Query(description="Only paths that hold this text.")] = None,
    limit: Limit = 100,
    cursor: Annotated[FileId | None, Query(description="Begin behind the file with this id.")] = None,
) -> FilePageOut:
    """The files of one ingestion or of all, the oldest first. `next_cursor` is the id of the page's last file."""
    after = int(cursor) if cursor is not None else 0
    wanted = (tuple(state or ()), path_contains)
    return FilePageOut.model_validate(given.files.ledger(ingestion_id, *wanted, after=after, limit=limit))


@router.get("/where", summary="Find a file by a name", responses=problems(404, 429))
def find_file(
    given: Given,
    name: Annotated[FileName, Query(description="Full path, end of a path, or id.")],
    ingestion_id: Annotated[UUID | None, Query(description="Only of this ingestion.")] = None,
) -> FoundFilesOut:
    """The versions that the ledger has, with their history; or else what each ingestion whose source covers the name
    says of it: which rule leaves it out, or that the next run will load it.
    """
    with given.at.long_call():
        known, told = given.files.find(name, ingestion_id)
    return FoundFilesOut.model_validate({"files": known, "explanations": told}, from_attributes=True)


@router.get("/files/{file_id}", summary="Read a file", responses=problems(404))
def read_file(given: Given, file_id: OneFile) -> FileWithHistoryOut:
    """One version of one file, with all that happened to it."""
    return FileWithHistoryOut.model_validate(given.files.read(int(file_id)))


@router.get("/ingestions/{ingestion_id}/where", summary="Ask where a file is", responses=problems(404, 429))
def where_is_file(
    given: Given,
    ingestion_id: IngestionId,
    path: Annotated[str, Query(min_length=1, max_length=2048, description="Its full path, or below the source.")],
) -> WhereOut:
    """The versions that the ledger has; or else which rule leaves the file out, or that the next run will load it."""
    with given.at.long_call():
        known, told = given.files.explain(ingestion_id, path)
    return WhereOut.model_validate({"files": known, "explanations": told}, from_attributes=True)


# --- by hand ---------------------------------------------------------------------------------


@router.post("/files/retry", summary="Let files wait for the next run again", responses=problems(404, 409))
def retry_files(given: Given, selection: FileSelection) -> MovedOut:
    """Quarantined, skipped or failed files wait again; a loaded one never does: its rows would be doubled."""
    return _moved(given, selection, FileState.DISCOVERED)


@router.post("/files/skip", summary="Leave files out", responses=problems(404, 409))
def skip_files(given: Given, selection: FileSelection) -> MovedOut:
    """They are not loaded from now on; retry takes it back."""
    return _moved(given, selection, FileState.SKIPPED)


@router.post("/files/forget", summary="Take files out of the ledger", responses=problems(404, 409))
def forget_files(given: Given, selection: FileSelection) -> MovedOut:
    """Files that were never loaded: a listing that shows them finds them new. Their history goes."""
    return _moved(given, selection, None)


@router.post("/files/{file_id}/retry", summary="Let a file wait for the next run again", responses=problems(404, 409))
def retry_file(given: Given, file_id: OneFile) -> FileOut:
    """The same for one file."""
    given.file_moves.by_ids([int(file_id)], FileState.DISCOVERED)
    return FileOut.model_validate(given.files.read(int(file_id)))


@router.post("/files/{file_id}/skip", summary="Leave a file out", responses=problems(404, 409))
def skip_file(given: Given, file_id: OneFile) -> FileOut:
    """The same for one file."""
    given.file_moves.by_ids([int(file_id)], FileState.SKIPPED)
    return FileOut.model_validate(given.files.read(int(file_id)))


@router.post("/files/{file_id}/forget", summary="Take a file out of the ledger", responses=problems(404, 409))
def forget_file(given: Given, file_id: OneFile) -> MovedOut:
    """The same for one file."""
    return MovedOut.model_validate(given.file_moves.by_ids([int(file_id)], None))


def _moved(given: Given, selection: FileSelection, target: FileState | None) -> MovedOut:
    if selection.named is not None:
        return _moved_by_name(given, selection.named, target)
    done: Moved
    if selection.filter is not None:
        done = given.file_moves.by_filter(_filter(selection.filter), target)
    else:
        done = given.file_moves.by_ids([int(one) for one in dict.fromkeys(selection.ids or ())], target)
    return MovedOut.model_validate(done)


def _moved_by_name(given: Given, wanted: FilesByName, target: FileState | None) -> MovedOut:
    done = given.files.move(wanted.names, wanted.ingestion_id, target)
    return MovedOut.model_validate(
        {"moved": done.count, "refused": 0, "refusals": (), "more": False, "files": done.files}, from_attributes=True
    )


def _filter(wanted: FilesOf) -> FileFilter:
    return FileFilter(
        ingestion_id=wanted.ingestion_id,
        states=wanted.states,
        reason=wanted.reason,
        path_contains=wanted.path_contains,
        run_id=wanted.run_id,
    )
