"""Where commands work, as it was said before the command: what they print to be typed next goes there as well."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.cli.text import shell
from app.log import redact

# Those that work with a server, and those that refuse one. The others are the same everywhere.
_ANYWHERE = "load|preview|apply|ingestions|runs|files|connections|clusters|doctor"
_ONLY_HERE = "table|demo|up|db|api|worker|prefect"
_FOR_SERVER = re.compile(rf"\bautoloader (?=(?:{_ANYWHERE})\b)")
_FOR_HERE = re.compile(rf"\bautoloader (?=(?:{_ANYWHERE}|{_ONLY_HERE})\b)")


@dataclass(slots=True)
class _Choice:
    """What stands before the command. None: the setting says it; empty: no server."""

    server: str | None = None
    repeat: str = ""  # what has to be typed again, so that the next command works in the same place


_choice = _Choice()


def choose(server: str | None) -> None:
    """Where the command works: a server's address, empty for this machine, None for what the settings say."""
    _choice.server, _choice.repeat = server, ""


def chosen(setting: str) -> str:
    """The address of the server that the command works with; empty: there is none. `setting` is AUTOLOADER_SERVER."""
    setting = setting.strip()
    if _choice.server is None:
        return setting
    server = _choice.server.strip()
    if server != setting:  # else whoever types the next command comes to the same place
        _choice.repeat = f"--server {shell(redact(server))}" if server else "--embedded"  # quoted, it looks less secret
    return server


def option() -> str:
    """What named the server: the option, or the setting."""
    return "AUTOLOADER_SERVER" if _choice.server is None else "--server"


def repeated(text: str) -> str:
    """The text, with what stood before the command in each command of ours that it tells to type."""
    if not _choice.repeat:
        return text
    command = _FOR_SERVER if _choice.server else _FOR_HERE
    return command.sub(lambda found: f"{found[0]}{_choice.repeat} ", text)
