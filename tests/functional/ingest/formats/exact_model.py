"""What a column must make of a JSON value or a text, in plain Python: the value, or MISFIT."""

# ruff: noqa: DTZ001 — timestamps without a zone are what is modelled

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import math
import re
import struct
from decimal import Context, Decimal, InvalidOperation
from uuid import UUID

MISFIT = object()
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_CLOCK = r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
_TIME = re.compile(_CLOCK)
_MOMENT = re.compile(
    rf"([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}})(?:[T ]{_CLOCK}( ?(?:Z|UTC|[+-][0-9]{{2}}(?::?[0-9]{{2}})?))?)?"
)
_EXACT = Context(prec=2000, Emax=999_999, Emin=-999_999)
_LIMITS = {"int": 2**31, "bigint": 2**63}


class Token(str):
    """A number, or NaN, as it stands in JSON."""

    __slots__ = ()


class Pairs(list):
    """An object as it stands in JSON."""


def tokens(text: str, *, strict: bool = False):
    """`text` read without losing anything; `strict` takes no NaN or Infinity."""

    def constant(name):
        if strict:
            raise ValueError(name)
        return Token(name)

    hook = Pairs
    return json.loads(text, parse_int=Token, parse_float=Token, parse_constant=constant, object_pairs_hook=hook)


def compact(value) -> str:
    """The value's JSON without white space; NaN and Infinity as strings, because they are no JSON."""
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{compact(k)}:{compact(v)}" for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(compact(item) for item in value) + "]"
    if isinstance(value, Token) and value not in _WORDS:
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(map(_escaped, value)) + '"'
    return json.dumps(value)


def _escaped(char):
    return (
        f"\\u{ord(char):04X}" if char < " " and char not in "\b\f\n\r\t" else json.dumps(char, ensure_ascii=False)[1:-1]
    )


def of_json(value, kind):
    """The column's value for one parsed JSON value (see `tokens`)."""
    if value is None:
        return None
    if kind.name == "struct":
        return _struct(value, kind)
    if kind.name == "array":
        return _all([of_json(item, kind.element.type) for item in value]) if type(value) is list else MISFIT
    if kind.name == "map":
        if not isinstance(value, Pairs) or len(dict(value)) < len(value):
            return MISFIT
        items = _all([of_json(item, kind.element.type) for _, item in value])
        return MISFIT if items is MISFIT else dict(zip((key for key, _ in value), items, strict=True))
    return _scalar(value, kind)


def _scalar(value, kind):
    if isinstance(value, str) and not isinstance(value, Token):
        return _json_string(value, kind)
    if kind.name == "string":
        return str(value) if isinstance(value, Token) else compact(value)
    if isinstance(value, bool):
        return value if kind.name == "boolean" else MISFIT
    return _number(value, kind) if isinstance(value, Token) else MISFIT


def _all(items):
    return MISFIT if any(item is MISFIT for item in items) else items


def _struct(value, kind):
    if not isinstance(value, Pairs):
        return MISFIT
    found = dict(value)
    items = _all([of_json(found.get(member.name), member.type) for member in kind.fields])
    return MISFIT if items is MISFIT else dict(zip((member.name for member in kind.fields), items, strict=True))


def _number(text, kind):
    if kind.name in {"float", "double"}:
        return _real(text, kind)
    if text in _WORDS:
        return MISFIT
    if kind.name == "decimal":
        return _decimal(text, kind)
    if kind.name not in _LIMITS:
        return MISFIT
    number = _exact(text)
    limit = _LIMITS[kind.name]
    return int(number) if number == number.to_integral_value(context=_EXACT) and -limit <= number < limit else MISFIT


def _real(text, kind):
    number = _WORDS[text] if text in _WORDS else float(text)
    if kind.name == "float" and math.isfinite(number):
        try:
            number = struct.unpack("f", struct.pack("f", number))[0]
        except OverflowError:
            return MISFIT
    return MISFIT if math.isinf(number) and text not in _WORDS else number


def _exact(text):
    """The number; a power of ten that no column holds is cut to one that none holds either."""
    mantissa, _, power = text.lower().partition("e")
    number = Decimal(mantissa)
    return number.scaleb(max(-3000, min(3000, int(power or 0))), context=_EXACT) if number else number


