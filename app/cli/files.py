"""`autoloader files …`: where is this file now?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.completion import ingestions
from app.cli.ingestions import confirm
from app.cli.opening import backend
from app.cli.options import Json, OfIngestion, Yes
from app.cli.output import Output
from app.cli.text import moment, number, plural, safe, shell, size
from app.errors import InvalidInput, NotFound
from app.values import FileState

if TYPE_CHECKING:
    from app.cli.opening import Backend
    from app.services.explain_service import Explanation
    from app.services.file_service import Moved
    from app.services.file_view import FileView

app = typer.Typer(no_args_is_help=True, help="Files: list, show where one is and why, retry, skip, forget.")


Ingestion = Annotated[
    str | None, typer.Argument(metavar="[INGESTION]", help="Only files of this ingestion.", autocompletion=ingestions)
]
States = Annotated[list[FileState] | None, typer.Option("--state", help="Only files in this state; may be repeated.")]
Path = Annotated[str | None, typer.Option("--path", metavar="TEXT", help="Only files whose path holds this text.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Most files shown.")]
After = Annotated[int, typer.Option("--after", metavar="ID", help="Begin behind the file with this id.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="Path, the end of a path, or id.")]
Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="Paths, ends of paths, or ids.")]
MaybeFiles = Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="Paths, ends of paths, or ids.")]


@app.command("list")
def list_(
    ingestion: Ingestion = None,
    state: States = None,
    path: Path = None,
    limit: Limit = 100,
    after: After = 0,
    as_json: Json = False,
) -> None:
    """List the files of the ledger, in order of discovery.

    Example: autoloader files list shop.orders --state QUARANTINED
    """
    out = Output(as_json)
    states = [one.value for one in state or []]
    with backend() as at:
        found = at.files.listed(ingestion, states, path, after, limit + 1)
    shown, more = found[:limit], len(found) > limit
    following = shown[-1].id if more else None
    narrowed = _narrowed(states, path, after)
    out.answer(
        {"files": shown, "next_after": following},
        lambda: _list(out, shown, following) if shown else _none(out, ingestion, narrowed),
    )


def _narrowed(states: list[str], path: str | None, after: int) -> str:
    """The filters but the ingestion in words; empty for none."""
    told = [f"in the state {' or '.join(states)}"] if states else []
    told += [f"whose path holds {path!r}"] if path else []
    told += [f"behind the id {after}"] if after else []
    return " ".join(told)


def _none(out: Output, ingestion: str | None, narrowed: str) -> None:
    asked = " ".join(filter(None, (f"of {ingestion}" if ingestion else "", narrowed)))
    out.line(f"The ledger has no file {safe(asked)}." if asked else "The ledger has no file yet.")
    if ingestion and narrowed:
        out.line(f"All that it has of it: autoloader files list {shell(safe(ingestion))}")
    elif asked:
        out.line("All that it has: autoloader files list")
    out.line("Why a file is not in it: autoloader files show PATH")


def _list(out: Output, views: list[FileView], following: int | None) -> None:
    rows = [
        (view.id, view.state, view.reason, number(view.rows), size(view.size), _owner(view), view.path, view.error)
        for view in views
    ]
    head = ("id", "state", "reason", "rows", "size", "ingestion", "path", "why")
    out.table(head, rows, right=(3, 4))
    if following is not None:
        out.line(f"There are more: --after {following}")


def _owner(view: FileView) -> str:
    """The ingestion; of a deleted one that it is."""
    return f"{view.ingestion} (deleted)" if view.ingestion_deleted_at else view.ingestion


# --- one file --------------------------------------------------------------------------------


@app.command()
def show(file: File, ingestion: OfIngestion = None, as_json: Json = False) -> None:
    """Tell where a file is now: state, reason, attempts, run, batch, snapshot, rows and history.

    Of a file that the ledger does not know, tell which rule leaves it out, or that the next run will load it.

    Example: autoloader files show orders-2026-01-31.csv
    """
    out = Output(as_json)
    with backend() as at:
        views, told = at.where(file, ingestion)
    if not views and not told:
        raise NotFound(
            f"The ledger knows no file {file!r}, and it is below no ingestion's source.",
            hint="Give its full path; see the sources with: autoloader ingestions list",
        )
    out.answer({"files": views, "explanations": told}, lambda: _show(out, views, told))


def _show(out: Output, views: list[FileView], told: list[Explanation]) -> None:
    for one in told:
        out.line(f"{safe(one.path)} is not in the ledger of {safe(one.ingestion)}.")
        out.line(f"  {safe(one.reason)}: {safe(one.sentence)}")
    if len({view.path for view in views}) > 1:
        rows = [(view.id, view.state, view.reason, _owner(view), view.path) for view in views]
        out.table(("id", "state", "reason", "ingestion", "path"), rows)
        out.line(f"Several files; one of them: autoloader files show {views[0].id}")
        return
    for at, view in enumerate(views):
        if at:
            out.line()
        _show_one(out, view)


def _show_one(out: Output, view: FileView) -> None:
    from app.services.reasons import REASONS, retry_can_help

    out.fields(
        [
            ("path", view.path),
            ("id", view.id),
            ("state", view.state),
            ("reason", view.reason),
            ("why", view.error),
            ("ingestion", _owner(view)),
            ("version", view.version),
            ("size", f"{size(view.size)} ({number(view.size)} bytes)"),
            ("modified", moment(view.modified_at)),
            ("discovered", f"{moment(view.discovered_at)} by run {view.discovered_run_id}"),
            ("attempts", view.attempts),
            ("batch", f"{view.batch_id} {view.batch_state}" if view.batch_id else ""),
            ("snapshot", view.snapshot_id),
            ("rows", number(view.rows)),
            ("rescued", number(view.rescued)),
            ("rejected", number(view.rejected)),
        ]
    )
    if view.history:
        rows = [(moment(e.at), e.state, e.reason, e.run_id, e.error) for e in view.history]
        out.line()
        out.table(("when", "state", "reason", "run", "why"), rows)
    if view.state in {FileState.QUARANTINED, FileState.SKIPPED, FileState.FAILED}:
        known = REASONS.get(view.reason or "")
        if known is not None:
            out.line(f"{known.meaning[0].upper()}{known.meaning[1:]}. {known.next_step}")
        if retry_can_help(view.reason):
            out.line(f"Try it again: autoloader files retry {view.id}")


# --- by hand ---------------------------------------------------------------------------------


@app.command()
def retry(
    files: MaybeFiles = None,
    ingestion: OfIngestion = None,
    state: Annotated[
        list[FileState] | None, typer.Option("--state", help="Without FILE: every file of --ingestion in this state.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let files wait for the next run again: quarantined, skipped or failed ones, never loaded ones.

    By --state, files that another try cannot help (empty ones, and versions that another one replaced before they were
    loaded) are left.

    Example: autoloader files retry --ingestion shop.orders --state QUARANTINED
    """
    if files and state:
        raise InvalidInput("Name files or states, not both.", hint="Leave out --state, or the files.")
    if not files and not (state and ingestion):
        raise InvalidInput(
            "No file is named.", hint="Name files, or all in a state: --ingestion NAME --state QUARANTINED"
        )
    if files:
        _by_hand(Output(as_json), _WAIT, lambda at: at.files.retry(files, ingestion))
    else:
        states = [one.value for one in state or []]
        _by_hand(Output(as_json), _WAIT, lambda at: at.files.retry_all(str(ingestion), states))


