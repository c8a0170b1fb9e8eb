"""`autoloader ingestions …`: what is configured, and how it stands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.completion import ingestions
from app.cli.estimate import estimate
from app.cli.load import run_once
from app.cli.opening import backend
from app.cli.options import IngestionName, Json, Yes
from app.cli.output import Output
from app.cli.preview import evidence_table
from app.cli.resolve import resolve
from app.cli.run_states import shown_state
from app.cli.text import moment, number, safe, shell
from app.errors import InvalidInput

if TYPE_CHECKING:
    from app.services.ingestion_view import IngestionView

app = typer.Typer(no_args_is_help=True, help="Ingestions: list, show, estimate, run, pause, resume, …")

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[INGESTION]...", help="Names; none: all.", autocompletion=ingestions)
]
Seconds = Annotated[
    float | None,
    typer.Option(
        "--seconds", metavar="SECONDS", min=0, help="Begin no further batch after this time; the run ends PARTIAL."
    ),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="With a server: ask for the run, and do not wait for its end.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the ingestions with their files by state.

    Example: autoloader ingestions list
    """
    out = Output(as_json)
    with backend() as at:
        views = at.ingestions.listed()
    out.answer({"ingestions": [document(view) for view in views]}, lambda: _list(out, views))


def _list(out: Output, views: list[IngestionView]) -> None:
    if not views:
        out.line("There is no ingestion yet. Make one: autoloader load SOURCE TABLE")
        return
    head = ("name", "table", "state", "schedule", "loaded", "waiting", "left out", "last run", "source")
    out.table(head, [_row(view) for view in views], right=(4, 5, 6))


def _row(view: IngestionView) -> tuple[object, ...]:
    waiting = sum(view.files.get(state, 0) for state in ("DISCOVERED", "PROCESSING", "FAILED"))
    left = view.files.get("QUARANTINED", 0) + view.files.get("SKIPPED", 0)
    last = f"{_last_state(view)} {moment(view.last_run_at)}" if view.last_run_state else "never"
    loaded = number(view.files.get("SUCCESS", 0))
    counts = loaded, number(waiting), number(left)
    return view.name, view.table_name, state_of(view), runs_when(view.config), *counts, last, view.source_url


def _last_state(view: IngestionView) -> str:
    return shown_state(view.last_run_state or "", alive=view.last_run_alive)


def runs_when(config: dict[str, Any]) -> str:
    """When it runs by itself, in a few words; `–` when only a person runs it."""
    schedule, arrival = config.get("schedule") or {}, config.get("arrival") or {}
    told = [str(schedule[kind]) for kind in ("cron", "rrule") if schedule.get(kind)]
    if schedule.get("interval_seconds"):
        told.append(f"every {_interval(schedule['interval_seconds'])}")
    if any(arrival.get(kind) for kind in ("poll_seconds", "notify", "queue")):
        told.append("on arrival")
    return ", ".join(told) or "–"


