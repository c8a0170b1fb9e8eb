"""JSON numbers exactly as they were written.

DuckDB reads a number with a point or an exponent as a double and prints it anew: `1.10` comes out as `1.1`,
`9007199254740993.0` as `...992.0`. For a double that is what the column is; for text, integers, decimals and
rescued values it would be another value. So a record in which it matters (`bent`) is parsed from a copy in which every
number is a string behind a secret word (`marked`). Conversions take the number's own text from there (`whole`,
`exact_decimal`), and texts lose the word again (`unmarked`). All other records are parsed as they are.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator

from app.datatypes import Column, DataType, duckdb_text, duckdb_type

WORD = f"~{secrets.token_hex(6)}~"  # no file can hold it
_STRING = r'"(?:[^"\\]|\\.)*"'
_QUOTED, _MAYBE_QUOTED = f'(?:"{WORD})?', f'"?(?:{WORD})?'  # the second takes a string for a number
_DIGITS = "[0-9][-+0-9.eE]*"
# The parser takes NaN and Infinity in any case. Without the small n the pattern never has a choice, which makes the
# search twice as fast; with it, `nu` of null must be told from nan.
_FAST = rf'((?:{_STRING}|[^-0-9"iIN])*)(-?(?:{_DIGITS}|[iIN][a-zA-Z]*))'
_FULL = rf'((?:{_STRING}|[^-0-9"iInN]|nu)*)(-?(?:{_DIGITS}|[iInN][a-zA-Z]*))'
_SMALL_NAN = r"[:,\[]\s*-?n[aA]"
# A number: sign, digits before the point without leading zeros, those behind it without trailing ones, exponent.
_PARTS = "((-?)(?:0*([1-9][0-9]*)|0+)(?:[.](?:([0-9]*[1-9])0*|0+))?(?:[eE]([-+]?[0-9]+))?)"
_LONG = r"[0-9.]{17}|[0-9]+(?:\.[0-9]+)?[eE]"  # more than fifteen digits, or an exponent
# Every number that may be printed otherwise than it was written, and now and then one that is not.
_ODD = rf"(?:-0[,}}\]\s]|-?(?:0\.0000|{_LONG}|[0-9]+\.[0-9]+0[,}}\]\s]|[nN][aA][nN]|[iI][nN][fF]))"
_ESCAPED_KEY = rf'\\.(?:[^"\\]|\\.)*"\s*:\s*(?:{_ODD}|[\[{{])'
_INTEGERS = frozenset({"int", "bigint"})
_FAR = 1_000_000_000  # a power of ten beyond every column, which can be added to and negated
_LONGEST = 20_000  # characters of a regular expression


def marked(text: str) -> str:
    """SQL: the JSON `text` with each number as a string that begins with WORD. `text` must be valid.

    The number at the end makes every search succeed from where it starts, so none starts inside a string.
    """
    full = f"regexp_matches({text}, '{_SMALL_NAN}')"
    return f"CASE WHEN {full} THEN {_marked(text, _FULL)} ELSE {_marked(text, _FAST)} END"


def _marked(text: str, pattern: str) -> str:
    replaced = f"regexp_replace({text} || '0', {duckdb_text(pattern)}, '\\1\"{WORD}\\2\"', 'g')"
    return f"left({replaced}, -{len(WORD) + 3})"


def odd_numbers(text: str) -> str:
    """SQL: a number in the JSON `text` could come out otherwise than it went in."""
    return f"regexp_matches({text}, '[:,\\[]\\s*{_ODD}')"


def marked_if_odd(text: str) -> str:
    """SQL: `marked` where a number in `text`, a column, needs it."""
    return f"CASE WHEN {odd_numbers(text)} THEN {marked(text)} ELSE {text} END"


def unmarked(text: str) -> str:
    """SQL: `text` (JSON, or a number alone) with its numbers as they came; NaN and Infinity, no JSON, stay strings."""
    numbers = f"regexp_replace({text}, '\"{WORD}(-?[0-9][-+0-9.eE]*)\"', '\\1', 'g')"
    return f"replace({numbers}, '{WORD}', '')"


# --- does it matter?


def bent(text: str, columns: tuple[Column, ...]) -> str:
    """SQL: the record `text` has a number whose text matters for one of these columns, and which parsing may change.

    Never false when it has one; true now and then when it has none. It is one search for the keys of such columns with
    a suspicious value behind; any key with an escape is taken for one of them.
    """
    keys: dict[str, set[str]] = {}
    for column in columns:
        for name, value in _places(column):
            keys.setdefault(value, set()).add(_regex(name))
    if not keys:
        return "false"
    found = [rf'"(?:{"|".join(sorted(names))})"\s*:\s*{value}' for value, names in sorted(keys.items())]
    pattern = "|".join(found)
    if len(pattern) > _LONGEST:
        return odd_numbers(text)
    # Two searches: one whose matches all begin with the same character is twice as fast.
    keyed = f"regexp_matches({text}, {duckdb_text(pattern)})"
    escaped = f"contains({text}, '\\') AND regexp_matches({text}, {duckdb_text(_ESCAPED_KEY)})"
    return f"CASE WHEN {keyed} OR ({escaped}) THEN {odd_numbers(text)} ELSE false END"


def _places(column: Column) -> Iterator[tuple[str, str]]:
    """Keys below `column`, and how a value behind them looks that may bend there."""
    kind = column.type
    if kind.name == "struct":
        for member in kind.fields:
            yield from _places(member)
    elif kind.name == "string":
        yield column.name, rf"(?:{_ODD}|[\[{{])"
    elif kind.name in _INTEGERS:
        yield column.name, _ODD
    elif kind.name == "decimal":
        yield column.name, f"-?(?:{_LONG})"
    elif kind.element:
        yield from _inside(column.name, kind, kind.element)


def _inside(name: str, kind: DataType, item: Column) -> Iterator[tuple[str, str]]:
    """The same for the array or map `name`. One with an element of another type does not fit as a whole."""
    if item.type.name == "struct":
        yield from _places(item)
    elif kind.name == "array" and item.type.name == "string":
        yield name, rf"\[(?:{_STRING}|null|[,\s])*[-0-9iIN\[{{]"
    elif kind.name == "array" and item.type.name in _INTEGERS:
        yield name, rf'\[(?:[^\]"{{\[]*[,\s])?{_ODD}'
    elif kind.name == "array" and item.type.name == "decimal":
        yield name, rf'\[(?:{_STRING}|[^\]"])*(?:{_LONG})'
    elif any(_places(item)):
        yield name, r"[\[{]"


def _regex(text: str) -> str:
    return "".join(f"\\{char}" if char in string.punctuation else char for char in text)


# --- the value


def whole(value: str, kind: DataType, name: str) -> str:
    """SQL: the number `value`, marked or not, as an integer; null when it is none or does not fit. `name` is free for
    lambdas.
    """
    fits = f"TRY_CAST({name}.s || {_digits(name)} AS {duckdb_type(kind)})"
    return f"list_transform({_parts(value, _QUOTED, 0, name)}, lambda {name}: {fits})[1]"


def exact_decimal(value: str, kind: DataType, name: str) -> str:
    """SQL: a number, marked or not, or a JSON string that holds one, as a decimal; null when digits would be lost."""
    digits = f"'{'0' * kind.scale}' || {_digits(name)}"
    pointed = f"regexp_replace({digits}, '([0-9]{{{kind.scale}}})$', '.\\1')"
    fits = f"TRY_CAST({name}.s || {pointed} AS {duckdb_type(kind)})"
    return f"list_transform({_parts(value, _MAYBE_QUOTED, kind.scale, name)}, lambda {name}: {fits})[1]"


def number_of(value: str) -> str:
    """SQL: the number in a marked value, JSON text."""
    return f"replace(trim({value}, '\"'), '{WORD}', '')"


def _parts(value: str, before: str, places: int, v: str) -> str:
    """SQL: a list of one struct: the number's sign `s` (null: it is none), digits `i` and `f`, and the power `p` of ten
    with `places` added. Kept small, as DuckDB plans it once for each column.
    """
    parts = f"regexp_extract({value}, '^{before}{_PARTS}\"?$', ['n', 's', 'i', 'f', 'e'])"
    bounded = f"CAST(greatest(least(TRY_CAST({v}.e AS BIGINT), {_FAR}), -{_FAR}) AS INTEGER)"
    power = f"CASE WHEN {v}.e = '' THEN 0 ELSE {bounded} END + {places}"
    sign = f"CASE WHEN {v}.n <> '' THEN {v}.s END"
    return f"list_transform([{parts}], lambda {v}: {{'s': {sign}, 'i': {v}.i, 'f': {v}.f, 'p': {power}}})"


def _digits(v: str) -> str:
    """SQL: the digits of the number with the parts `v`; null when it is not whole.

    Of the digits behind the point as many are taken as the power says; at most 40 zeros more, which is beyond all
    columns unless all is zero.
    """
    more = f"rpad({v}.f, CAST(least({v}.p, length({v}.f) + 40) AS INTEGER), '0')"
    dropped = f"right({v}.i, least(-{v}.p, length({v}.i)))"
    return (
        f"CASE WHEN {v}.i = '' AND {v}.f = '' THEN '0'"
        f" WHEN {v}.p >= length({v}.f) THEN '0' || {v}.i || {more}"
        f" WHEN {v}.p < 0 AND {v}.f = '' AND ltrim({dropped}, '0') = ''"
        f" THEN '0' || left({v}.i, greatest(length({v}.i) + {v}.p, 0)) END"
    )
