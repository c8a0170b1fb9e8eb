"""A file as a person names it, as the addresses that the ledger may have it under. Pure."""

from __future__ import annotations

import posixpath

from app.errors import InvalidInput
from app.storage import parse_address


def is_text(name: str) -> bool:
    """Whether the name is Unicode. One that is not was never listed, and no database can look for it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def addresses(name: str) -> list[str]:
    """Full addresses that the name may mean: as it stands, and on this machine without `.`, `..`, `~` and `//`.

    A bare name is left to be looked up by the end of a path: it need not be of the working folder.
    """
    found = [name]
    scheme, given, _ = name.partition("://")
    if "/" in name and (not given or scheme.lower() == "file"):
        try:
            found.append(parse_address(name).base)
        except InvalidInput:
            return found
    return list(dict.fromkeys(found))


def tails(name: str) -> list[str]:
    """Ends of paths that the name may mean."""
    if "://" in name or name.startswith("~"):
        return [name]
    return list(dict.fromkeys((name, posixpath.normpath(name))))
