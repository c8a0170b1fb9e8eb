"""`autoloader prefect …`: what Prefect needs to know of us, set up and kept in step."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import Exit
from app.cli.opening import local_settings, opened
from app.cli.options import Json
from app.cli.output import Output
from app.cli.text import safe

if TYPE_CHECKING:
    from app.services.prefect_pool import PrefectHealth
    from app.services.reconcile_report import ReconcileReport
    from app.services.trigger_service import Delivery

app = typer.Typer(no_args_is_help=True, help="The Prefect server: set up, and kept in step with the ledger.")

Watch = Annotated[
    bool,
    typer.Option("--watch", help="Go on until Ctrl-C, and poll sources too: what the API does in the background."),
]


@app.callback()
def _group() -> None:
    """The Prefect server: set up, and kept in step with the ledger."""


@app.command()
def setup(as_json: Json = False) -> None:
    """Make the work pool and its queues where they are missing. May be repeated; what is there stays as it is."""
    from app.services.prefect_service import PrefectService

    out, settings = Output(as_json), local_settings("prefect setup")
    with PrefectService(settings) as prefect:
        prefect.ensure_pool()
        health = prefect.health()
    queues = (settings.prefect_default_work_queue, settings.prefect_high_memory_work_queue)
    out.answer({"prefect": health, "work_queues": queues}, lambda: _show_server(out, health, queues))


def _show_server(out: Output, health: PrefectHealth, queues: tuple[str, ...]) -> None:
    out.fields(
        (
            ("server", f"{health.api_url}, Prefect {health.server_version}"),
            ("work pool", f"{health.work_pool}, of type {health.pool_type}"),
            ("work queues", ", ".join(queues)),
            ("workers online", str(health.workers_online)),
        )
    )
    if not health.workers_online:
        out.line("Start one: autoloader worker")


@app.command()
def sync(watch: Watch = False, as_json: Json = False) -> None:
    """Bring Prefect in step with the ledger, once: deployments, runs that nobody would end, triggers that wait.

    Safe beside the API and beside itself. Exit code 1 when Prefect could not be reached or refused something.
    """
    from app.services.prefect_service import PrefectService
    from app.services.reconcile_service import ReconcileService
    from app.services.trigger_service import TriggerService

    out = Output(as_json)
    with opened(local_settings("prefect sync")) as at, PrefectService(at.settings) as prefect:
        if watch:
            from app.runtime.loops import Loops

            loops = Loops(at.database, at.settings, prefect)
            loops.start()
            try:
                threading.Event().wait()  # until a signal
            finally:
                loops.stop()
        report = ReconcileService(at.database, at.settings, prefect).run_pass()
        delivery = TriggerService(at.database, at.settings, prefect).deliver_due()
    out.answer({"sync": report, "triggers": delivery}, lambda: _show(out, report, delivery))
    raise typer.Exit(Exit.ERROR if report.unavailable or report.problems else Exit.OK)


def _show(out: Output, report: ReconcileReport, delivery: Delivery) -> None:
    rows: list[tuple[str, str, str]] = [
        *(("created", one.name, "") for one in report.created),
        *(("changed", one.name, ", ".join(one.fields)) for one in report.changed),
        *(("removed", name, "") for name in report.removed),
        *(("left alone", one.name, one.why) for one in report.foreign),
        *((one.state, one.name, one.reason) for one in report.problems),
        *(
            ("abandoned run", str(one), "its process died; the next run finishes its batches")
            for one in report.abandoned
        ),
        *(("ended flow run", str(one.flow_run_id), f"{one.was} → {one.state}: {one.why}") for one in report.ended),
        *(("slot freed", name, "") for name in report.slots_freed),
        *(("run wanted", str(one), "") for one in report.reruns),
    ]
    if rows:
        out.table(("what", "which", "why"), rows)
    if report.unavailable:
        out.line(f"Not finished: {safe(report.unavailable)}", "yellow")
        return
    more = f" {report.left} more wait for the next pass." if report.left else ""
    sent = f" {delivery.delivered} triggers delivered, {delivery.waiting} wait." if delivery != type(delivery)() else ""
    same = "Nothing to do: " if report.quiet else ""
    out.line(f"{same}{report.deployments} deployments are in step.{more}{sent}")
