"""Whatever goes wrong, told in one way: what happened, what to do next, and an exit code."""

from __future__ import annotations

import json
import sys

import typer

from app.cli.exits import BY_CODE, Exit
from app.cli.output import error_line
from app.cli.place import repeated
from app.cli.signals import Stopped
from app.cli.streams import silence
from app.cli.text import safe, told
from app.errors import AutoloaderError, OutputRefused


def report(error: BaseException, *, as_json: bool) -> Exit:
    """Tell of the error and answer the exit code. Never a traceback."""
    if isinstance(error, OutputRefused):
        silence(sys.stdout)  # it may hold what it could not write
        as_json = False
    if isinstance(error, Stopped):
        return _tell(error.code, error.message, error.hint, as_json, error.exit_code)
    if isinstance(error, AutoloaderError):
        return _tell(error.code, error.message, error.hint, as_json, BY_CODE.get(error.code, Exit.ERROR))
    if isinstance(error, typer.Abort | KeyboardInterrupt):
        return _tell("interrupted", "Stopped; nothing was changed.", "", as_json, Exit.INTERRUPTED)
    if isinstance(error, typer.TyperException):
        return _usage(error, as_json)
    cause = str(error).partition("\n[SQL:")[0]  # SQLAlchemy's errors go on with the statement
    message = f"{type(error).__name__}: {cause}" if cause else type(error).__name__
    hint = "This is a fault of the program. See where it happened: the same command with --debug"
    return _tell("internal", message, hint, as_json, Exit.ERROR)


def _usage(error: typer.TyperException, as_json: bool) -> Exit:
    context = getattr(error, "ctx", None)
    message = error.format_message().replace(": Value error, ", ": ")
    if type(error).__name__ == "NoArgsIsHelpError":  # the message is the whole help
        sys.stderr.write(message + "\n" if message else "")
        return Exit.USAGE
    where = context.command_path if context is not None else "autoloader"
    return _tell("usage", message, f"See: {where} --help", as_json, Exit.USAGE)


def _tell(code: str, message: str, hint: str, as_json: bool, exit_code: Exit) -> Exit:
    # A hint is the program's own sentence; the message of a run of a server ends with the one of that run.
    message, hint = repeated(told(message)), repeated(safe(hint))
    if as_json:
        document = json.dumps({"error": code, "message": message, "hint": hint}, ensure_ascii=False)
        try:
            sys.stdout.write(f"{document}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            pass
        except OutputRefused:
            silence(sys.stdout)
            error_line(message, hint)
    else:
        error_line(message, hint)
    return exit_code
