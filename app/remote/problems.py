"""What a server refuses a call with, as the errors that the same command raises without one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.errors import AutoloaderError, LeaseHeld

_COMMANDS = [  # next steps that are calls of the API, as commands
    (re.compile(r"GET /v1/(ingestions|runs|connections|clusters) lists them\."), r"See: autoloader \1 list"),
    (re.compile(r"GET /v1/files\?ingestion_id=… lists them\."), "See: autoloader files list"),
    (re.compile(r"POST /v1/ingestions/(\S+)/(resume|run)\b"), r"autoloader ingestions \2 \1"),
    (re.compile(r"delete with running=cancel or running=finish\."), "end it: autoloader runs cancel RUN"),
]


def _all(kind: type[AutoloaderError]) -> Iterator[type[AutoloaderError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _all(child)


def error_of(code: str, message: str, hint: str = "") -> AutoloaderError:
    """The error with that stable word; of a word that this version does not know, one that carries it."""
    kind = next((one for one in _all(AutoloaderError) if one.code == code), None)
    kind = kind or type("ErrorOfServer", (AutoloaderError,), {"code": code})
    for pattern, command in _COMMANDS:
        hint = pattern.sub(command, hint)
    return kind(message, hint=hint)


def problem_of(told: Mapping[str, Any], retry_after: str) -> AutoloaderError:
    """The error that a problem (RFC 9457) tells of."""
    error = error_of(str(told["code"]), str(told.get("detail", "")), str(told.get("hint", "")))
    if isinstance(error, LeaseHeld) and retry_after.isdecimal():
        error.seconds_left = float(retry_after)
    return error


def is_of_another_version(told: Mapping[str, Any]) -> bool:
    """Whether the server lacks the very path or parameter of a call that this version makes."""
    if told.get("detail") == "There is no such path.":
        return True
    errors = told.get("errors") or ()
    return any(one.get("in") == "query" and "no such parameter" in str(one.get("detail")) for one in errors)
