"""Logging: one line an event on standard error, as text or JSON.

Who runs binds `run_id` and `ingestion_id` once; every line of theirs carries them. No secret gets
through, whether it was registered, sits in a field with a telling name, or only looks like one; and no
value can forge a line or move the cursor. Standard output belongs to results.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Any
from urllib.parse import quote, quote_plus

from app.errors import InvalidInput

HIDDEN = "***"

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_MINIMUM_SECRET = 4  # characters; to hide every "a" would hide the log

_bound: ContextVar[Mapping[str, object]] = ContextVar("bound", default=MappingProxyType({}))
_secrets: set[str] = set()
_settings = {"level": _LEVELS["warning"], "json": False}


# --- what others call ------------------------------------------------------------------------


def configure(level: str = "WARNING", form: str = "text", *, except_of: str = "") -> None:
    """Log from `level` on, as `text` or `json`; the libraries' own loggers too. Raises InvalidInput.

    `except_of` names a library with handlers of its own: they go on telling its lines, and nothing else.
    """
    if level.lower() not in _LEVELS:
        raise InvalidInput(f"{level!r} is not a log level.", hint=f"LOG_LEVEL is one of {', '.join(_LEVELS).upper()}.")
    if form not in {"text", "json"}:
        raise InvalidInput(f"{form!r} is not a log format.", hint="LOG_FORMAT is text or json.")
    _settings.update(level=_LEVELS[level.lower()], json=form == "json")
    _chain.cache_clear()
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Libraries)]:
        root.removeHandler(handler)
    ours = _Libraries()
    if except_of:
        ours.addFilter(lambda record: not _is_of(record, except_of))
        _keep_to_its_own(root, except_of)
    root.addHandler(ours)
    root.setLevel(_settings["level"])


def _is_of(record: logging.LogRecord, library: str) -> bool:
    return record.name.partition(".")[0] == library


def _keep_to_its_own(root: logging.Logger, library: str) -> None:
    for handler in root.handlers:
        if type(handler).__module__.partition(".")[0] == library and not handler.filters:
            handler.addFilter(lambda record: _is_of(record, library))


@contextmanager
def bound(**values: object) -> Iterator[None]:
    """Every line of the block carries `values`. A thread started inside binds its own."""
    token = _bound.set({**_bound.get(), **{name: str(value) for name, value in values.items()}})
    try:
        yield
    finally:
        _bound.reset(token)


def register_secret(secret: str) -> None:
    """`secret` is hidden wherever it appears from now on, also as it looks inside a URL."""
    if len(secret) >= _MINIMUM_SECRET:
        _secrets.update((secret, quote(secret, safe=""), quote_plus(secret)))


class Logger:
    """Logs under a name. Costs next to nothing for a level that is not logged."""

    def __init__(self, name: str) -> None:
        self.name = name

    def debug(self, event: str, **values: object) -> None:
        self.log("debug", event, **values)

    def info(self, event: str, **values: object) -> None:
        self.log("info", event, **values)

    def warning(self, event: str, **values: object) -> None:
        self.log("warning", event, **values)

    def error(self, event: str, **values: object) -> None:
        self.log("error", event, **values)

    def exception(self, event: str, **values: object) -> None:
        """An error with the traceback of what is being handled."""
        self.log("error", event, exc_info=True, **values)

    def log(self, level: str, event: str, **values: object) -> None:
        if _LEVELS[level] >= _settings["level"]:
            getattr(_chain(), level)(event, logger=self.name, **values)


def get_logger(name: str) -> Logger:
    return Logger(name)


# --- secrets ---------------------------------------------------------------------------------

# All repetitions are bounded: the text may be a stranger's, and a long one must not take minutes.
_TELLING = r"secret|passw(?:or)?d|token|credential|authorization|signature|cookie|private_?key|sas"
_TELLING_NAME = re.compile(rf"{_TELLING}|(?:^|[_\-. ]|api|access|account)key(?:_?id)?$", re.IGNORECASE)
_LOOKS_SECRET: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}KEY-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"\b([a-z][a-z0-9+.\-]{0,20}://)[^/?#\s\"]{1,500}@", re.IGNORECASE), rf"\1{HIDDEN}@"),
    # A query string that holds a signature opens the object: all of it goes.
    (
        re.compile(
            r"\?[^\s'\"<>?]{0,3000}?\b(?:sig|signature|x-(?:amz|goog)-[a-z\-]{1,30}|awsaccesskeyid|googleaccessid)="
            r"[^\s'\"<>]*",
            re.IGNORECASE,
        ),
        f"?{HIDDEN}",
    ),
    (re.compile(r"\b(bearer|basic)\s{1,3}[A-Za-z0-9._~+/=\-]{8,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (
        re.compile(
            rf"((?:{_TELLING}|(?:api|access|account)_?key)[\w\-]{{0,40}}[\"']?\s?[=:]\s?[\"']?)"
            r"(?!\*\*\*|bearer |basic )[^\s\"',;&})]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), HIDDEN),
    (re.compile(r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*"), HIDDEN),
)


def redact(text: str) -> str:
    """`text` without what is registered as a secret or looks like one."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _LOOKS_SECRET:
        text = pattern.sub(replacement, text)
    return text


