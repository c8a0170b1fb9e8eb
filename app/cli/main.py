"""The `autoloader` command: assembled here, and the only place where errors and signals end."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from app.cli import (
    api,
    apply,
    clusters,
    connections,
    demo,
    docs,
    files,
    ingestions,
    load,
    prefect,
    preview,
    runs,
    table,
    up,
    upkeep,
    worker,
)
from app.cli.exits import MEANING, Exit
from app.cli.faults import report
from app.cli.place import choose
from app.cli.signals import interruptible
from app.cli.streams import prepare, silence
from app.errors import InvalidInput, OutputRefused
from app.log import redact

_OBJECTS = 50_000  # new ones before Python looks for rubbish among them: with 700, a tenth of the time of importing

_CODES = "  ".join(f"{code.value} {meaning};" for code, meaning in MEANING.items()).rstrip(";")
_EPILOG = f"Exit codes: {_CODES}."

app = typer.Typer(
    name="autoloader",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=_EPILOG,
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"autoloader {_installed()}\n")
        raise typer.Exit


def _installed() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("iomete-autoloader")
    except PackageNotFoundError:
        return "(not installed: run from its source)"


Version = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error came from; may stand anywhere.")]


Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Work with the Autoloader whose API is there; else AUTOLOADER_SERVER. Its key: AUTOLOADER_API_KEY.",
    ),
]
OnlyHere = Annotated[
    bool, typer.Option("--embedded", help="Work on the ledger of this machine, though AUTOLOADER_SERVER is set.")
]


@app.callback()
def root(version: Version = False, debug: Debug = False, server: Server = None, embedded: OnlyHere = False) -> None:
    """Load new files from folders and object stores into Apache Iceberg tables, each exactly once.

    Begin with: autoloader load SOURCE TABLE
    """
    del version, debug
    if embedded and server:
        raise InvalidInput("--server and --embedded say different things.", hint="Give one of them.")
    choose("" if embedded else server)


app.command()(load.load)
app.command()(preview.preview)
app.command()(apply.apply)
app.add_typer(ingestions.app, name="ingestions")
app.add_typer(runs.app, name="runs")
app.add_typer(files.app, name="files")
app.add_typer(table.app, name="table")
app.add_typer(connections.app, name="connections")
app.add_typer(clusters.app, name="clusters")
app.add_typer(upkeep.db, name="db")
app.add_typer(prefect.app, name="prefect")
app.command()(upkeep.doctor)
app.command()(up.up)
app.command()(api.api)
app.command()(worker.worker)
app.command()(demo.demo)
app.command()(docs.docs)


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say; answer the exit code. Raises nothing but, with `--debug`, what went wrong."""
    before = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    debug, as_json = "--debug" in before, "--json" in before
    rest = [item for item in before if item != "--debug"] + list(arguments[len(before) :])
    try:
        with interruptible():
            code = app(args=rest, prog_name="autoloader", standalone_mode=False)
    except SystemExit as end:  # the pipe we write to was closed, or a shell asked for completions
        code = end.code
    except BaseException as error:
        if debug and not isinstance(error, typer.TyperException):
            raise
        code = report(error, as_json=as_json)
    return int(code) if isinstance(code, int) else Exit.OK


def main() -> None:
    """All that the command does; ends with SystemExit."""
    prepare()
    try:
        code = run(sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - with --debug; libraries name addresses, with the keys in them
        sys.stderr.write(redact("".join(traceback.format_exception(error))))
        code = Exit.ERROR
    if (lost := _flush()) is not None:
        code = report(lost, as_json=False)
    sys.exit(code)


def script() -> NoReturn:
    """The console script: the process ends as soon as all is done.

    Threads are joined and what was registered for the end is done, as Python does it. Then it would take all modules
    apart and look through all objects for rubbish, which takes up to half a second.
    """
    gc.set_threshold(_OBJECTS)
    code: object = Exit.ERROR
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001 - no public name; multiprocessing does the same
    atexit._run_exitfuncs()  # noqa: SLF001 - no public name either
    _flush()
    os._exit(code if isinstance(code, int) else Exit.OK)


def _flush() -> OutputRefused | None:
    """Write what is held; answer why an answer, so short that it was held until now, cannot be written."""
    lost = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OutputRefused as error:
            silence(stream)
            lost = error
        except OSError:  # `autoloader … | head`
            silence(stream)
    return lost


if __name__ == "__main__":
    script()
