"""JSON in which each scalar tells its kind: strings begin with `s`, numbers are strings that begin with `n`.

Spark's parser prints numbers anew and takes `"12"` for 12. In a record that was rewritten so, its values come out as
they were written, and the first character of a value tells what it was: `s`, `n`, `{`, `[`, or `t` and `f` of true and
false. Keys are strings, so they begin with `s` as well.

A number that JSON does not know (`01`, `1.`) is left as it is, and the parser refuses the record.
"""

from __future__ import annotations

import secrets

from app.ingest.formats.spark.text import bound, text_sql

_STRING = r'"((?:[^"\\]++|\\[\s\S])*+)"'
_NUMBER = r"-?(?:(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?|(?i:nan|inf(?:inity)?))"
# What repeats is possessive: Java's matcher would else recurse once a repetition, and overflow its stack.
_TOKEN = rf"{_STRING}|(?<![-+.\w])({_NUMBER})(?=[\s,}}\]]|\z)"
_OPTIONS = "map('allowSingleQuotes', 'false', 'allowNonNumericNumbers', 'false')"
END = f"s{secrets.token_hex(8)}"  # the element behind the record; no file can hold it


def tagged(text: str) -> str:
    """SQL: the JSON `text` with its scalars tagged."""
    marked = f"regexp_replace({text}, {text_sql(_TOKEN)}, '\\u0001$1\\u0002$2\\u0003')"
    for mark, quote in (("\\u0002\\u0003", '"'), ("\\u0001\\u0002", '"n'), ("\\u0003", '"'), ("\\u0001", '"s')):
        marked = f"replace({marked}, '{mark}', '{quote}')"
    return marked


def parsed(tagged_text: str) -> str:
    """SQL: an array of maps. `is_record` of it tells whether the text was one JSON object and nothing else.

    The element behind shows that the parser came to the end: it would not look at what follows a first value.
    """
    return _from_json(f"concat('[', {tagged_text}, ',{{\"s{END}\":\"s\"}}]')", "array<map<string,string>>")


def is_record(parsed_array: str) -> str:
    """SQL: what `parsed` gave is one object. Null is no."""
    last = f"{parsed_array}[1][{text_sql(f's{END}')}]"
    return f"coalesce(size({parsed_array}) = 2 AND {parsed_array}[0] IS NOT NULL AND {last} = 's', false)"


def is_value(tagged_text: str) -> str:
    """SQL: the text is one JSON value, whatever it is."""
    array = _from_json(f"concat('[', {tagged_text}, ',\"{END}\"]')", "array<string>")
    return f"coalesce(size({array}) = 2 AND {array}[1] = '{END}', false)"


def value_of(tagged_text: str) -> str:
    """SQL: the text as one tagged value; null when it is not one JSON value and nothing else."""
    array = _from_json(f"concat('[', {tagged_text}, ',\"{END}\"]')", "array<string>")
    name = "one"
    return bound(array, name, f"CASE WHEN size({name}) = 2 AND {name}[1] = '{END}' THEN {name}[0] END")


def members(value: str) -> str:
    """SQL: a tagged object's keys and values as a map; null for what is none."""
    return f"CASE WHEN left({value}, 1) = '{{' THEN {_from_json(value, 'map<string,string>')} END"


def items(value: str) -> str:
    """SQL: a tagged array's elements; null for what is none."""
    return f"CASE WHEN left({value}, 1) = '[' THEN {_from_json(value, 'array<string>')} END"


def untagged(value: str) -> str:
    """SQL: the JSON text of a tagged object or array, numbers as they came. NaN and Infinity, no JSON, are strings.

    No quote inside a string stands without a backslash before it, and no string ends before an `n` or `s`.
    """
    special = f"regexp_replace({value}, {text_sql(_SPECIAL)}, '\"s$1\"')"
    numbers = f"regexp_replace({special}, {text_sql(_PLAIN)}, '$1')"
    plain = f"regexp_replace({numbers}, {text_sql(_OPENING)}, '\"')"
    return f"CASE WHEN instr({value}, '\\\\uD') > 0 THEN {_unescaped(plain)} ELSE {plain} END"


def _unescaped(text: str) -> str:
    """SQL: `text` with characters beyond 16 bits as themselves.

    Spark's parser prints them as pairs of escapes, and reads them back from a string in which all else is escaped anew.
    """
    marked = f"replace(regexp_replace({text}, {text_sql(_ESCAPE)}, '\\u0001$1\\u0002$2'), '\\u0001\\u0002', '')"
    escaped = f"replace(replace({marked}, '\\\\', '\\\\\\\\'), '\"', '\\\\\"')"
    pairs = f"regexp_replace({escaped}, {text_sql(_MARKED)}, {text_sql(_PAIR)})"
    return _from_json(f"concat('[\"', {pairs}, '\"]')", "array<string>") + "[0]"


# Two of them make a character; one alone is none, and no JSON for the embedded engine's parser.
_PLAIN_BEFORE = r"(?<!\\)(?:\\\\)*+"
_SURROGATES = r"(?i)(" + _PLAIN_BEFORE + r")\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}"
_LONE = r"(?i)" + _PLAIN_BEFORE + r"\\ud[89a-f]"


def lone_surrogate(text: str) -> str:
    """SQL: an escape in the JSON `text` is half a character."""
    rest = f"regexp_replace({text}, {text_sql(_SURROGATES)}, '$1')"
    some = f"instr({text}, '\\\\ud') > 0 OR instr({text}, '\\\\uD') > 0"
    return f"CASE WHEN {some} THEN {rest} RLIKE {text_sql(_LONE)} ELSE false END"


def broken(text: str) -> str:
    """SQL: `text` has a character that stands for a quote while a record is rewritten. JSON has none of them."""
    return " OR ".join(f"instr({text}, '\\u000{number}') > 0" for number in (1, 2, 3))


_ESCAPE = r"(\\uD[89AB][0-9A-F]{2}\\uD[C-F][0-9A-F]{2})|(\\[\s\S])"
_MARKED = r"\u0001\\\\(u....)\\\\(u....)\u0002"
_PAIR = r"\\$1\\$2"
_OPENING = r'(?<!\\)"s'
_SPECIAL = r'(?<!\\)"n(-?[nNiI][^"]*+)"'
_PLAIN = r'(?<!\\)"n([-0-9][^"]*+)"'


def json_of(value: str) -> str:
    """SQL: the JSON text of any tagged value."""
    content = f"substring({value}, 2)"
    number = f"CASE WHEN lower({value}) RLIKE '^n-?[ni]' THEN {quoted(content)} ELSE {content} END"
    return (
        f"CASE left({value}, 1) WHEN 's' THEN {quoted(content)} WHEN 'n' THEN {number}"
        f" WHEN '{{' THEN {untagged(value)} WHEN '[' THEN {untagged(value)} ELSE {value} END"
    )


def quoted(text: str) -> str:
    """SQL: `text` as a JSON string."""
    return f"regexp_replace(to_json(array({text})), '^.|.$', '')"


def _from_json(text: str, kind: str) -> str:
    return f"from_json({text}, '{kind}', {_OPTIONS})"
