"""Random records, loaded, against a plain Python reading of the same text: no value may be lost, doubled or bent."""

from __future__ import annotations

import json
import random

from app.datatypes import parse_schema
from tests.functional.ingest.parsing import parse

SCHEMA = "id bigint, s string, d double, b boolean, n struct<x: int, y: string, z: struct<w: boolean>>, a array<int>"
NAMES = ["id", "s", "d", "b", "n", "a", "ID", "zz", "n.x", "q:r", ""]
TEXTS = ['"x"', '"\\":"', '" : "', '"12"', '"a\\\\"', '"\\u003a"', '"{"', '"\\ud83d\\ude00"']
SCALARS = [*TEXTS, "1", "-7", "1.5", "true", "false", "null", "9223372036854775808", "2147483648", "1e3", "1.50"]
MISFIT = object()


def random_value(rng, depth=0):
    roll = rng.random()
    if roll < 0.7 or depth > 2:
        return rng.choice(SCALARS)
    if roll < 0.85:
        pad = rng.choice(["", " "])
        return "[" + ",".join(random_value(rng, depth + 1) + pad for _ in range(rng.randrange(3))) + "]"
    return random_object(rng, ["x", "y", "z", "w", "X", "k"], depth + 1)


def fitting(rng, name):
    return {
        "id": lambda: str(rng.randrange(-9, 9)),
        "s": lambda: rng.choice(TEXTS),
        "d": lambda: rng.choice(["1.5", "2", "-0.25"]),
        "b": lambda: rng.choice(["true", "false"]),
        "n": lambda: rng.choice(['{"x":1,"y":"s","z":{"w":true}}', '{"x":3}', '{"z":{}}', "{}", "null"]),
        "a": lambda: rng.choice(["[1,2]", "[]", "[null]"]),
    }[name]()


def random_object(rng, names, depth=0):
    parts = []
    for _ in range(rng.randrange(5)):
        colon = rng.choice([":", ": ", " :", "\t: "])
        parts.append(json.dumps(rng.choice(names)) + colon + random_value(rng, depth))
    return "{" + rng.choice([",", ", ", " ,"]).join(parts) + "}"


def random_line(rng):
    if rng.random() < 0.5:
        return random_object(rng, NAMES)
    names = [name for name in NAMES[:6] if rng.random() < 0.9]
    rng.shuffle(names)
    return "{" + ", ".join(f'"{name}": {fitting(rng, name)}' for name in names) + "}"


class Written(float):
    """A number with a point or an exponent, and its text."""

    text: str

    def __new__(cls, text):
        number = super().__new__(cls, text)
        number.text = text
        return number


class Pairs(list):
    """An object as it stands in the text."""


def converted(value, kind):
    """The column's value, or MISFIT."""
    if value is None:
        return None
    if kind.name == "string":
        return value if isinstance(value, str) else plain(value)
    if kind.name == "boolean":
        return value if isinstance(value, bool) else MISFIT
    if kind.name == "array":
        items = [converted(item, kind.element.type) for item in value] if is_list(value) else [MISFIT]
        return MISFIT if any(item is MISFIT for item in items) else items
    if isinstance(value, bool) or not isinstance(value, int | float):
        return MISFIT
    if kind.name == "double":
        return float(value)
    bits = 31 if kind.name == "int" else 63
    return int(value) if value == int(value) and -(2**bits) <= value < 2**bits else MISFIT


def is_list(value):
    return isinstance(value, list) and not isinstance(value, Pairs)


def plain(value):
    """The compact JSON text of a value, keys as they stand."""
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{plain(v)}" for k, v in value) + "}"
    if is_list(value):
        return "[" + ",".join(plain(item) for item in value) + "]"
    return value.text if isinstance(value, Written) else json.dumps(value, ensure_ascii=False)


def parsed_pairs(text):
    return json.loads(text, object_pairs_hook=Pairs, parse_float=Written)


def modelled(pairs, columns, prefix=""):
    """`(values, rescued)` of one object."""
    first, rescued = {}, []
    for name, value in pairs:
        if name in {column.name for column in columns} and name not in first:
            first[name] = value
        elif value is not None:
            rescued.append((prefix + name, plain(value)))
    values = []
    for column in columns:
        value = first.get(column.name)
        if column.type.name == "struct":
            if isinstance(value, Pairs):
                members, inner = modelled(value, column.type.fields, f"{prefix}{column.name}.")
                values.append(members)
                rescued += inner
                continue
            found = None if value is None else MISFIT
        else:
            found = converted(value, column.type)
        if found is MISFIT:
            rescued.append((prefix + column.name, plain(value)))
        values.append(None if found is MISFIT else found)
    return values, rescued


def flat(value):
    return [flat(item) for item in value.values()] if isinstance(value, dict) else value


def test_every_value_is_in_its_column_or_rescued(sandbox, tmp_path):
    rng = random.Random(20260131)
    lines = [random_line(rng) for _ in range(4000)]
    path = tmp_path / "random.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    columns = parse_schema(SCHEMA).columns

    expected = []
    for line in lines:
        values, rescued = modelled(parsed_pairs(line), columns)
        expected.append(repr((values, sorted(rescued))))

    parsed = parse(sandbox, path, SCHEMA, tmp_path)
    assert (parsed.file().rows, parsed.file().rejected) == (len(lines), 0)
    found = []
    for *values, rescued in parsed.rows():
        pairs = parsed_pairs(rescued) if rescued else []
        kept = sorted((name, plain(value)) for name, value in pairs)
        found.append(repr(([flat(value) for value in values], kept)))
    assert sorted(found) == sorted(expected)
    assert parsed.file().rescued == sum(not line.endswith("[])") for line in expected)
