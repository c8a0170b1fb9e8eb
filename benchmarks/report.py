"""docs/benchmarks.md from the stored results."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks import costs

COSTS = "costs-"  # results that begin so are a section of their own
_LIBRARIES = ("duckdb", "pyiceberg", "pyarrow", "obstore")


@dataclass(frozen=True)
class Result:
    """One line of the table. `bar` is the largest allowed `value`; None where nothing is promised."""

    name: str
    what: str  # the input and the baseline, for a reader
    unit: str  # "× baseline", "MB"
    value: float
    bar: float | None
    details: dict[str, float]
    measured_at: str
    rounds: int = 1  # how often both sides took turns, where there are two


def result(name: str, what: str, value: float, bar: float | None, details: dict[str, float], unit: str = "×") -> Result:
    return Result(name, what, unit, value, bar, details, datetime.now(UTC).isoformat(timespec="seconds"))


def store(found: Result, file: Path) -> None:
    """Keep a result beside those of the others: a long list can be measured in parts."""
    file.parent.mkdir(parents=True, exist_ok=True)
    results = load(file)
    results[found.name] = found
    text = json.dumps({name: asdict(item) for name, item in results.items()}, indent=2)
    file.write_text(text + "\n", encoding="utf-8")


def load(file: Path) -> dict[str, Result]:
    if not file.exists():
        return {}
    return {name: Result(**item) for name, item in json.loads(file.read_text(encoding="utf-8")).items()}


def page(results: dict[str, Result], order: list[str], scale: float) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; run it yourself. Each line compares the product, driven by its command, with the",
        "bare tools doing the least that could be called the same work on the same files, in the same session:",
        "both take turns as often as the details say, and the medians of the whole processes' wall times are compared,",
        "imports and start included, with the libraries' bytecode there as an installation by pip leaves it. The",
        "product's side includes tracking of every file, lineage columns, statistics, bad-record handling and the",
        "exactly-once protocol; the bare side has none of them.",
        "",
        f"Machine: {machine()}.",
        *(
            []
            if scale == 1
            else ["", f"**A smoke run at scale {scale:g}: inputs are small, and start-up is most of it.**"]
        ),
        "",
        "| what | product | baseline | result | bar | |",
        "|---|---|---|---|---|---|",
        *(_line(results[name]) for name in order if name in results and not name.startswith(COSTS)),
        "",
        "`s`: seconds. Memory is the peak of the sum over all processes, shared pages counted once.",
    ]
    checks = {item.what: item.details for name, item in results.items() if name.startswith(COSTS)}
    if checks:
        lines += ["", *costs.page(checks)[:-1]]
    extra = [
        f"- {item.name}: measured {item.measured_at}, {_turns(item)}{_details(item)}"
        for item in map(results.get, order)
        if item
    ]
    return "\n".join([*lines, "", "## Details", "", *extra, ""])


def _line(item: Result) -> str:
    ours, theirs = item.details.get("product_s"), item.details.get("baseline_s")
    verdict = "" if item.bar is None else ("met" if item.value <= item.bar else "**missed**")
    digits = 4 if item.bar is not None and f"{item.value:.2f}" == f"{item.bar:.2f}" else 2  # a hair is to be seen
    shown = f"{item.value:.{digits}f} {item.unit}" if item.unit in {"×", "s"} else f"{item.value:,.0f} {item.unit}"
    bar = "" if item.bar is None else (f"{item.bar:.3g} ×" if item.unit == "×" else f"{item.bar:,g} {item.unit}")
    return f"| {item.what} | {_seconds(ours)} | {_seconds(theirs)} | {shown} | {bar} | {verdict} |"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _turns(item: Result) -> str:
    if "baseline_s" not in item.details:
        return ""
    return f"{item.rounds} turns, " if item.rounds > 1 else "one turn, "


def _details(item: Result) -> str:
    return ", ".join(f"{name} {value:,.2f}" for name, value in item.details.items())


def machine() -> str:
    """What bounds every figure: cores, memory, and the versions that did the work."""
    cores = len(os.sched_getaffinity(0))
    memory = psutil.virtual_memory().total / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    system = f"Linux {platform.machine()}, Python {platform.python_version()}"
    return f"{cores} cores, {memory:.0f} GiB of memory, {system}; {libraries}"
