"""`autoloader apply -f FILE`: ingestions as files say them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.embedded import Embedded
from app.cli.ingestions import confirm
from app.cli.opening import backend
from app.cli.options import Json, Yes
from app.cli.output import Output
from app.cli.text import plural, safe, shell
from app.errors import InvalidInput

if TYPE_CHECKING:
    from app.config import Settings
    from app.remote.declaring import RemoteStep
    from app.services.apply_service import FieldChange, Step

File = Annotated[
    str, typer.Option("--file", "-f", metavar="FILE", help="YAML with one or many ingestions; - reads standard input.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]

_SIGNS = {
    "create": ("+", "create", "green"),
    "change": ("~", "change", "yellow"),
    "nothing": ("=", "unchanged", "dim"),
}


def apply(file: File, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Make and change ingestions as FILE says; shows the difference first. The same again changes nothing.

    Paths of this machine are read from the file's folder on; with a server, paths are the server's, and absolute.
    Ingestions that FILE does not name are left alone.

    Example: autoloader apply -f orders.yaml --dry-run
    """
    from app.services.apply_service import Action

    out = Output(as_json)
    text, folder = _read(file)
    with backend() as at:
        plan = at.plan(text, "standard input" if file == "-" else file, folder)
        steps = plan.steps
        changing = [step for step in steps if step.action is not Action.NOTHING]
        if not as_json:
            _show(out, steps)
        if changing and not dry_run:
            confirm(f"Apply {plural(len(changing), 'change')}?", yes=yes, as_json=as_json)
            plan.carry_out()
    document = {
        "applied": bool(changing) and not dry_run,
        "steps": [{"name": step.name, "action": step.action, "changes": step.changes} for step in steps],
    }
    out.answer(document, lambda: out.line(_end(len(changing), dry_run, changing[0].name if changing else "")))
    if changing and not dry_run and isinstance(at, Embedded) and _nobody_runs(at.settings, changing):
        out.note("Schedules and arrivals begin when it runs: autoloader up")


def _nobody_runs(settings: Settings, steps: Sequence[Step | RemoteStep]) -> bool:
    """Whether a step asks for runs that nothing on this machine would start, as far as can be seen from here."""
    from app.runtime.running import seen

    timed = any(
        change.new is not None and change.field.startswith(("schedule", "arrival"))
        for step in steps
        for change in step.changes
    )
    elsewhere = settings.database_url or "prefect_api_url" in settings.model_fields_set
    return timed and not elsewhere and seen(settings.home) is None


def _read(file: str) -> tuple[str, Path | None]:
    if file == "-":
        return sys.stdin.read(), None
    path = Path(file)
    try:
        return path.read_text(encoding="utf-8"), path.absolute().parent
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidInput(f"{file} cannot be read: {why}.", hint="Look at the name and its rights.") from error


def _show(out: Output, steps: list[Step] | list[RemoteStep]) -> None:
    for step in steps:
        sign, word, style = _SIGNS[step.action.value]
        out.line(f"{sign} {safe(step.name)}: {word}", style)
        for change in step.changes:
            out.line(f"    {safe(change.field)}: {_told(change)}")


def _told(change: FieldChange) -> str:
    from app.services.load_service import told

    new = safe(told(change.new))
    return new if change.old is None else f"{safe(told(change.old))} → {new}"


def _end(changes: int, dry_run: bool, first: str) -> str:
    if not changes:
        return "Nothing to change."
    if dry_run:
        return f"{plural(changes, 'change')} would be made; leave out --dry-run to make them."
    return f"{plural(changes, 'change')} made. Run it: autoloader ingestions run {shell(first)}"
