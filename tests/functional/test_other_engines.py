"""What the product loaded, other engines read: every value of every type, as Python reads the sources."""

from __future__ import annotations

import base64
import csv
import io
import json
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.table import Table

Row = dict[str, Any]
ROWS = 120
NULL = "\\N"  # in CSV, where an empty text is a text


@dataclass(frozen=True)
class Kind:
    """A type: its values, how CSV and JSON write them, and how Python reads that again."""

    type: str
    make: Callable[[random.Random], object]
    to_text: Callable[[Any], object] = str
    of_text: Callable[[Any], object] = str
    in_json: bool = False  # JSON has this type by itself
    arrow: pa.DataType | None = None


def instant(chance: random.Random) -> datetime:
    return datetime(1, 1, 1) + timedelta(microseconds=chance.randrange(9_998 * 365 * 86_400 * 10**6))  # noqa: DTZ001


def text(chance: random.Random) -> str:
    return "".join(chance.choices("abc ,;\"'\n\t\\/{}[]äß東🐟", k=chance.randrange(12)))


def zoned(chance: random.Random) -> datetime:
    return instant(chance).replace(year=chance.randrange(1900, 2200), tzinfo=UTC)


def shifted(moment: datetime) -> str:
    return moment.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()


def home(chance: random.Random) -> Row:
    return {"lat": chance.uniform(-90, 90), "tags": [text(chance) for _ in range(chance.randrange(3))]}


def pick(*values: object) -> Callable[[random.Random], object]:
    return lambda chance: chance.choice([*values, chance.randrange(100)])


def single(chance: random.Random) -> float:
    return float(struct.unpack("f", struct.pack("f", chance.gauss(0, 1e6)))[0])


def a_decimal(digits: int, scale: int) -> Callable[[random.Random], Decimal]:
    return lambda chance: Decimal(f"{chance.randrange(-(10**digits) + 1, 10**digits)}e-{scale}")


def labels(chance: random.Random) -> Row:
    return {key: chance.getrandbits(40) for key in chance.sample("abcdef", 2)}


NESTED: Row = {"to_text": json.dumps, "of_text": json.loads, "in_json": True}
REAL: Row = {"to_text": repr, "of_text": float, "in_json": True}
WHOLE: Row = {"of_text": int, "in_json": True}
KINDS = {
    "ok": Kind("boolean", lambda c: c.random() < 0.5, lambda v: str(v).lower(), lambda t: t == "true", in_json=True),
    "i": Kind("int", pick(-(2**31), 2**31 - 1), arrow=pa.int32(), **WHOLE),
    "n": Kind("bigint", pick(-(2**63), 2**63 - 1), **WHOLE),
    "f": Kind("float", single, arrow=pa.float32(), **REAL),
    "d": Kind("double", lambda c: c.choice([c.gauss(0, 1), 1.7e308, 5e-324, -0.0]), **REAL),
    "price": Kind("decimal(12,2)", a_decimal(12, 2), of_text=Decimal, arrow=pa.decimal128(12, 2)),
    "wide": Kind("decimal(38,9)", a_decimal(38, 9), "{:f}".format, Decimal, arrow=pa.decimal128(38, 9)),
    "day": Kind("date", lambda c: instant(c).date(), of_text=date.fromisoformat),
    "clock": Kind("time", lambda c: instant(c).time(), of_text=time.fromisoformat),
    "at": Kind("timestamp", instant, datetime.isoformat, datetime.fromisoformat),
    "tz": Kind("timestamptz", zoned, shifted, datetime.fromisoformat, arrow=pa.timestamp("us", "UTC")),
    "name": Kind("string", text),
    "key": Kind("uuid", lambda c: UUID(int=c.getrandbits(128)), of_text=UUID, arrow=pa.uuid()),
    "raw": Kind("binary", lambda c: f"é{text(c)}".encode()),  # in CSV an empty text is no binary
    "home": Kind("struct<lat: double, tags: array<string>>", home, **NESTED),
    "sizes": Kind("array<int>", lambda c: c.choices(range(9), k=c.randrange(4)), arrow=pa.list_(pa.int32()), **NESTED),
    "labels": Kind("map<string, bigint>", labels, arrow=pa.map_(pa.string(), pa.int64()), **NESTED),
}
COLUMNS = ", ".join(["id bigint", "shop string", "sold timestamp", *(f"{n} {kind.type}" for n, kind in KINDS.items())])
PARTITIONS = {
    "unpartitioned": [],
    "identity": ["shop"],
    "day": ["day(sold)"],
    "bucket": ["bucket(4, key)"],
    "all": ["shop", "day(sold)", "bucket(2, id)"],
}


def made() -> list[Row]:
    """Rows of few shops and days, each value null now and then."""
    chance = random.Random(20260301)
    rows = []
    for number in range(ROWS):
        row: Row = {"id": number, "shop": chance.choice(["north", "süd/west", None])}
        row["sold"] = chance.choice([datetime(2026, 3, 1 + number % 4, 23, 59, 59, number), None])  # noqa: DTZ001
        for name, kind in KINDS.items():
            row[name] = None if chance.random() < 0.15 else kind.make(chance)
        rows.append(row)
    return rows


# --- the sources, and what Python reads in them


