"""`autoloader db …` and `autoloader doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from app.cli.embedded import Embedded
from app.cli.exits import Exit
from app.cli.opening import backend, local_settings
from app.cli.options import Json
from app.cli.output import Output
from app.cli.text import safe

if TYPE_CHECKING:
    from app.services.health_service import Check

db = typer.Typer(no_args_is_help=True, help="The ledger's database.")


@db.callback()
def _group() -> None:
    """The ledger's database."""


@db.command()
def upgrade(as_json: Json = False) -> None:
    """Make the tables of the ledger, or bring them to this version; at once when they are there.

    Example: autoloader db upgrade
    """
    from app.database import Database

    out = Output(as_json)
    database = Database(local_settings("db upgrade").database_address)
    try:
        revision, shown = database.upgrade(), database.shown
    finally:
        database.close()
    document = {"database": shown, "revision": revision}
    out.answer(document, lambda: out.line(f"{safe(shown)} is at revision {revision}."))


def doctor(as_json: Json = False) -> None:
    """Check each thing the Autoloader depends on: reachable, or why not, and what to do.

    With a server: whether it answers, its version, and its own health. Exit code 1 when one is broken.

    Example: autoloader doctor --json
    """
    from app.services.health_service import BROKEN

    out = Output(as_json)
    with backend(migrated=False) as at:
        if isinstance(at, Embedded) and not at.settings.database_url:
            _try_upgrade(at.database)
        found = list(at.checks())
    broken = [one for one in found if one.state == BROKEN]
    out.answer({"ok": not broken, "checks": found}, lambda: _show(out, found))
    raise typer.Exit(Exit.ERROR if broken else Exit.OK)


def _try_upgrade(database: object) -> None:
    """In the local set-up the ledger comes to be by itself; what goes wrong is a check's result."""
    from app.database import Database
    from app.errors import AutoloaderError

    if isinstance(database, Database):
        try:
            database.upgrade()
        except AutoloaderError:
            return


def _show(out: Output, found: list[Check]) -> None:
    out.table(("check", "state", "detail"), [(one.name, one.state, one.detail) for one in found])
    for one in found:
        if one.hint:
            out.line()
            out.line(f"{safe(one.name)}: {safe(one.hint)}", "yellow")
