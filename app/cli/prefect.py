"""`autoloader prefect …`: what Prefect needs to know of us, set up and kept in step."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import Exit
from app.cli.ingestions import confirm
from app.cli.opening import local_settings, opened
from app.cli.options import Json, Yes
from app.cli.output import Output
from app.cli.text import plural, safe

if TYPE_CHECKING:
    from app.config import Settings
    from app.services.migrate_service import Step
    from app.services.prefect_pool import PrefectHealth
    from app.services.reconcile_report import ReconcileReport
    from app.services.trigger_service import Delivery

app = typer.Typer(no_args_is_help=True, help="The Prefect server: set up, and kept in step with the ledger.")

Watch = Annotated[
    bool,
    typer.Option("--watch", help="Go on until Ctrl-C, and poll sources too: what the API does in the background."),
]
Wait = Annotated[
    float,
    typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for a server that does not answer yet."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done, and why; write nothing.")]
Rollback = Annotated[bool, typer.Option("--rollback", help="Remove the deployments that the migration made.")]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NAME", help="Only this ingestion, by name or id; may be given again."),
]
_MIGRATE = "autoloader prefect migrate"
_COLORS = {"created": "green", "changed": "green", "removed": "green", "left": "dim", "failed": "red"}


@app.callback()
def _group() -> None:
    """The Prefect server: set up, and kept in step with the ledger."""


def _settings(command: str) -> Settings:
    """With the server of an `autoloader up` that runs for the home, unless another one is named."""
    from app.runtime.beside_up import settings_beside_up

    return settings_beside_up(local_settings(command))


@app.command()
def setup(wait: Wait = 0.0, as_json: Json = False) -> None:
    """Make the work pool and its queues where they are missing. May be repeated; what is there stays as it is.

    Beside a server that is only starting, let it wait. One that refuses the password is not waited for.

    Example: autoloader prefect setup --wait 120
    """
    from app.services.prefect_service import PrefectService

    out, settings = Output(as_json), _settings("prefect setup")
    with PrefectService(settings) as prefect:
        health = prefect.set_up(wait)
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

    Example: autoloader prefect sync --watch
    """
    from app.services.prefect_service import PrefectService
    from app.services.reconcile_service import ReconcileService
    from app.services.trigger_service import TriggerService

    out = Output(as_json)
    with opened(_settings("prefect sync")) as at, PrefectService(at.settings) as prefect:
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
        *(
            ("cancelled run", str(one), "a person cancelled it, and its process died; the next run goes on")
            for one in report.cancelled
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


# --- the migration ---------------------------------------------------------------------------


@app.command()
def migrate(
    dry_run: DryRun = False, rollback: Rollback = False, only: Only = None, yes: Yes = False, as_json: Json = False
) -> None:
    """Make a deployment in Prefect of each ingestion that has none, and mend those that are not as they should be.

    Says of each ingestion what was done, and why. Stopped at any moment, the same command goes on. Exit code 1 when
    some failed. With --rollback Prefect loses what the migration made, and runs these ingestions no more until they
    are migrated again; ingestions, tables and the ledger stay.

    Example: autoloader prefect migrate --dry-run
    """
    from app.services.migrate_service import MigrateService
    from app.services.prefect_service import PrefectService

    out, chosen = Output(as_json), only or []
    with ExitStack() as stack:
        at = stack.enter_context(opened(_settings("prefect migrate"), migrated=not dry_run))
        if dry_run:
            at.database.require_current()
        service = MigrateService(at.database, at.settings, stack.enter_context(PrefectService(at.settings)))
        steps = service.plan_rollback(chosen) if rollback else service.plan(chosen)
        if not dry_run:
            if any(step.action.value not in {"left", "failed"} for step in steps):
                confirm(_question(steps, rollback), yes=yes, as_json=as_json)
            steps = _told(out, service.roll_back(steps) if rollback else service.migrate(steps))
        elif not as_json:
            _told(out, steps)
    failed = sum(step.action.value == "failed" for step in steps)
    counts = Counter(step.action.value for step in steps)
    document = {"dry_run": dry_run, "rollback": rollback, "counts": counts, "ingestions": steps}
    out.answer(document, lambda: _end(out, counts, dry_run, rollback))
    raise typer.Exit(Exit.ERROR if failed else Exit.OK)


def _question(steps: list[Step], rollback: bool) -> str:
    counts = Counter(step.action.value for step in steps)
    if rollback:
        return f"Remove {plural(counts['removed'], 'deployment')} from Prefect?"
    return f"Create {plural(counts['created'], 'deployment')} in Prefect, and change {counts['changed']}?"


def _told(out: Output, steps: Iterable[Step]) -> list[Step]:
    """Each as it comes: who stops it sees what was done."""
    told = []
    for step in steps:
        told.append(step)
        if not out.as_json:
            out.line(f"{step.action:<8} {safe(step.name)}: {safe(step.why)}", _COLORS[step.action.value])
    return told


def _end(out: Output, counts: Counter[str], dry_run: bool, rollback: bool) -> None:
    again = f"{_MIGRATE} --rollback" if rollback else _MIGRATE
    numbers = ", ".join(f"{count:,} {action}" for action, count in sorted(counts.items())) or "no ingestions"
    out.line(f"Would be: {numbers}. Nothing was written." if dry_run else f"{numbers[:1].upper()}{numbers[1:]}.")
    if counts["failed"]:
        out.line(f"Next: mend what failed, as its line says, then the same again: {again}", "yellow")
    elif dry_run and counts.keys() - {"left"}:
        out.line(f"Next: {again}")
