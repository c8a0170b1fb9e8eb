"""What deployment files may name: settings of ours and of Prefect's, routes, commands; asked of the programs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import SecretStr, ValidationError

from app.config import Settings

# Variables that neither we nor Prefect's settings read, each with whoever does.
OTHERS = {
    "PATH": "the shell",
    "HOME": "Prefect's library, Python",
    "PYTHONUNBUFFERED": "Python",
    "PYTHONDONTWRITEBYTECODE": "Python",
    "DO_NOT_TRACK": "Prefect's telemetry",
    "POSTGRES_USER": "the image of PostgreSQL",
    "POSTGRES_PASSWORD": "the image of PostgreSQL",
    "POSTGRES_DB": "the image of PostgreSQL",
    "PGDATA": "PostgreSQL",
    "AWS_ENDPOINT_URL": "our object store library",
    "AWS_REGION": "our object store library",
    "AWS_ACCESS_KEY_ID": "our object store library, the S3 server",
    "AWS_SECRET_ACCESS_KEY": "our object store library, the S3 server",
}
PREFECT_ROUTES = {"/api/health", "/api/ready"}  # open without a password; a test asks the server
PREFECT_COMMANDS = (["prefect", "server", "start"],)
_SECRET = re.compile(r"PASSWORD|AUTH_STRING|SECRET|TOKEN|API_KEY$|ACCESS_KEY|DATABASE_(?:CONNECTION_)?URL$")
_PASSWORD = re.compile(r"://[^/@\s]*:[^@\s]+@")
_MARK = re.compile(r"\$\{\w+:\?[^}]*\}")  # of a compose file: a variable that must be set


@lru_cache(maxsize=1)
def prefect_variables() -> frozenset[str]:
    """Names of all settings that the pinned Prefect reads, old spellings included."""
    from prefect.settings.legacy import _get_valid_setting_names
    from prefect.settings.models.root import Settings as PrefectSettings

    return frozenset(_get_valid_setting_names(PrefectSettings))


def work_queues() -> set[str]:
    """The queues into which our deployments put their runs, unless somebody names others."""
    return {Settings.model_fields[f"prefect_{name}_work_queue"].default for name in ("default", "high_memory")}


def is_secret(name: str) -> bool:
    """Whether a variable's value must stand nowhere in the files."""
    field = Settings.model_fields.get(name.lower())
    return (field is not None and field.annotation is SecretStr) or bool(_SECRET.search(name))


def has_password(value: str) -> bool:
    """Whether an address carries a password in clear text."""
    return bool(_PASSWORD.search(_MARK.sub("", value)))


def variable_problems(values: Mapping[str, str | None]) -> Iterator[str]:
    """`values` are what a process gets; None where a secret or a file brings it."""
    for name in values:
        if name.lower() not in Settings.model_fields and name not in prefect_variables() and name not in OTHERS:
            yield f"{name} is no setting of ours, none of Prefect's, and not on the list of others"
    ours = {name.lower(): value for name, value in values.items() if value and name.lower() in Settings.model_fields}
    try:
        Settings.model_validate(ours)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            yield f"{'.'.join(map(str, item['loc'])).upper()}: {item['msg']}"


@lru_cache(maxsize=1)
def api_routes() -> frozenset[str]:
    """Paths at which the API answers a GET."""
    from app.main import create_app

    schema = create_app(Settings(_env_file=None, database_url="sqlite:////nowhere/ledger.db")).openapi()
    return frozenset(path for path, calls in schema["paths"].items() if "get" in calls)


def routes_of(command: Sequence[str]) -> frozenset[str] | None:
    """Paths that a command's server answers; None for a command that serves none."""
    if list(command[:2]) == ["autoloader", "api"]:
        return api_routes()
    return frozenset(PREFECT_ROUTES) if list(command) in PREFECT_COMMANDS else None


def command_problems(command: Sequence[str]) -> Iterator[str]:
    """Whether each command of ours, or Prefect's, exists with its options; others are taken as they are."""
    for words in _commands(command):
        if words[0] == "autoloader":
            yield from _ours(words)
        elif words not in PREFECT_COMMANDS:
            yield f"`{shlex.join(words)}` is no command we know"


def _commands(command: Sequence[str]) -> Iterator[list[str]]:
    """The command; of a script of the shell those in it."""
    if list(command[:2]) not in (["sh", "-c"], ["/bin/sh", "-c"]):
        if command and command[0] in {"autoloader", "prefect"}:
            yield list(command)
        return
    for part in re.split(r"\|\||&&|[|;\n]", command[2].replace("$$", "$")):
        if part.strip().startswith(("autoloader ", "prefect ")):
            yield shlex.split(part)


def _ours(words: list[str]) -> Iterator[str]:
    import typer.main

    from app.cli.main import app

    command: Any = typer.main.get_command(app)
    rest = words[1:]
    try:
        while hasattr(command, "commands"):
            name, *rest = rest or ["?"]
            if name not in command.commands:
                yield f"`{shlex.join(words)}`: there is no command {name!r}"
                return
            command = command.commands[name]
        command.make_context("command", rest)
    except Exception as error:  # noqa: BLE001 - the library has many; each says what is wrong
        yield f"`{shlex.join(words)}`: {error}"
