"""Spark SQL over lines of JSON: which keys the schema lacks, and which lines have one of some keys.

Both are for a look before the exact layers of `json_records`. The keys are a hint: what is no JSON has none. The lines
are all that can have such a key, and maybe some that have none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import count

from app.datatypes import Column
from app.ingest.formats.spark.text import bound, names_sql, text_sql

_ESCAPED_KEY = r'\\.[^"\\]*+"\s*+:'  # from a key's last escape to the colon behind it
_NO_TEXT = re.compile(r'["\\\x00-\x1f]')  # what in JSON is never written but with an escape
_BACKSLASH = "\\"
_NONE = "CAST(array() AS ARRAY<STRING>)"


def strange_keys(columns: Sequence[Column], text: str = "value") -> str:
    """SQL: an array, never null, of the keys with a value that the object `text` has and `columns` lack, as they are
    rescued: in a struct's object with the names above them and dots.
    """
    return _strange(columns, text, "", count())


def _strange(columns: Sequence[Column], text: str, above: str, numbers: Iterator[int]) -> str:
    number = next(numbers)
    m, e, known = f"m{number}", f"e{number}", names_sql([column.name for column in columns])
    strange = f"filter(map_entries({m}), {e} -> {e}.value IS NOT NULL AND NOT array_contains({known}, {e}.key))"
    found = [f"transform({strange}, {e} -> concat({text_sql(above)}, {e}.key))"]
    for column in columns:
        if column.type.name == "struct":
            inner = f"{m}[{text_sql(column.name)}]"
            found.append(_strange(column.type.fields, inner, f"{above}{column.name}.", numbers))
    whole = bound(f"from_json({text}, 'map<string,string>')", m, f"concat({', '.join(found)})")
    return f"coalesce({whole}, {_NONE})"


def lines_with(keys: Collection[str]) -> str:
    """SQL: the line `value` may be an object that is rescued under one of the keys, or one that differs in case.

    A key stands in it as its text between quotes, or with an escape. What was rescued from a struct has the names
    above it before a dot, and a key may have dots of its own.
    """
    texts = sorted({part for key in keys for part in _ends(key) if not _NO_TEXT.search(part)})
    escaped = f"contains(value, {text_sql(_BACKSLASH)}) AND value RLIKE {text_sql(_ESCAPED_KEY)}"
    if not texts:
        return f"({escaped})"
    quoted = [f"lower({text_sql(chr(34) + text + chr(34))})" for text in texts]
    if len(texts) == 1:
        return f"(contains(lower(value), {quoted[0]}) OR {escaped})"
    # Each is lowered between its quotes, as it stands in a line: how a letter is lowered depends on those beside it.
    any_of = ", '\\\\E|\\\\Q', ".join(quoted)
    return f"(lower(value) RLIKE concat('\\\\Q', {any_of}, '\\\\E') OR {escaped})"


def _ends(key: str) -> Iterator[str]:
    """The key, and what stands behind each of its dots."""
    yield key
    for found in re.finditer(r"\.", key):
        yield key[found.end() :]