def encoded(row: Row, *, as_json: bool) -> Row:
    """The row as text; under JSON what JSON knows stays what it is."""
    out: Row = {"id": row["id"], "shop": row["shop"], "sold": row["sold"] and row["sold"].isoformat()}
    for name, kind in KINDS.items():
        value = row[name]
        if value is None or (as_json and kind.in_json):
            out[name] = value
        elif kind.type == "binary":
            out[name] = base64.b64encode(value).decode() if as_json else value.decode()
        else:
            out[name] = kind.to_text(value)
    return out


def decoded(row: Row, *, as_json: bool) -> Row:
    out: Row = {"id": int(row["id"]), "shop": row["shop"], "sold": row["sold"] and datetime.fromisoformat(row["sold"])}
    for name, kind in KINDS.items():
        value = row[name]
        if value is None or (as_json and kind.in_json):
            out[name] = value
        elif kind.type == "binary":
            out[name] = base64.b64decode(value) if as_json else value.encode()
        else:
            out[name] = kind.of_text(value)
    return out


def write_csv(rows: list[Row]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow({k: NULL if v is None else v for k, v in encoded(row, as_json=False).items()})
    return out.getvalue().encode()


def read_csv(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        found = [{k: None if v == NULL else v for k, v in row.items()} for row in csv.DictReader(file)]
    return [decoded(row, as_json=False) for row in found]


def write_jsonl(rows: list[Row]) -> bytes:
    return "".join(json.dumps(encoded(row, as_json=True), ensure_ascii=False) + "\n" for row in rows).encode()


def read_jsonl(path: Path) -> list[Row]:
    return [decoded(json.loads(line), as_json=True) for line in path.read_bytes().splitlines()]


def write_parquet(rows: list[Row]) -> bytes:
    out = io.BytesIO()
    given = {name: kind.arrow for name, kind in KINDS.items()}
    columns = {name: pa.array([row[name] for row in rows], given.get(name)) for name in rows[0]}
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def read_parquet(path: Path) -> list[Row]:
    return pq.read_table(path).to_pylist()


FORMATS: dict[str, tuple[Callable[[list[Row]], bytes], Callable[[Path], list[Row]], Row]] = {
    "csv": (write_csv, read_csv, {"null_values": [NULL]}),
    "jsonl": (write_jsonl, read_jsonl, {}),
    "parquet": (write_parquet, read_parquet, {}),
}


# --- the engines


def by_pyiceberg(table: Table) -> list[Row]:
    return table.scan().to_arrow().to_pylist()


def by_polars(table: Table) -> list[Row]:
    return pl.scan_iceberg(table).collect().to_dicts()


def by_duckdb(table: Table) -> list[Row]:
    """The Parquet files that Iceberg's metadata names, and no others."""
    paths = [task.file.file_path for task in table.scan().plan_files()]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [paths])
        names = [item[0] for item in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


ENGINES = {"pyiceberg": by_pyiceberg, "polars": by_polars, "duckdb": by_duckdb}


def plain(name: str, value: Any) -> Any:
    """Maps and UUIDs have no type of their own everywhere."""
    if name == "labels" and isinstance(value, list):
        pairs = [(item["key"], item["value"]) if isinstance(item, dict) else item for item in value]
        return dict(pairs)
    if name == "key" and isinstance(value, bytes):
        return UUID(bytes=value)
    return value


def content(rows: list[Row]) -> list[Row]:
    """The columns of the source, in order of id."""
    wanted = ["id", "shop", "sold", *KINDS]
    return sorted(({name: plain(name, row[name]) for name in wanted} for row in rows), key=lambda row: row["id"])


def differences(found: list[Row], wanted: list[Row]) -> list[tuple[object, ...]]:
    """`(id, column, found, wanted)` of what differs; a list of thousands of equal values helps nobody."""
    pairs = zip(content(found), wanted, strict=True)
    return [(w["id"], name, f[name], w[name]) for f, w in pairs for name in w if not same(f[name], w[name])]


def same(a: object, b: object) -> bool:
    return repr(a) == repr(b) if isinstance(a, float) else a == b  # -0.0 equals 0.0


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("form", FORMATS)
def test_every_engine_reads_what_was_loaded_as_python_reads_the_sources(loader, monkeypatch, form, partition):
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    write, read, options = FORMATS[form]
    rows = made()
    paths = [loader.put(f"{at}.{form}", write(rows[at : at + ROWS // 2])) for at in (0, ROWS // 2)]
    summary = loader.load(
        "shop.sales",
        format={"type": form, **options},
        columns={"columns": COLUMNS},
        destination={"partition_by": PARTITIONS[partition]},
    )
    assert (summary.state, summary.metrics["rows"], summary.metrics["rescued"]) == ("SUCCESS", ROWS, 0)

    wanted = content([row for path in paths for row in read(path)])
    assert differences(rows, wanted) == []
    home = loader.settings.home
    fresh = load_catalog("local", type="sql", uri=f"sqlite:///{home}/catalog.db", warehouse=f"file://{home}/warehouse")
    table = fresh.load_table("shop.sales")
    for name, engine in ENGINES.items():
        found = engine(table)
        assert differences(found, wanted)[:5] == [], name
        assert {row["_source_file"] for row in found} == {str(path) for path in paths}, name
        assert {row["_rescued_data"] for row in found} == {None}, name
    fresh.close()