@app.command()
def skip(files: Files, ingestion: OfIngestion = None, as_json: Json = False) -> None:
    """Leave files out from now on; `retry` takes it back.

    Example: autoloader files skip orders-2026-01-31.csv
    """
    _by_hand(Output(as_json), ("is left out", "are left out"), lambda at: at.files.skip(files, ingestion))


@app.command()
def forget(files: Files, ingestion: OfIngestion = None, yes: Yes = False, as_json: Json = False) -> None:
    """Take files that were never loaded out of the ledger; a listing that shows them finds them new.

    Example: autoloader files forget orders-2026-01-31.csv
    """
    if not yes:  # nobody is asked about what is not there
        with backend() as at:
            at.files.require_known(files, ingestion)
    confirm(f"Forget {plural(len(files), 'file')} with history?", yes=yes, as_json=as_json)
    _by_hand(Output(as_json), ("is forgotten", "are forgotten"), lambda at: at.files.forget(files, ingestion))


_WAIT = ("waits for the next run", "wait for the next run")


def _by_hand(out: Output, what: tuple[str, str], act: Callable[[Backend], Moved]) -> None:
    with backend() as at:
        moved = act(at)
    document = {"count": moved.count, "files": moved.files, "left": moved.left}
    out.answer(document, lambda: _moved(out, what, moved))


def _moved(out: Output, what: tuple[str, str], moved: Moved) -> None:
    out.line(f"{plural(moved.count, 'file')} {what[moved.count != 1]}.")
    for view in moved.files[:10]:
        out.line(f"  {view.id}  {safe(view.path)}")
    if moved.count > 10:  # noqa: PLR2004 - as many as are shown
        out.line(f"  … and {moved.count - 10:,} more")
    for reason, count in moved.left.items():
        out.line(f"Left, as another try cannot help: {plural(count, 'file')} {safe(reason)}. {_why_left(reason)}")
    if moved.files and moved.files[0].ingestion_deleted_at and what is _WAIT:
        out.line("Its ingestion is deleted: made again for the same source and table, it loads what waits.")
    elif moved.files and what is _WAIT:
        out.line(f"Run it: autoloader ingestions run {shell(moved.files[0].ingestion)}")


def _why_left(reason: str) -> str:
    from app.services.reasons import REASONS

    known = REASONS.get(reason)
    return f"{known.meaning[0].upper()}{known.meaning[1:]}. {known.next_step}" if known else ""
