"""What every command begins with: settings, failpoints, logging; then the ledger of this machine, or a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.cli import place
from app.cli.embedded import Embedded
from app.errors import InvalidInput

if TYPE_CHECKING:
    from app.config import Settings
    from app.remote.backend import Remote

    Backend = Embedded | Remote


def read_settings() -> Settings:
    """The settings, with failpoints armed and logging set up. Raises InvalidInput for a value that cannot be."""
    from pydantic import ValidationError

    from app import failpoints, log
    from app.config import get_settings

    try:
        settings = get_settings()
        failpoints.arm(settings.autoloader_failpoints)
    except ValidationError as error:
        problems = "; ".join(
            f"{str(e['loc'][0]).upper()}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_url=False)
        )
        raise InvalidInput(
            f"A setting cannot be used: {problems}.", hint="See the settings: autoloader docs reference/configuration"
        ) from error
    except ValueError as error:
        raise InvalidInput(f"AUTOLOADER_FAILPOINTS: {error}", hint="It is for tests only; unset it.") from error
    log.configure(settings.log_level, settings.log_format)
    return settings


def server_of(settings: Settings) -> str:
    """The address of the server that the command works with; empty: there is none."""
    return place.chosen(settings.autoloader_server)


def local_settings(command: str) -> Settings:
    """The settings, for a command that only this machine can do. Raises InvalidInput where a server is given."""
    settings = read_settings()
    if server := server_of(settings):
        by = place.option()
        raise InvalidInput(
            f"`autoloader {command}` works on this machine, not with the server that {by} names ({server}).",
            hint=f"Call it on the server's machine, or for this one: autoloader --embedded {command} …",
        )
    return settings


@contextmanager
def backend(*, migrated: bool = True) -> Iterator[Backend]:
    """Whoever does what the command says: the services of this machine, or a server.

    Raises as `opened` does, and InvalidInput for what is no address of a server.
    """
    settings = read_settings()
    if server := server_of(settings):
        from app.log import register_secret
        from app.remote.backend import Remote

        key = settings.autoloader_api_key.get_secret_value()
        register_secret(key)
        with Remote(server, key) as remote:
            yield remote
        return
    with opened(settings, migrated=migrated) as here:
        yield here


@contextmanager
def opened(settings: Settings, *, migrated: bool = True) -> Iterator[Embedded]:
    """The ledger of this machine. Where no DATABASE_URL is set it is made, or brought up to date, by itself.

    `migrated=False` leaves the database as it is. Raises DatabaseNotMigrated for one that is somebody's own.
    """
    from app.database import Database

    database = Database(settings.database_address)
    try:
        if migrated and not settings.database_url:
            database.upgrade()
        elif migrated:
            database.require_current()
        yield Embedded(settings, database)
    finally:
        database.close()
