"""`autoloader up`: everything on one machine, by one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import Exit
from app.cli.opening import local_settings
from app.cli.output import Output
from app.cli.signals import Stopped
from app.cli.text import safe, shell

if TYPE_CHECKING:
    from app.config import Settings
    from app.runtime.part import PartStatus
    from app.runtime.running import Running

ApiPort = Annotated[
    int | None,
    typer.Option("--api-port", metavar="PORT", min=0, max=65535, help="Port of the API; 0 takes a free one."),
]
PrefectPort = Annotated[
    int | None,
    typer.Option("--prefect-port", metavar="PORT", min=0, max=65535, help="Port of the Prefect server; 0: a free one."),
]
Workers = Annotated[int, typer.Option("--workers", metavar="N", min=0, max=64, help="Workers to start; 0: none.")]
Status = Annotated[
    bool, typer.Option("--status", help="Only say what of it runs now. Exit code 1 unless all parts are ready.")
]
JsonLines = Annotated[
    bool, typer.Option("--json", help="One JSON document a line on standard output for each change of a part.")
]


def up(
    api_port: ApiPort = None,
    prefect_port: PrefectPort = None,
    workers: Workers = 1,
    status: Status = False,
    as_json: JsonLines = False,
) -> None:
    """Start all of it on this machine: Prefect server, API with reconciler, worker; until Ctrl-C or SIGTERM.

    A part that dies is started anew. State and one log, up.log, are in AUTOLOADER_HOME; the next start goes on with it.
    Ctrl-C and SIGTERM are its regular end: exit code 0, and nothing of it is left.

    Example: autoloader up --status
    """
    settings = local_settings("up")
    if status:
        raise typer.Exit(_show_status(Output(as_json), settings))
    given = {"autoloader_api_port": api_port, "autoloader_prefect_port": prefect_port}
    settings = settings.model_copy(update={name: value for name, value in given.items() if value is not None})
    from app.runtime.up import Told
    from app.runtime.up import up as run

    terminal = _Terminal(Output(as_json, compact=True), settings)
    try:
        run(settings, workers, Told(terminal.part, terminal.ready, terminal.out.note))
    except Stopped:  # the signal has done its work already: this is the regular end
        terminal.out.note("Stopped; the next `autoloader up` goes on with it.")


class _Terminal:
    """One line for each change of a part; where everything is, once all are ready."""

    def __init__(self, out: Output, settings: Settings) -> None:
        self.out = out
        self._settings = settings

    def part(self, status: PartStatus) -> None:
        shown = status.address if status.state == "ready" else ""
        detail = f"({status.detail})" if status.detail else ""
        line = f"{status.name:<9} {status.state:<8} {shown} {detail}".rstrip()
        self.out.answer(status, lambda: self.out.line(safe(line)))

    def ready(self, running: Running, log: Path) -> None:
        document = {"up": True, "pid": running.pid, "api": running.api_url, "prefect": running.prefect_url, "log": log}
        self.out.answer(document, lambda: self._show(running, log))

    def _show(self, running: Running, log: Path) -> None:
        home = self._settings.home
        own = bool(self._settings.prefect_api_auth_string.get_secret_value())
        password = "PREFECT_API_AUTH_STRING" if own else f"the line in {home / 'prefect.auth'}"
        self.out.line()
        self.out.fields(
            (
                ("API", f"{running.api_url}/v1 (all calls: {running.api_url}/openapi.json)"),
                ("Prefect", f"{running.prefect_url} (asks for {password})"),
                ("log", str(log)),
            )
        )
        self.out.line()
        self.out.line("Next, in another terminal; Ctrl-C here stops all of it:")
        if "autoloader_home" in self._settings.model_fields_set:
            self.out.line(f"  export AUTOLOADER_HOME={shell(str(home))}")
        self.out.line("  autoloader apply -f orders.yaml    # ingestions with their schedules: autoloader docs up")
        self.out.line(f"  curl -s {running.api_url}/v1/ingestions")
        self.out.line("  autoloader up --status")


def _show_status(out: Output, settings: Settings) -> Exit:
    from app.runtime.part import PartState
    from app.runtime.running import seen

    found = seen(settings.home)
    if found is None:
        nothing = f"`autoloader up` does not run for {safe(settings.home)}."
        out.answer({"up": False, "home": settings.home}, lambda: out.line(nothing))
        return Exit.ERROR
    ready = all(part.state is PartState.READY for part in found.parts)

    def show() -> None:
        rows = [(one.name, one.state, one.address, one.restarts, one.since, one.detail) for one in found.parts]
        out.table(("part", "state", "address", "restarts", "since", ""), rows, right=(3,))

    out.answer({"up": True, "ready": ready, "home": settings.home, **_fields(found)}, show)
    return Exit.OK if ready else Exit.ERROR


def _fields(found: Running) -> dict[str, object]:
    from dataclasses import fields

    return {one.name: getattr(found, one.name) for one in fields(found)}