def _interval(seconds: float) -> str:
    """In the largest unit that it is a whole number of."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds % unit == 0:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"


def state_of(view: IngestionView) -> str:
    if view.blocked is not None:
        return "blocked"
    return "paused" if view.paused else "active"


def document(view: IngestionView) -> dict[str, Any]:
    from app.cli.plain import plain

    return {**plain(view), "state": state_of(view)}


@app.command()
def show(name: IngestionName, as_json: Json = False) -> None:
    """Show one ingestion: configuration, schema with its evidence, files by state, last run.

    Example: autoloader ingestions show shop.orders
    """
    out = Output(as_json)
    with backend() as at:
        view = at.ingestions.show(name)
    out.answer(document(view), lambda: _show(out, view))


def _show(out: Output, view: IngestionView) -> None:
    files = ", ".join(f"{count:,} {state}" for state, count in sorted(view.files.items()))
    out.fields(
        [
            ("name", view.name),
            ("id", view.id),
            ("state", state_of(view)),
            ("blocked", view.blocked),
            ("source", view.source_url),
            ("table", view.table_name),
            ("format", view.config.get("format", {}).get("type")),
            ("engine", view.config.get("engine")),
            ("cluster", view.config.get("cluster")),
            ("columns", view.schema_text or "not known yet: the first run infers them"),
            ("new cols", view.config.get("columns", {}).get("on_new_columns", "add_columns")),
            ("schedule", _schedule(view.config.get("schedule"))),
            ("arrival", _arrival(view.config.get("arrival"))),
            ("files", files or "none yet"),
            (
                "last run",
                f"{view.last_run_id} {_last_state(view)} {moment(view.last_run_at)}" if view.last_run_id else "",
            ),
            ("made", moment(view.created_at)),
            ("changed", moment(view.updated_at)),
        ]
    )
    if view.schema_evidence:
        out.line()
        seen = [
            (one.get("column"), one.get("type"), one.get("path"), one.get("example")) for one in view.schema_evidence
        ]
        evidence_table(out, seen, view.schema_text or "")
    out.line()
    out.line(f"Whole configuration: autoloader ingestions export {shell(view.name)}")
    if view.blocked is not None:
        out.line(f"Decide: autoloader ingestions resolve {shell(view.name)}", "red")


def _schedule(given: dict[str, Any] | None) -> str:
    if not given:
        return ""
    if given.get("interval_seconds"):
        return f"every {given['interval_seconds']:g} s"
    rule = f"cron {given['cron']}" if given.get("cron") else f"rrule {given.get('rrule')}"
    return f"{rule} ({given.get('timezone', 'UTC')})"


def _arrival(given: dict[str, Any] | None) -> str:
    if not given:
        return ""
    told = [f"listed every {given['poll_seconds']:g} s"] if given.get("poll_seconds") else []
    told += ["events at its hook"] if given.get("notify") else []
    told += [f"events of {given['queue']}"] if given.get("queue") else []
    return ", ".join(told) or "none"


app.command()(estimate)


@app.command()
def run(name: IngestionName, seconds: Seconds = None, no_wait: NoWait = False, as_json: Json = False) -> None:
    """Run an ingestion: load what is new. Exit code 3: something was not loaded.

    With a server, a worker runs it; Ctrl-C leaves the run going on.

    Example: autoloader ingestions run shop.orders --seconds 600
    """
    out = Output(as_json)
    with backend() as at:
        known = at.ingestions.find(name)
        if no_wait:
            wish = at.ask(known.id, known.name)
            document = {"ingestion": known.name, "table": known.table_name, "trigger_id": wish}
            see = f"autoloader runs list {shell(known.name)}"
            out.answer(document, lambda: out.line(f"A run of {safe(known.name)} is asked for. See it: {see}"))
            return
        code = run_once(out, at, known, seconds)
    raise typer.Exit(code)


@app.command()
def pause(name: IngestionName, as_json: Json = False) -> None:
    """Pause an ingestion: it refuses to run; a run that is active goes on to its end.

    Example: autoloader ingestions pause shop.orders
    """
    _pause(name, Output(as_json), paused=True)


@app.command()
def resume(name: IngestionName, as_json: Json = False) -> None:
    """Resume a paused ingestion.

    Example: autoloader ingestions resume shop.orders
    """
    _pause(name, Output(as_json), paused=False)


def _pause(name: str, out: Output, *, paused: bool) -> None:
    with backend() as at:
        info = at.ingestions.pause(name, paused=paused)
    word = "Paused" if paused else "Resumed"
    after = f"Resume it: autoloader ingestions resume {shell(info.name)}" if paused else ""
    after = after or f"Run it: autoloader ingestions run {shell(info.name)}"
    out.answer({"name": info.name, "paused": paused}, lambda: out.line(f"{word} {safe(info.name)}. {after}"))


@app.command()
def delete(name: IngestionName, yes: Yes = False, as_json: Json = False) -> None:
    """Delete an ingestion. Its table and its ledger stay: made again for the same source and table, it goes on.

    Example: autoloader ingestions delete shop.orders --yes
    """
    out = Output(as_json)
    with backend() as at:
        info = at.ingestions.show(name)
        confirm(f"Delete {info.name}? Its ledger, and what is in its table, stay.", yes=yes, as_json=as_json)
        at.ingestions.delete(info.name)
        table = f"there is no table {info.table_name}" if at.lacks(info.table_name) else "its table is left as it is"
    out.answer(
        {"name": info.name, "deleted": True},
        lambda: out.line(
            f"Deleted {safe(info.name)}; {safe(table)}. Its ledger stays: made again for the same source and table,"
            " it goes on where it stopped, and loads nothing twice."
        ),
    )


def confirm(question: str, *, yes: bool, as_json: bool) -> None:
    """Ask on the terminal. Raises InvalidInput where nobody can answer, Abort for a no."""
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise InvalidInput("Nobody is there to confirm it.", hint="Give --yes.")
    typer.confirm(safe(question), abort=True, err=True)


@app.command()
def export(names: Names = None, as_json: Json = False) -> None:
    """Write ingestions as YAML that `autoloader apply` reads.

    Example: autoloader ingestions export shop.orders
    """
    from app.services.apply_service import dumped

    with backend() as at:
        found = at.export(names or [])
    out = Output(as_json)
    out.answer({"ingestions": found}, lambda: out.document(dumped(found)))


app.command()(resolve)