def _decimal(text, kind):
    number = _exact(text)
    try:
        found = number.quantize(Decimal(1).scaleb(-kind.scale), context=_EXACT)
    except InvalidOperation:
        return MISFIT
    digits = len(found.as_tuple().digits)
    return found if found == number and (digits <= kind.precision or not found) else MISFIT


def _json_string(text, kind):
    if kind.name == "string":
        return text
    if kind.name == "decimal":
        return _decimal(text, kind) if NUMBER.fullmatch(text) else MISFIT
    if kind.name == "uuid":
        return UUID(text) if re.fullmatch("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) else MISFIT
    if kind.name == "binary":
        return _bytes(text)
    if kind.name == "date":
        return _date(text) if len(text) == 10 else MISFIT
    if kind.name == "time":
        return _time(text)
    return _timestamp(text, kind) if kind.name in {"timestamp", "timestamptz"} else MISFIT


def _bytes(text):
    try:
        found = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return MISFIT
    return found if base64.b64encode(found).decode() == text else MISFIT


def _date(text):
    found = _MOMENT.fullmatch(text)
    if not found or (found[4] and (found[8] or re.sub("[0.]", "", "".join(filter(None, found.group(4, 5, 6, 7)))))):
        return MISFIT
    moment = _timestamp(text, None)
    return MISFIT if moment is MISFIT else moment.date()


def _micros(fraction):
    fraction = fraction or ""
    return None if fraction[6:].strip("0") else int(fraction[:6].ljust(6, "0"))


def _time(text):
    found = _TIME.fullmatch(text)
    if not found or _micros(found[4]) is None:
        return MISFIT
    try:
        return dt.time(int(found[1]), int(found[2]), int(found[3] or 0), _micros(found[4]))
    except ValueError:
        return MISFIT


def _timestamp(text, kind):
    found = _MOMENT.fullmatch(text)
    zoned = kind is not None and kind.name == "timestamptz"
    if not found or _micros(found[7]) is None or (found[8] and not zoned):
        return MISFIT
    try:
        year, month, day, *clock = (int(part or 0) for part in found.groups()[:6])
        moment = dt.datetime(year, month, day, *clock, _micros(found[7]))  # type: ignore[call-arg]
        if not zoned:
            return moment
        return (moment - _offset((found[8] or "").strip())).replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        return MISFIT


def _offset(zone):
    if zone in {"", "Z", "UTC"}:
        return dt.timedelta()
    hours, minutes = int(zone[1:3]), int(zone[3:].strip(":") or 0)
    if hours > 23 or minutes > 59:
        raise ValueError(zone)
    return (1 if zone[0] == "+" else -1) * dt.timedelta(hours=hours, minutes=minutes)


# --- texts of CSV

_TRUE, _FALSE = {"true", "t", "yes", "y", "1"}, {"false", "f", "no", "n", "0"}
_REAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def of_text(text, kind):
    """The column's value for one field of a CSV file."""
    if kind.name == "string" or not text:
        return text if kind.name == "string" else None
    if kind.name == "binary":
        return text.encode()
    return _bare(text.strip(" \t"), kind)


def _bare(bare, kind):
    if kind.name == "boolean":
        word = bare.lower()
        return True if word in _TRUE else False if word in _FALSE else MISFIT
    if kind.name in _LIMITS:
        return _number(bare, kind) if re.fullmatch("[+-]?[0-9]+", bare) else MISFIT
    if kind.name == "decimal":
        plain = _REAL.fullmatch(bare) and not re.search("[eE]", bare)
        return _decimal(bare, kind) if plain else MISFIT
    if kind.name in {"float", "double"}:
        return _text_real(bare, kind)
    if kind.name == "uuid":
        dashed = re.sub("^(.{8})-(.{4})-(.{4})-(.{4})-(.{12})$", r"\1\2\3\4\5", bare)
        return UUID(dashed) if re.fullmatch("[0-9a-fA-F]{32}", dashed) else MISFIT
    if kind.name == "date":
        return _date(bare)
    return _time(bare) if kind.name == "time" else _timestamp(bare, kind)


def _text_real(text, kind):
    if re.fullmatch("[+-]?(nan|inf|infinity)", text, re.IGNORECASE):
        return float(text)
    return _real(text, kind) if _REAL.fullmatch(text) else MISFIT
