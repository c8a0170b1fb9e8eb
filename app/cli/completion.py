"""What a shell offers for a half-typed word. Quiet: whatever is wrong, it offers nothing."""

from __future__ import annotations

from contextlib import suppress


def ingestions(incomplete: str) -> list[str]:
    """Names of ingestions that begin so."""
    names: list[str] = []
    with suppress(Exception):
        names = _names()
    return [name for name in names if name.startswith(incomplete)]


def _names() -> list[str]:
    from app.cli.opening import backend, read_settings, server_of

    settings = read_settings()
    here = not server_of(settings) and not settings.database_url
    if here and not (settings.home / "autoloader.db").exists():
        return []  # looking would make it
    with backend(migrated=False) as at:
        return at.ingestions.names()
