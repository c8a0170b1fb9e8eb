"""How the tables come to be: by migrations alone."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Engine, inspect, text

from app.database.faults import UPGRADE_HINT, database_errors
from app.database.opening import make_engine
from app.errors import DatabaseError, DatabaseNotMigrated

_PACKAGE = Path(__file__).parents[1]
_REVISION = re.compile(r'^(revision|down_revision)(?:: [^=]+)? = (?:None|"([^"]+)")', re.MULTILINE)


def migrations_folder() -> Path:
    """Where the migrations stand: inside an installed package, or at the top of a checkout."""
    packaged = _PACKAGE / "_migrations"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "alembic"


def known_revisions() -> tuple[str, ...]:
    """The revisions this version knows, oldest first. Reads their files; does not need Alembic's import."""
    after: dict[str | None, str] = {}
    for file in (migrations_folder() / "versions").glob("*.py"):
        found = {name: value or None for name, value in _REVISION.findall(file.read_text(encoding="utf-8"))}
        after[found["down_revision"]] = str(found["revision"])
    chain: list[str] = []
    while step := after.pop(chain[-1] if chain else None, None):
        chain.append(step)
    if after:
        raise DatabaseError("The migrations are not one line.", hint=f"Look at {migrations_folder()}: {after}.")
    return tuple(chain)


def current_revision(engine: Engine) -> str | None:
    """The revision the database is at; None when it has no tables of ours. Makes no file where there is none."""
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        return None
    with database_errors(), engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def is_current(engine: Engine) -> bool:
    return current_revision(engine) == known_revisions()[-1]


def require_current(engine: Engine) -> None:
    """Raises DatabaseNotMigrated unless the database is exactly at this version's revision."""
    found, known = current_revision(engine), known_revisions()
    if found == known[-1]:
        return
    if found is not None and found not in known:
        message = f"The database is at revision {found}, which this version does not know: a newer one made it."
        raise DatabaseNotMigrated(message, hint="Upgrade the Autoloader on this machine.")
    message = f"The database is at revision {found or 'none'}; this version needs {known[-1]}."
    raise DatabaseNotMigrated(message, hint=UPGRADE_HINT)


def upgrade(url: str) -> str:
    """Bring the database to the newest revision and answer it; at once when it is there already.

    Safe when several processes do it at the same time: one works, the others wait and find it done.
    Each revision is one transaction, so that a killed upgrade goes on where it stood.
    """
    engine = make_engine(url)
    try:
        found, known = current_revision(engine), known_revisions()
        if found is not None and found not in known:
            require_current(engine)
        if found != known[-1]:
            migrate(url, known[-1])
    finally:
        engine.dispose()
    return known[-1]


def migrate(url: str, revision: str) -> None:
    """Move the database up or down to `revision` (`base`: no tables)."""
    from alembic import command
    from alembic.config import Config

    engine = make_engine(url)
    found = current_revision(engine)
    engine.dispose()
    order = ("base", *known_revisions())
    down = order.index(revision) < order.index(found or "base")
    config = Config(attributes={"url": url})
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    with database_errors():
        (command.downgrade if down else command.upgrade)(config, revision)
