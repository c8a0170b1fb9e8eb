"""strptime formats of dates and timestamps as Spark SQL: what `formats/strptime.py` reads, letter for letter.

Not by Spark's own patterns: these pad, round and complete otherwise. A format becomes one regular expression that takes
what DuckDB's parser takes (runs of spaces for runs of spaces, as many digits as there are up to a letter's most, and
spaces around all), and its parts become a text that Spark casts in one way only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.datatypes import DataType
from app.ingest.formats.spark.text import text_sql, type_sql

_SPACES = " \t\n\x0b\f\r"  # what DuckDB takes for one
_SPACE = r"[ \t\n\x0B\f\r]"
# The most digits of each letter. Others (names of months, zones, halves of a day, weeks) are not read here.
_DIGITS = {"Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "f": 6}
_LETTERS = re.compile(r"%(-?)(.)", re.DOTALL)
_ABSENT = {"Y": "1900", "m": "01", "d": "01", "H": "00", "M": "00", "S": "00", "f": "000000"}


@dataclass(frozen=True, slots=True)
class Format:
    """`regex` is in Java's words; `letters` are its groups, in their order."""

    regex: str
    letters: tuple[str, ...]


def unknown_letter(pattern: str) -> str:
    """The first part of the pattern that is not read here; empty when all are."""
    seen: set[str] = set()
    for found in _LETTERS.finditer(pattern):
        letter = found[2]
        if letter == "%" and not found[1]:
            continue
        kind = letter.lower() if letter in "Yy" else letter
        if letter not in _DIGITS or kind in seen or (found[1] and letter in "Yf"):
            return found[0]
        seen.add(kind)
    return ""


def parsed_format(pattern: str) -> Format:
    """The format that the pattern says; `unknown_letter` must be empty for it."""
    regex, letters, end = [rf"\A{_SPACE}*+"], [], 0
    for found in _LETTERS.finditer(pattern):
        regex.append(_literal(pattern[end : found.start()] + ("%" if found[2] == "%" else "")))
        end = found.end()
        if found[2] != "%":
            letters.append(found[2])
            regex.append(f"([0-9]{{1,{_DIGITS[found[2]]}}}+)")
    regex += [_literal(pattern[end:]), rf"{_SPACE}*+\z"]
    return Format("".join(regex), tuple(letters))


def _literal(text: str) -> str:
    parts = re.split(f"([{_SPACES}]+)", text)
    return "".join(f"{_SPACE}++" if place % 2 else _quoted(part) for place, part in enumerate(parts))


def _quoted(text: str) -> str:
    return "".join(one if one.isalnum() or not one.isascii() else f"\\{one}" for one in text)


def strptime_sql(text: str, pattern: str, kind: DataType) -> str:
    """SQL for `text`, which stands in it more than once, by the pattern; null when that would lose a part of it."""
    form = parsed_format(pattern)
    regex = text_sql(form.regex)
    part = {letter: f"regexp_extract({text}, {regex}, {place})" for place, letter in enumerate(form.letters, 1)}
    day = f"concat({_year(part)}, '-', {_two(part, 'm')}, '-', {_two(part, 'd')})"
    clock = f"concat({_two(part, 'H')}, ':', {_two(part, 'M')}, ':', {_two(part, 'S')}, '.', {_fraction(part)})"
    if kind.name == "date":
        midnight = f" AND {clock} = '00:00:00.000000'" if part.keys() & set("HMSf") else ""
        value = f"try_cast({day} AS DATE)"
        return f"CASE WHEN {text} RLIKE {regex}{midnight} THEN {value} END"
    zone = ", 'Z'" if kind.name == "timestamptz" else ""
    return f"CASE WHEN {text} RLIKE {regex} THEN try_cast(concat({day}, ' ', {clock}{zone}) AS {type_sql(kind)}) END"


def _year(part: dict[str, str]) -> str:
    if "y" not in part:
        return f"lpad({part['Y']}, 4, '0')" if "Y" in part else "'1900'"
    short = f"lpad({part['y']}, 2, '0')"
    return f"concat(CASE WHEN {short} >= '69' THEN '19' ELSE '20' END, {short})"


def _two(part: dict[str, str], letter: str) -> str:
    return f"lpad({part[letter]}, 2, '0')" if letter in part else f"'{_ABSENT[letter]}'"


def _fraction(part: dict[str, str]) -> str:
    return f"rpad({part['f']}, 6, '0')" if "f" in part else f"'{_ABSENT['f']}'"
