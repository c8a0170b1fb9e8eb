r"""A regular expression for JSON records with keys that are not wanted, whose keys stand in an order that is known.

Matched with a text whose begin the parser took for one sound object, it proves what would else be counted: both read
the text token by token from the same brace on, so it is this one object to its end, each known key stands once, and
what is in a text column is a string. It does not look at commas and numbers, which the parser has.

- A string has no escape but the short ones (`\n`, `\"`), and no replacement character, which may stand for what is no
  UTF-8.
- Any column may be missing, or null.
- Unknown keys stand where they were seen, or else anywhere, which takes longer to find out. Their values are nested no
  deeper than a few levels: each doubles the expression. They are written without an escape, so none of them is a known
  one in other letters.

Java runs along a set of characters fastest when it is greedy; no two things that follow each other begin alike, so that
it never goes back for long. What is a group is possessive: a long record needs no deeper stack than a short one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from app.datatypes import Column, DataType

_CHARACTERS = r'[^"\\\ufffd]*'
_STRING = rf'"{_CHARACTERS}(?:\\["\\/bfnrt]{_CHARACTERS})*+"'
_OTHER = r'[^",:\[\]{}\\\ufffd]+'  # a number, true, false or null: which, the parser says
_COMMA = " *,? *"
_LEVELS = 2  # objects and arrays in each other below an unknown key
_ODD = frozenset('"\\\ufffd')  # of a key that is not looked for
_MOST = 200  # columns, and members of structs: each is a step into the matcher's stack


def record_shape(columns: Sequence[Column], texts: frozenset[str], order: Sequence[str]) -> str:
    """The expression, in Java's words; empty for a table too wide for one. `texts` are the types read as strings.

    The columns are of types that `quick_records` proves; `order` has keys of records, among them those of columns.
    """
    known = {column.name: column for column in columns}
    names = dict.fromkeys([*order, *known])
    if sum(map(_count, columns)) + len(names) - len(known) > _MOST:
        return ""
    usual = ""
    for name in names:
        if name in known:
            usual += _member(name, _value(known[name].type, texts, unknown=False))
        elif not set(json.dumps(name, ensure_ascii=False)[1:-1]) & _ODD:
            usual += _member(name, _any(_LEVELS))
    ordered = [known[name] for name in names if name in known]
    return rf"\A(?>\{{ *{usual}\}}|{_object(ordered, texts, unknown=True)})\z"


def _count(column: Column) -> int:
    return 1 + sum(map(_count, column.type.fields))


def _object(columns: Sequence[Column], texts: frozenset[str], *, unknown: bool) -> str:
    between = _unknown(columns) if unknown else ""
    members = (_member(one.name, _value(one.type, texts, unknown=unknown)) + between for one in columns)
    return rf"\{{ *{between}{''.join(members)}\}}"


def _member(name: str, value: str) -> str:
    return f"(?:{_key(name)} *: *{value}{_COMMA})?+"


def _value(kind: DataType, texts: frozenset[str], *, unknown: bool) -> str:
    if kind.name == "struct":
        return f"(?:{_object(kind.fields, texts, unknown=unknown)}|null)"
    if kind.element:
        item = f"(?:{_value(kind.element.type, texts, unknown=unknown)}{_COMMA})*+"
        return rf"(?:\[ *{item}\]|null)"
    return f"(?:{_STRING}|null)" if kind.name in texts else _OTHER


def _unknown(columns: Sequence[Column]) -> str:
    known = "|".join(_key(column.name)[1:-1] for column in columns)
    return rf'(?:"(?!(?:{known})"){_CHARACTERS}" *: *{_any(_LEVELS)}{_COMMA})*+'


def _any(levels: int) -> str:
    if not levels:
        return f"(?:{_STRING}|{_OTHER})"
    inner = _any(levels - 1)
    member = rf'(?:"{_CHARACTERS}" *: *{inner}{_COMMA})*+'
    return rf"(?:{_STRING}|{_OTHER}|\{{ *{member}\}}|\[ *(?:{inner}{_COMMA})*+\])"


def _key(name: str) -> str:
    return re.escape(json.dumps(name, ensure_ascii=False))
