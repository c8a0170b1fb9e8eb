"""The page of the command line, written from the program itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import Enum
from typing import Any

from tools.markdown import page, table


def command_line() -> str:
    """Every command with its arguments and options, as the program knows them."""
    import typer.main

    from app.cli.main import app

    root = typer.main.get_command(app)
    parts = [_before_the_command(root), _exit_codes()]
    parts += [part for path, command in _commands("autoloader", root) for part in _command(path, command)]
    return page("Command line", f"{_help(root.help)}\n\n{_MANNERS}", "\n\n".join(parts))


_MANNERS = """\
Every command answers with text, or with one JSON document on standard output when `--json` is given; then nothing else
is there, and an error is a document too: `{"error": code, "message": …, "hint": …}`. Notes and progress go to standard
error, bars only when it is a terminal. `--debug`, anywhere, shows where an error came from. Ctrl-C and SIGTERM end a
run in order: it becomes `CANCELLED`, and the next one goes on where it stopped; a second signal kills at once.

In JSON, integers beyond 2^53 are texts: ids of files and snapshots have 62 bits, which jq and JavaScript would round.
Give them back as they came. `load --watch --json` writes one document a line for each run (NDJSON)."""


def _before_the_command(root: Any) -> str:
    """What stands between `autoloader` and the command."""
    shell = {"help", "install_completion", "show_completion"}
    known = [item for item in root.params if item.name not in shell]
    shown = table(["", "default", ""], [_parameter(item) for item in known])
    return f"## Before the command\n\n{_SERVER}\n\n{shown}"


_SERVER = """\
Commands work on the ledger of this machine, or, with a server, by its REST API: the same commands, the same output, the
same errors and exit codes. `table …`, `db upgrade`, `demo`, `up`, `api`, `worker` and `prefect …` are for one machine
alone. How they differ: [the REST API, from the command line](../api.md#from-the-command-line)."""


def _exit_codes() -> str:
    from app.cli.exits import MEANING

    rows = [[f"`{code.value}`", meaning] for code, meaning in MEANING.items()]
    return f"## Exit codes\n\n{table(['code', 'meaning'], rows)}"


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        if not child.hidden:
            yield from _commands(f"{path} {name}", child)


def _command(path: str, command: Any) -> Iterator[str]:
    known = [item for item in command.params if item.name != "help" and not getattr(item, "hidden", False)]
    arguments = [item for item in known if not _is_option(item)]
    usage = [path, *map(_placeholder, arguments), *(["[OPTIONS]"] if len(known) > len(arguments) else [])]
    yield f"## `{path}`"
    yield f"```text\n{' '.join(usage)}\n```"
    yield _help(command.help)
    if known:
        yield table(["", "default", ""], [_parameter(item) for item in known])


def _is_option(item: Any) -> bool:
    return bool(item.opts[0].startswith("-"))


def _placeholder(item: Any) -> str:
    word = item.metavar or str(item.name).upper()
    return word if item.required else f"[{word}]"


def _parameter(item: Any) -> list[str]:
    value = f" {item.metavar}" if item.metavar else ""
    names = ", ".join(f"`{name}{value}`" for name in (*item.opts, *item.secondary_opts))
    text = _help(item.help)
    kind = item.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        text += f" One of {', '.join(f'`{choice.value}`' for choice in kind)}."
    default = "" if item.default in (None, False, "") or callable(item.default) else f"`{item.default}`"
    return [names if _is_option(item) else f"`{_placeholder(item)}`", default, text]


def _help(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\b", "").replace("\f", "").strip()
