"""Which file may move to which state, and what a listed version means beside those that are known."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from app.database import Session
from app.errors import IllegalTransition
from app.found_files import FoundFiles
from app.repositories import file_moves
from app.repositories import files as files_repository
from app.repositories.files import KnownFile, NewFile
from app.values import (
    BATCH_TRANSITIONS,
    FILE_TRANSITIONS,
    BatchState,
    FileOutcome,
    FileState,
    FoundFile,
    ListedPage,
)

# Reasons, the stable words of the ledger.
MISSING = "missing"
CHANGED = "changed"
SUPERSEDED = "superseded"
EMPTY = "empty"
ON_CHANGE_IGNORE = "on-change-ignore"
ON_CHANGE_FAIL = "on-change-fail"
BY_HAND = "by-hand"
DIED = "parser-died"
JOB_FAILED = "job-failed"

# The content will not get better: a new version of the path is what helps.
HOPELESS = frozenset({"truncated", "undecodable", "not-this-format", "expansion", "too-large", DIED})
# The version was never loaded, and may be listed again.
REVIVABLE = frozenset({MISSING, CHANGED, SUPERSEDED, ON_CHANGE_IGNORE})
# Another try of all of them helps none: another version took its place, or it holds nothing. Not `changed`: beside a
# loaded version only a retry takes one that was put back, and a needless try costs less than a file left out.
FUTILE = frozenset({SUPERSEDED, EMPTY})

LOAD_AGAIN = "To have its rows once more, load its source into another table: autoloader load SOURCE NAMESPACE.TABLE"


def require_file_move(path: str, old: FileState, new: FileState) -> None:
    """Raise IllegalTransition, with the reason, unless a file may go from `old` to `new`."""
    if new in FILE_TRANSITIONS[old]:
        return
    if old is FileState.SUCCESS:
        again = LOAD_AGAIN if new is FileState.DISCOVERED else ""
        raise IllegalTransition(
            f"{path} is loaded (SUCCESS); it cannot become {new}.",
            hint=f"A loaded version is never loaded again: that would double its rows. {again}".rstrip(),
        )
    raise IllegalTransition(f"{path} is {old}; it cannot become {new}.", hint="See `autoloader files show`.")


def require_batch_move(batch_id: UUID, old: BatchState, new: BatchState) -> None:
    """Raise IllegalTransition unless a batch may go from `old` to `new`."""
    if new not in BATCH_TRANSITIONS[old]:
        raise IllegalTransition(
            f"Batch {batch_id} is {old}; it cannot become {new}.", hint="Run again: the next run looks where it is."
        )


# --- recording a page ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """What recording one listed version does."""

    insert: NewFile | None = None
    revive: int | None = None
    supersede: tuple[int, ...] = ()
    counted_as: str = "known"


def judge(found: FoundFile, known: Sequence[KnownFile], on_change: str) -> Verdict:
    """What a listed version means, given all known versions of its path.

    `on_change` matters only when another version was loaded, or is in a batch that may still land:
    a version that replaces one that never got in is simply the file now.
    """
    same = next((k for k in known if k.version == found.version), None)
    others = [k for k in known if k.version != found.version]
    if same is not None and not (same.state == FileState.SKIPPED and same.reason in REVIVABLE):
        return Verdict()
    taken = any(k.state == FileState.SUCCESS or k.pending for k in others)
    if not taken:
        old = tuple(k.id for k in others if k.state in {FileState.DISCOVERED, FileState.FAILED, FileState.QUARANTINED})
        if same is not None:
            return Verdict(revive=same.id, supersede=old, counted_as="new")
        return Verdict(insert=NewFile(found, FileState.DISCOVERED), supersede=old, counted_as="new")
    if same is not None:
        if same.reason in {MISSING, CHANGED} and on_change == "append":
            return Verdict(revive=same.id, counted_as="new")
        return Verdict(counted_as=same.reason or "known")
    return _changed(found, on_change)


def _changed(found: FoundFile, on_change: str) -> Verdict:
    if on_change == "append":
        return Verdict(insert=NewFile(found, FileState.DISCOVERED), counted_as="new")
    if on_change == "fail":
        sentence = "The file changed after it was loaded, and the ingestion says on_change: fail."
        return Verdict(
            insert=NewFile(found, FileState.QUARANTINED, ON_CHANGE_FAIL, sentence), counted_as=ON_CHANGE_FAIL
        )
    sentence = "The file changed after it was loaded, and the ingestion says on_change: ignore."
    return Verdict(insert=NewFile(found, FileState.SKIPPED, ON_CHANGE_IGNORE, sentence), counted_as=ON_CHANGE_IGNORE)


@dataclass(slots=True)
class RecordCounts:
    """What recording pages came to."""

    new: int = 0
    new_bytes: int = 0
    known: int = 0
    left: dict[str, int] = field(default_factory=dict)  # reason → files recorded but not to be loaded

    def add(self, verdict: Verdict, size: int) -> None:
        if verdict.counted_as == "new":
            self.new += 1
            self.new_bytes += size
        elif verdict.counted_as == "known":
            self.known += 1
        else:
            self.left[verdict.counted_as] = self.left.get(verdict.counted_as, 0) + 1


def compare(
    session: Session, ingestion_id: UUID, page: ListedPage, on_change: str, counts: RecordCounts
) -> list[Verdict]:
    """Judge every file of a page; answers only the verdicts that change something.

    What the ledger has, and keeps as it is, goes by columns: of a page without news no value is made.
    """
    files, empty_files = FoundFiles.of(page.files), FoundFiles.of(page.empty)
    settled = _settled(session, ingestion_id, files, empty_files)
    if settled:
        files, empty_files = _beside(settled, files, counts), _beside(settled, empty_files, counts)
    listed = sorted((*files, *empty_files), key=lambda f: f.path)
    if not listed:
        return []
    empty = set(empty_files.paths)
    known = None
    if settled is not None:
        span = listed[0].path, listed[-1].path
        known = files_repository.known_between(session, ingestion_id, *span, _room(len(listed)))
    if known is None:
        known = files_repository.known_paths(session, ingestion_id, [f.path for f in listed])
    by_path: dict[str, list[KnownFile]] = {}
    for one in known:
        by_path.setdefault(one.path, []).append(one)
    verdicts = []
    for found in _once(listed):
        verdict = judge(found, by_path.get(found.path, ()), on_change)
        if found.path in empty:
            verdict = _empty(verdict)
        counts.add(verdict, found.size)
        if verdict.insert or verdict.revive is not None or verdict.supersede:
            verdicts.append(verdict)
    return verdicts


def _settled(
    session: Session, ingestion_id: UUID, files: FoundFiles, empty: FoundFiles
) -> Collection[tuple[str, str]] | None:
    """`(path, version)` that the ledger keeps as it is, among those of a page; None where the page spans too many
    other keys.
    """
    paths = {*files.paths, *empty.paths}
    if not paths or len(paths) < len(files) + len(empty):  # a path that is named twice is judged by its last entry
        return ()
    return files_repository.settled_between(
        session, ingestion_id, min(paths), max(paths), _room(len(paths)), but=REVIVABLE
    )


def _beside(settled: Collection[tuple[str, str]], files: FoundFiles, counts: RecordCounts) -> FoundFiles:
    """The files that are not settled; the others are counted as known."""
    rest = [at for at, key in enumerate(zip(files.paths, files.versions, strict=True)) if key not in settled]
    counts.known += len(files) - len(rest)
    return files.take(rest)


def _room(count: int) -> int:
    """How many ledger rows are read for so many listed files: a page of a listing in byte order spans few other keys,
    one out of order would span many.
    """
    return 4 * count + 1000


def _once(listed: Sequence[FoundFile]) -> Iterable[FoundFile]:
    """A page may name a path twice; the last entry counts."""
    last = {f.path: f for f in listed}
    return last.values()


def _empty(verdict: Verdict) -> Verdict:
    """An empty file is kept in the ledger, never loaded."""
    if verdict.insert is None:
        return replace(verdict, revive=None, counted_as="known")
    kept = replace(
        verdict.insert, state=FileState.SKIPPED, reason=EMPTY, error="The file is empty: there is nothing to load."
    )
    return replace(verdict, insert=kept, counted_as=EMPTY)


def store(session: Session, ingestion_id: UUID, run_id: UUID, verdicts: Sequence[Verdict], now: datetime) -> None:
    """Carry out the verdicts of one page, in the caller's transaction."""
    old = [file_id for v in verdicts for file_id in v.supersede]
    file_moves.move(
        session, old, FileState.SKIPPED, now, reason=SUPERSEDED, error="A newer version of the file took its place."
    )
    revived = [v.revive for v in verdicts if v.revive is not None]
    file_moves.move(session, revived, FileState.DISCOVERED, now, reason=None, error=None)
    files_repository.insert_new(session, ingestion_id, run_id, [v.insert for v in verdicts if v.insert], now)


# --- settling --------------------------------------------------------------------------------


def final_outcomes(
    outcomes: Sequence[FileOutcome], attempts: Mapping[int, int], max_attempts: int
) -> tuple[FileOutcome, ...]:
    """What each file ends as: hopeless content is quarantined at once, other failures after `max_attempts`,
    and a version that was gone or had changed is SKIPPED until it is listed again.
    """
    return tuple(_final(outcome, attempts.get(outcome.file_id, 1), max_attempts) for outcome in outcomes)


def _final(outcome: FileOutcome, attempts: int, max_attempts: int) -> FileOutcome:
    if outcome.state is not FileState.FAILED:
        return outcome
    if outcome.reason in {MISSING, CHANGED}:
        return replace(outcome, state=FileState.SKIPPED)
    if outcome.reason in HOPELESS:
        return replace(outcome, state=FileState.QUARANTINED)
    if attempts >= max_attempts:
        return replace(
            outcome, state=FileState.QUARANTINED, error=f"{outcome.error} Given up after {attempts} attempts."
        )
    return outcome
