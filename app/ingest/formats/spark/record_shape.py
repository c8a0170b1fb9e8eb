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

Java runs along a set of characters fastest when it is greedy; what follows begins otherwise, so that it never has to go
back. Groups are possessive: what they took is not given back, and needs no deeper stack where it is long.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence

from app.datatypes import Column, DataType, can_be_named

_CHARACTERS = r'[^"\\\ufffd]*'
_TEXT = f"(?>{_CHARACTERS})"  # a text may be long, and what is wrong with it stand at its end
_STRING = rf'"{_TEXT}(?:\\["\\/bfnrt]{_TEXT})*+"'
# A number, true, false or null: which, the parser says. Sets that all are lists of characters Java runs twice as fast
# as some with a range among them.
_OTHER = r'[^",:\[\]{}\\\ufffd \t\r]+'
_BLANK = " *"  # nothing that follows begins with one
_COMMA = f"{_BLANK}(?:,{_BLANK})?+"
_LEVELS = (2, 1, 0)  # objects and arrays in each other below an unknown key
_ODD = frozenset('"\\\ufffd')  # of a key that is not looked for
_LONGEST = 24 * 1024  # characters: Java's code has no room for a text of 64 KB, and without it each match costs more
_MOST = 200  # columns, and members of structs: each is a step into the matcher's stack


def record_shape(columns: Sequence[Column], texts: frozenset[str], order: Sequence[str]) -> str:
    """The expression, in Java's words; empty for a table too wide for one. `texts` are the types read as strings.

    The columns are of types that `quick_records` proves; `order` has keys of records, among them those of columns.
    """
    known = {column.name: column for column in columns}
    names = dict.fromkeys([*order, *known])
    if sum(map(_count, columns)) + len(names) - len(known) > _MOST:
        return ""
    ordered = [known[name] for name in names if name in known]
    usual = [_usual(known, names, texts, levels) for levels in _LEVELS]
    loose = [_object(ordered, texts, levels) for levels in _LEVELS]
    both = [f"(?>{one}|{other})" for one, other in zip(usual, loose, strict=True)]
    return next((rf"\A{shape}\z" for shape in [*both, *usual, *loose] if len(shape) <= _LONGEST), "")


def _usual(known: Mapping[str, Column], names: Collection[str], texts: frozenset[str], levels: int) -> str:
    """An object whose keys are these, each at its place."""
    members = ""
    for name in names:
        if name in known:
            members += _member(name, _value(known[name].type, texts, levels))
        elif can_be_named(name) and not set(json.dumps(name, ensure_ascii=False)[1:-1]) & _ODD:
            members += _member(name, _any(levels))
    return rf"\{{{_BLANK}{members}\}}"


def _count(column: Column) -> int:
    return 1 + sum(map(_count, column.type.fields))


def _object(columns: Sequence[Column], texts: frozenset[str], levels: int) -> str:
    """An object with the columns as keys, in their order, and others anywhere."""
    between = _unknown(columns, levels)
    members = (_member(column.name, _value(column.type, texts, levels)) + between for column in columns)
    return rf"\{{{_BLANK}{between}{''.join(members)}\}}"


def _member(name: str, value: str) -> str:
    return f"(?:{_key(name)}{_BLANK}:{_BLANK}{value}{_COMMA})?+"


def _value(kind: DataType, texts: frozenset[str], levels: int) -> str:
    if kind.name == "struct":
        return f"(?:{_object(kind.fields, texts, levels)}|null)"
    if kind.element:
        item = f"(?:{_value(kind.element.type, texts, levels)}{_COMMA})*+"
        return rf"(?:\[{_BLANK}{item}\]|null)"
    return f"(?:{_STRING}|null)" if kind.name in texts else _OTHER


def _unknown(columns: Sequence[Column], levels: int) -> str:
    """Keys that no column has, with their values."""
    known = "|".join(_key(column.name)[1:-1] for column in columns)
    return rf'(?:"(?!(?:{known})"){_CHARACTERS}"{_BLANK}:{_BLANK}{_any(levels)}{_COMMA})*+'


def _any(levels: int) -> str:
    if not levels:
        return f"(?:{_STRING}|{_OTHER})"
    inner = _any(levels - 1)
    member = rf'(?:"{_CHARACTERS}"{_BLANK}:{_BLANK}{inner}{_COMMA})*+'
    return rf"(?:{_STRING}|{_OTHER}|\{{{_BLANK}{member}\}}|\[{_BLANK}(?:{inner}{_COMMA})*+\])"


def _key(name: str) -> str:
    return re.escape(json.dumps(name, ensure_ascii=False))
