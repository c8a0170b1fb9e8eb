"""`autoloader runs …`: what was run, and what came of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.completion import ingestions
from app.cli.exits import BY_RUN_STATE
from app.cli.load import tell
from app.cli.opening import backend
from app.cli.options import Json
from app.cli.output import Output
from app.cli.progress import Watcher
from app.cli.run_states import shown_state
from app.cli.text import listed, moment, number, plural, safe, seconds, shell, size
from app.errors import NotFound
from app.values import RunState

if TYPE_CHECKING:
    from app.services.run_view_service import RunView

app = typer.Typer(no_args_is_help=True, help="Runs: list, show one with its batches, cancel, retry.")

Ingestion = Annotated[
    str | None, typer.Argument(metavar="[INGESTION]", help="Only runs of this ingestion.", autocompletion=ingestions)
]
States = Annotated[list[RunState] | None, typer.Option("--state", help="Only runs in this state; may be repeated.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Most runs shown, the newest first.")]
RunId = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="Id of the run, or its beginning; without it, the newest run.")
]

OneRun = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, or its beginning.")]
AtOnce = Annotated[
    bool, typer.Option("--at-once", help="Do not ask Prefect to end it in order: take its lease from it now.")
]
Quarantined = Annotated[
    bool, typer.Option("--quarantined", help="Let the files that the run quarantined wait again, too.")
]


@app.command("list")
def list_(ingestion: Ingestion = None, state: States = None, limit: Limit = 20, as_json: Json = False) -> None:
    """List runs, the newest first.

    A run whose process died stands as LOST here until the next one ends it: it is stored as RUNNING.

    Example: autoloader runs list shop.orders --state FAILED --state PARTIAL --limit 5
    """
    out, states = Output(as_json), [one.value for one in state or []]
    with backend() as at:
        views = at.runs.listed(ingestion, limit, states)
    out.answer({"runs": views}, lambda: _list(out, views, states))


def _list(out: Output, views: list[RunView], states: list[str]) -> None:
    if states and not views:
        out.line(f"No run is {' or '.join(states)}. All: autoloader runs list")
        return
    if not views:
        out.line("There is no run yet. Begin: autoloader load SOURCE TABLE")
        return
    head = ("run", "ingestion", "state", "started", "took", "files", "rows", "not loaded", "trigger")
    out.table(head, [_row(view) for view in views], right=(5, 6, 7))


def _row(view: RunView) -> tuple[object, ...]:
    files = view.metrics.get("files", {})
    left = sum(count for state, count in files.items() if state != "loaded")
    return (
        view.id,
        view.ingestion,
        state_of(view),
        moment(view.started_at),
        took(view),
        number(files.get("loaded")),
        number(view.metrics.get("rows")),
        number(left) if files else "",
        view.trigger,
    )


def state_of(view: RunView) -> str:
    return shown_state(view.state, alive=view.alive)


def took(view: RunView) -> str:
    """How long it ran, or has been running; of a lost one nobody knows."""
    if state_of(view) == "LOST":
        return ""
    return seconds(((view.finished_at or datetime.now(UTC)) - view.started_at).total_seconds())


@app.command()
def show(run: RunId = None, as_json: Json = False) -> None:
    """Show one run: its numbers, its batches, and the files that were not loaded.

    Example: autoloader runs show
    """
    out = Output(as_json)
    with backend() as at:
        newest = at.runs.newest() if run is None else None
        if run is None and newest is None:
            raise NotFound("There is no run yet.", hint="Begin: autoloader load SOURCE TABLE")
        view = at.runs.show(run or str(newest and newest.id))
    out.answer(view, lambda: _show(out, view))


def _show(out: Output, view: RunView) -> None:
    metrics = view.metrics
    found, files = metrics.get("discovered", {}), metrics.get("files", {})
    out.fields(
        [
            ("run", view.id),
            ("ingestion", view.ingestion),
            ("table", view.table),
            ("trigger", f"{view.trigger} ({view.trigger_id})" if view.trigger_id else view.trigger),
            ("state", state_of(view)),
            ("error", f"{view.error_code}: {view.error}" if view.error else ""),
            ("started", moment(view.started_at)),
            ("finished", moment(view.finished_at)),
            ("took", took(view)),
            ("steps", ", ".join(f"{name} {seconds(spent)}" for name, spent in metrics.get("seconds", {}).items())),
            ("listed", number(found.get("listed"))),
            ("new", f"{plural(found.get('new', 0), 'file')}, {size(found.get('new_bytes'))}" if found else ""),
            ("left out", listed(found.get("skipped", {}))),
            ("files", ", ".join(f"{count:,} {state}" for state, count in files.items() if count)),
            ("rows", number(metrics.get("rows"))),
            ("rescued", number(metrics.get("rescued"))),
            ("rejected", number(metrics.get("rejected"))),
            ("waiting", number(metrics.get("waiting"))),
            *(("note", note) for note in metrics.get("notes", ())),
        ]
    )
    if state_of(view) == "LOST":
        again = f"autoloader ingestions run {shell(view.ingestion)}"
        out.line(f"Its process is gone; the next run finishes what it began: {again}", "yellow")
    if view.batches:
        out.line()
        rows = [
            (b.id, b.outcome or b.state, b.engine or "", number(b.file_count), number(b.rows), b.snapshot_id)
            for b in view.batches
        ]
        out.table(("batch", "outcome", "engine", "files", "rows", "snapshot"), rows, right=(3, 4))
        if view.batch_count > len(view.batches):
            out.line(f"… and {view.batch_count - len(view.batches):,} more batches")
    if view.not_loaded:
        out.line()
        left = [(file.path, file.state, file.reason, file.error) for file in view.not_loaded]
        out.table(("not loaded", "state", "reason", "why"), left)
        out.line(f"One file's history: autoloader files show {shell(safe(view.not_loaded[0].path))}")


# --- steering --------------------------------------------------------------------------------


@app.command()
def cancel(run: OneRun, at_once: AtOnce = False, as_json: Json = False) -> None:
    """End a run that goes on. Nothing is half done: the next run goes on with its batches.

    Example: autoloader runs cancel 0b1c2d3e
    """
    out = Output(as_json)
    with backend() as at:
        done = at.cancel(at.runs.show(run).id, at_once=at_once)
    look = f"Look again in a moment: autoloader runs show {done.run_id}"
    sentence = f"Prefect ends run {done.run_id} now. {look}" if done.asked else f"Run {done.run_id} is cancelled."
    out.answer(done, lambda: out.line(sentence))


@app.command()
def retry(run: OneRun, quarantined: Quarantined = False, as_json: Json = False) -> None:
    """Run the ingestion again, after a run that did not load all there was. Exit codes as of `ingestions run`.

    Example: autoloader runs retry 0b1c2d3e --quarantined
    """
    out = Output(as_json)
    with backend() as at:
        before = at.runs.show(run)
        with Watcher(out) as progress:
            summary = at.retry(before, progress, quarantined=quarantined)
        tell(out, at, before.ingestion, before.table, summary)
    raise typer.Exit(BY_RUN_STATE[summary.state])
