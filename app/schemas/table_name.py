"""The rule of table names: `[catalog.]namespace.table`, of letters, digits and `_`."""

from __future__ import annotations

import re

DEFAULT_CATALOG = "local"
_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_FULL = 3


def name_parts(text: str, default_catalog: str = DEFAULT_CATALOG) -> tuple[str, str, str] | None:
    """Catalog, namespace and table; None where `text` is no table name."""
    parts = text.split(".")
    if len(parts) == _FULL - 1:
        parts = [default_catalog, *parts]
    if len(parts) != _FULL or not all(map(_PART.fullmatch, parts)):
        return None
    catalog, namespace, table = parts
    return catalog, namespace, table
