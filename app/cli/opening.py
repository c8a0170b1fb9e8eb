"""What every command that needs the ledger begins with: settings, failpoints, logging, the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.errors import InvalidInput

if TYPE_CHECKING:
    from app.config import Settings
    from app.database import Database


@dataclass(frozen=True, slots=True)
class Opened:
    settings: Settings
    database: Database


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
            f"A setting cannot be used: {problems}.", hint="See the settings: docs/reference/configuration.md"
        ) from error
    except ValueError as error:
        raise InvalidInput(f"AUTOLOADER_FAILPOINTS: {error}", hint="It is for tests only; unset it.") from error
    log.configure(settings.log_level, settings.log_format)
    return settings


@contextmanager
def opened(settings: Settings | None = None, *, migrated: bool = True) -> Iterator[Opened]:
    """Settings and ledger. Where no DATABASE_URL is set the ledger is made, or brought up to date, by itself.

    `migrated=False` leaves the database as it is. Raises DatabaseNotMigrated for one that is somebody's own.
    """
    from app.database import Database

    settings = settings or read_settings()
    database = Database(settings.database_address)
    try:
        if migrated and not settings.database_url:
            database.upgrade()
        elif migrated:
            database.require_current()
        yield Opened(settings, database)
    finally:
        database.close()
