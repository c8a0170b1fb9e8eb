"""`autoloader load`: what is new, from a folder or a bucket into a table; with `--watch` as it arrives."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import signals
from app.cli.embedded import Embedded
from app.cli.exits import BY_RUN_STATE, Exit
from app.cli.opening import backend
from app.cli.options import Json
from app.cli.output import Output
from app.cli.progress import Watcher
from app.cli.shape_options import shape_options
from app.cli.summaries import run_document, show_run
from app.cli.text import shell
from app.errors import AutoloaderError, Interrupted, InvalidInput, OutputRefused

if TYPE_CHECKING:
    from uuid import UUID

    from app.cli.opening import Backend
    from app.services.context import IngestionInfo
    from app.services.ingestion_view import IngestionView
    from app.services.metrics import RunSummary

    Known = IngestionInfo | IngestionView

_EVERY = 10.0
_WAITING_PAUSE = 60.0  # files that failed are tried again after this, not at every look

Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="Folder, file, s3://, az:// or gs:// address; may end in a quoted glob.")
]
Table = Annotated[
    str,
    typer.Argument(metavar="TABLE", help="namespace.table or catalog.namespace.table; made when it does not exist."),
]
FromNow = Annotated[
    bool, typer.Option("--from-now", help="Of a new ingestion, the same as --start now: only what comes from now on.")
]
Watch = Annotated[
    bool,
    typer.Option("--watch", help="Go on as files arrive, until Ctrl-C. With --json: one document a line for each run."),
]
Every = Annotated[
    float, typer.Option("--every", metavar="SECONDS", min=0.1, help="With --watch: pause between two listings.")
]


@shape_options("source", "format", "destination", "columns", "row_columns", "policies", "engine", "cluster", "name")
def load(
    source: Source,
    table: Table,
    given: dict[str, Any],
    *,
    from_now: FromNow = False,
    watch: Watch = False,
    every: Every = _EVERY,
    as_json: Json = False,
) -> None:
    """Load new files of SOURCE into the Iceberg table TABLE, each exactly once.

    The first call makes an ingestion and stores the options; the next ones need only SOURCE and TABLE, and load what
    is new. An option given again that differs changes the ingestion. With a server, SOURCE is what the server reaches,
    and a worker runs it; Ctrl-C leaves the run going on. Exit code 3: something was not loaded.

    Example: autoloader load s3://landing/orders shop.orders --connection lake
    """
    if from_now:
        given = _from_now(given)
    out = Output(as_json, compact=watch)
    with backend() as at:
        if watch and not isinstance(at, Embedded):
            raise InvalidInput(
                "--watch looks from this machine; a server looks by itself.",
                hint="Load without --watch, then give the ingestion an arrival with poll_seconds, or a schedule:"
                " autoloader apply -f FILE",
            )
        prepared = at.prepare(source, table, given)
        if prepared.created:
            out.note(f"Made the ingestion {prepared.ingestion.name}.")
        for note in prepared.notes:
            out.note(note)
        try:
            if watch and isinstance(at, Embedded):
                code = _Watch(out, at, at.ingestions.find(str(prepared.ingestion.id)), every).until_stopped()
            else:
                code = run_once(out, at, prepared.ingestion)
        except AutoloaderError as error:
            if prepared.created and not isinstance(error, OutputRefused):  # after that nothing is left to be done
                _tell_kept(out, prepared.ingestion.name, again=error.retryable)
            raise
    raise typer.Exit(code)


def _tell_kept(out: Output, name: str, *, again: bool) -> None:
    """What a first load that fails leaves behind: its source was reached, so that it is no typing error of that.

    `again`: whether the same command can do better.
    """
    how = (
        "the same command goes on."
        if again
        else "do first what `Next` says, then the same command goes on, with the option that is named there, if any."
    )
    out.note(f"The ingestion {name} is kept: {how} To remove it: autoloader ingestions delete {shell(name)}")


def _from_now(given: dict[str, Any]) -> dict[str, Any]:
    source = given.get("source", {})
    if source.get("start", "now") != "now":
        raise InvalidInput("--from-now and --start say different things.", hint="Give one of them.")
    return {**given, "source": {**source, "start": "now"}}


def run_once(out: Output, at: Backend, ingestion: Known, seconds: float | None = None) -> Exit:
    """Run it, tell how it ended, and answer the exit code."""
    summary = execute(out, at, ingestion.id, ingestion.name, seconds)
    tell(out, at, ingestion.name, ingestion.table_name, summary)
    return BY_RUN_STATE[summary.state]


def execute(out: Output, at: Backend, ingestion_id: UUID, name: str, seconds: float | None = None) -> RunSummary:
    """One run, watched."""
    with Watcher(out) as progress:
        return at.run(ingestion_id, name, progress, seconds)


def tell(out: Output, at: Backend, name: str, table: str, summary: RunSummary) -> None:
    not_loaded = at.runs.not_loaded(summary.run_id) if summary.state != "SUCCESS" else ()
    told = (name, table, summary, not_loaded)
    here = isinstance(at, Embedded)  # such a run says its reason as it ends
    out.answer(run_document(*told), lambda: show_run(out, *told, reason_told=here))


# --- watching --------------------------------------------------------------------------------


@dataclass
class _Watch:
    """Runs now, then whenever a listing shows something new. Ctrl-C while no run is active is the regular end."""

    out: Output
    at: Embedded
    ingestion: IngestionInfo
    every: float
    running: bool = False
    last: float = 0.0  # end of the last run
    worst: Exit = Exit.OK

    def until_stopped(self) -> Exit:
        """Answers the worst exit code of all runs. Raises Stopped when a run was interrupted."""
        self.out.note(f"Watching {self.ingestion.shape.source.url} every {self.every:g} s; Ctrl-C ends it.")
        try:
            while True:
                self._look()
                if self.out.unheard:
                    return self.worst
                signals.check()  # a step that goes on after any error may have taken the signal's for one
                time.sleep(self.every)
        except Interrupted:
            if self.running:
                raise
            self.out.note("Stopped.")
            return self.worst

    def _look(self) -> None:
        try:
            if not self.last or self._has_work():
                self._run()
        except AutoloaderError as error:
            if not error.retryable:
                raise
            self.running = False
            self.out.note(f"{error.message} Trying again in {self.every:g} s.")

    def _has_work(self) -> bool:
        from app.services.load_service import LoadService

        service = LoadService(self.at.database, self.at.settings)
        if service.has_work(self.ingestion):
            return True
        return time.monotonic() - self.last > _WAITING_PAUSE and service.waiting(self.ingestion) > 0

    def _run(self) -> None:
        # It may have been changed meanwhile.
        self.ingestion = self.at.ingestions.find(str(self.ingestion.id))
        self.running = True
        summary = execute(self.out, self.at, self.ingestion.id, self.ingestion.name)
        self.running = False
        self.last = time.monotonic()
        self.worst = max(self.worst, BY_RUN_STATE[summary.state])
        tell(self.out, self.at, self.ingestion.name, self.ingestion.table_name, summary)