def _clean(name: str, value: object, depth: int = 0) -> object:
    """`value` as it may be shown under `name`."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if _TELLING_NAME.search(name):
        return HIDDEN
    if isinstance(value, Mapping) and depth < 8:  # noqa: PLR2004 - deeper than anything we log
        return {one_line(str(key)): _clean(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < 8:  # noqa: PLR2004
        return [_clean(name, item, depth + 1) for item in value]
    return one_line(redact(str(value)))


# --- lines -----------------------------------------------------------------------------------

# Control characters, line and paragraph separators, marks that turn the direction of writing, lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str) -> str:
    """`text` with what could end a line, hide text or steer a terminal written as an escape."""
    return _UNSAFE.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def _prepare(logger: object, level: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Make of an event what may be shown: time, level and bound values first, all of it fit to be shown."""
    del logger
    error = event.pop("exc_info", None)
    head = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level}
    values = {**_bound.get(), **event}
    line = head | {name: _clean(name, value) for name, value in values.items() if name != "event"}
    line["event"] = one_line(redact(str(event.get("event", ""))))
    if error:
        line["exception"] = _traceback(error)
    return line


def _traceback(error: object) -> list[str]:
    found = error if isinstance(error, tuple) else sys.exc_info()
    if isinstance(error, BaseException):
        found = (type(error), error, error.__traceback__)
    kind, value, trace = found
    if value is None:
        return []
    assert isinstance(trace, TracebackType | None)  # noqa: S101 - for the type checker
    text = redact("".join(traceback.format_exception(kind, value, trace)))
    return [one_line(line) for line in text.split("\n") if line.strip()]


def _render(logger: object, level: str, line: MutableMapping[str, Any]) -> str:
    """One line, or several where there is a traceback."""
    del logger, level
    if _settings["json"]:
        return json.dumps(line, default=str)
    trace = line.pop("exception", [])
    head = f"{line.pop('time')} {line.pop('level').upper():<8} {line.pop('event')}"
    values = "".join(f" {name}={_quoted(value)}" for name, value in line.items())
    return "\n".join([head + values, *(f"    | {text}" for text in trace)])


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False) if isinstance(value, str) and re.search(r"[\s=\"]|^$", text) else text


# --- structlog -------------------------------------------------------------------------------


class _StandardError:
    """Looks the stream up at each line, so that a progress bar that has put itself before it stays whole."""

    def msg(self, line: str) -> None:
        with suppress(OSError, ValueError):  # a closed pipe, a full disk: the work goes on unheard
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = msg


@functools.cache
def _chain() -> Any:
    import structlog  # costs a quarter of a second; most commands log nothing

    return structlog.wrap_logger(
        _StandardError(),
        processors=[_prepare, _render],
        wrapper_class=structlog.make_filtering_bound_logger(_settings["level"]),
    )


class _Libraries(logging.Handler):
    """What libraries log takes the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower()
        try:
            Logger(record.name).log(
                level if level in _LEVELS else "info", record.getMessage(), exc_info=record.exc_info
            )
        except Exception:  # noqa: BLE001 - a log line must not end the work it tells of
            self.handleError(record)
