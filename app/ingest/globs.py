"""Globs over keys, compiled once. Case counts; a `/` is matched by `**` alone. Pure.

    *       any text without a /            [abc] [a-z] [!a]   one character
    ?       one character but /             {csv,json.gz}      one of these
    **      any folders, also none          a/                 everything below a

There is no escape character, because a key may hold a backslash: `[*]` is a plain star.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from app.errors import InvalidInput

_SPECIAL = re.compile(r"[*?\[{]")


def has_glob(text: str) -> bool:
    """Whether the text says more than its own letters."""
    return bool(_SPECIAL.search(text))


def matcher(patterns: Sequence[str]) -> Callable[[str], object]:
    """A function that answers something true for a relative path that one of the patterns matches in full.

    Raises InvalidInput for a pattern that is empty or does not parse.
    """
    return re.compile("|".join(f"(?:{to_regex(pattern)})" for pattern in patterns), re.DOTALL).fullmatch


def to_regex(pattern: str) -> str:
    """The regular expression of one glob."""
    text = pattern.removeprefix("./").lstrip("/")
    if not text:
        raise InvalidInput(
            f"{pattern!r} is not a pattern.", hint="Write for example *.csv, or **/*.json for every folder."
        )
    if text.endswith("/"):
        text += "**"
    expression, _ = _sequence(text, 0, inside=False)
    try:
        re.compile(expression)
    except re.error as error:
        raise InvalidInput(f"The pattern {pattern!r} cannot be used: {error.msg}.", hint="Look at its [ ].") from error
    return expression


def _sequence(text: str, at: int, *, inside: bool) -> tuple[str, int]:
    """Up to the end, or, inside braces, up to `,` or `}`."""
    parts: list[str] = []
    while at < len(text):
        char = text[at]
        if inside and char in ",}":
            break
        if char == "*":
            piece, at = _stars(text, at)
        elif char == "?":
            piece, at = "[^/]", at + 1
        elif char == "[":
            piece, at = _class(text, at)
        elif char == "{":
            piece, at = _choice(text, at)
        else:
            piece, at = re.escape(char), at + 1
        if not (parts and piece == parts[-1] == _FOLDERS):  # `**/**/` says no more than `**/`, and matches slowly
            parts.append(piece)
    return "".join(parts), at


_FOLDERS = "(?:[^/]+/)*"


def _stars(text: str, at: int) -> tuple[str, int]:
    end = at
    while end < len(text) and text[end] == "*":
        end += 1
    if end - at == 1:
        return "[^/]*", end
    if (at == 0 or text[at - 1] == "/") and end < len(text) and text[end] == "/":
        return _FOLDERS, end + 1
    return ".*", end


def _class(text: str, at: int) -> tuple[str, int]:
    start = at + 1
    negated = start < len(text) and text[start] in "!^"
    start += negated
    end = text.find("]", start + 1)
    if end < 0:
        raise InvalidInput(f"The pattern {text!r} has a [ without its ].", hint="Write [[] for a plain one.")
    # A range is `a-z` with something on both sides; every other character stands for itself.
    members = re.sub(r"(.)-(.)|(.)", _member, text[start:end], flags=re.DOTALL)
    return f"(?!/)[{'^' if negated else ''}{members}]", end + 1


def _member(found: re.Match[str]) -> str:
    first, last, single = found.groups()
    return re.escape(single) if single is not None else f"{re.escape(first)}-{re.escape(last)}"


def _choice(text: str, at: int) -> tuple[str, int]:
    options: list[str] = []
    end = at
    while end < len(text) and text[end] in "{,":
        option, end = _sequence(text, end + 1, inside=True)
        options.append(option)
    if end >= len(text):
        raise InvalidInput(f"The pattern {text!r} has a {{ without its }}.", hint="Write [{] for a plain one.")
    return f"(?:{'|'.join(options)})", end + 1
