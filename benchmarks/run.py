"""Measure the product beside the bare tools: `make bench`, or

python -m benchmarks.run [--scale 0.01] [--rounds 3] [--only NAME …] [--keep FOLDER]

Results are stored as they come, in benchmarks/results.json, and docs/benchmarks.md is written from all that are there.
At another scale than 1 both go to the working folder instead: a smoke run must not pass for a measurement.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import costs, history, inputs, known, product, report, seaweed, spark_load
from benchmarks.inputs import Input
from benchmarks.measure import CommandFailed, Measured, alternate, run

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results.json")
DLT_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
MIB = 1024 * 1024

LOAD_BARS = {"small-ndjson": 2.0, "large-ndjson": 1.5, "csv": 1.5, "parquet": 1.5}
SPARK_BARS = {
    "spark-small": 2.5, "spark-many": 2.5, "spark-ndjson": 2.5, "spark-drift": 2.5, "spark-csv": 1.3,
    "spark-parquet": 1.3, "spark-ignored": 1.3,
}  # fmt: skip
COSTS = ("large-ndjson", "csv")
FETCH_BAR = 1.3
NO_NEWS_BAR = 1.5
NO_NEWS_MEMORY_MB = 500
LOAD_MEMORY_MB = 1536
FIRST_CLAIM_SECONDS = 2.0
Figures = Mapping[str, Any]
RUNS_BAR = 1 / 3  # at least three times the runs of a plain process worker
API_BAR_MS = 50


@dataclass
class Bench:
    """What every measurement needs: where to work, how large, how often."""

    folder: Path
    scale: float
    rounds: int

    @property
    def results(self) -> Path:
        return RESULTS if self.scale == 1 else self.folder / f"results-{self.scale:g}.json"

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """An empty folder that is gone afterwards: tables of gigabytes do not stay."""
        path = self.folder / "scratch" / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def input(self, name: str) -> Input:
        return inputs.prepare(name, self.folder / "inputs", self.scale)

    def keep(self, found: report.Result) -> None:
        report.store(replace(found, rounds=self.rounds), self.results)
        met = "" if found.bar is None else (" met" if found.value <= found.bar else " MISSED")
        print(f"{found.name}: {found.value:.2f} {found.unit}{met}", flush=True)


# --- loads from the local disk ---------------------------------------------------------------


def measure_load(bench: Bench, name: str) -> None:
    source = bench.input(name)
    _warm(source)
    with bench.scratch(name) as scratch:
        figures = alternate(
            bench.rounds,
            lambda: product.fresh_load(str(source.folder), scratch / "home", source.rows),
            lambda: _bare_load(source, scratch / "bare"),
        )
    what = f"{source.text}; beside the fastest DuckDB query → Parquet → one commit"
    bench.keep(report.result(name, what, figures["ratio"], LOAD_BARS[name], figures))


def _bare_load(source: Input, out: Path) -> Measured:
    shutil.rmtree(out, ignore_errors=True)
    return _expect(_bare("load", source.kind, str(source.folder), str(out)), "rows", source.rows)


def measure_memory(bench: Bench) -> None:
    source = bench.input("memory")
    with bench.scratch("memory") as scratch:
        measured = product.fresh_load(str(source.folder), scratch / "home", source.rows)
    figures = {"product_s": measured.seconds, "input_mb": source.size / 1e6}
    what = f"peak memory of a load: {source.text}"
    bench.keep(report.result("memory", what, measured.memory / MIB, LOAD_MEMORY_MB, figures, unit="MiB"))


def measure_neighbour(bench: Bench) -> None:
    """Beside dlt's filesystem source and Iceberg destination, used as its documentation shows them."""
    source = bench.input("neighbour")
    with bench.scratch("neighbour") as scratch:
        figures = alternate(
            bench.rounds,
            lambda: product.fresh_load(str(source.folder), scratch / "home", source.rows),
            lambda: _dlt_load(source, scratch / "dlt"),
        )
    what = f"{source.text}; beside dlt, filesystem → Iceberg"
    bench.keep(report.result("neighbour", what, figures["ratio"], None, figures))


def _dlt_load(source: Input, out: Path) -> Measured:
    shutil.rmtree(out, ignore_errors=True)
    script = Path(__file__).with_name("dlt_load.py")
    command = [str(DLT_PYTHON), str(script), source.kind, str(source.folder), str(out)]
    return _expect(run(command), "rows", source.rows)


def _warm(source: Input) -> None:
    """Both sides shall find the files in the page cache, as far as they fit."""
    for file in source.folder.iterdir():
        with file.open("rb") as data:
            while data.read(8 * MIB):
                pass


def measure_history(bench: Bench) -> None:
    """Each side's file is known to the product only where it is the product's turn: the other one is gone by then."""
    snapshots = max(10, round(history.SNAPSHOTS * bench.scale))
    with bench.scratch("history") as scratch:
        table = history.History(scratch, snapshots)

        def bare() -> Measured:
            file = table.deliver()
            measured = _expect(_bare("append", str(table.home), str(file)), "rows", 1)
            file.unlink()
            return measured

        def ours() -> Measured:
            table.deliver()
            return product.load(str(table.landing), table.home, expected=1)

        figures = alternate(bench.rounds, ours, bare)
    what = f"one file of one row into a table with {snapshots:,} snapshots; beside PyIceberg's own append of it"
    bench.keep(report.result("history", what, figures["ratio"], None, figures))


def measure_costs(bench: Bench, name: str) -> None:
    """Of all rounds the least counts, because what disturbs only adds."""
    source = bench.input(name)
    _warm(source)
    seconds = dict.fromkeys([*costs.STEPS, costs.WHOLE], float("inf"))
    with bench.scratch(f"costs-{name}") as scratch:
        for _ in range(bench.rounds):
            for step in costs.STEPS:
                command = [sys.executable, "-m", "benchmarks.costs", step, source.kind, str(source.folder)]
                found = run(command, {"PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)}).answer
                seconds[step] = min(seconds[step], float(str(found["cpu"])))
            whole = costs.of_children(lambda: product.fresh_load(str(source.folder), scratch / "home", source.rows))
            seconds[costs.WHOLE] = min(seconds[costs.WHOLE], whole)
    ratio = seconds[costs.WHOLE] / seconds["bare"]
    bench.keep(report.result(f"costs-{name}", source.text, ratio, None, seconds))


# --- S3 --------------------------------------------------------------------------------------


def measure_fetch(bench: Bench) -> None:
    source = bench.input("objects")
    prefix = source.folder.name
    with seaweed.started(bench.folder / "seaweed") as server, bench.scratch("objects") as scratch:
        seaweed.put_files(server, source.folder, prefix)
        url = f"s3://{seaweed.BUCKET}/{prefix}/"
        figures = alternate(
            bench.rounds,
            lambda: product.fresh_load(url, scratch / "home", source.rows, server.environment),
            lambda: _expect(_bare("fetch", url, environment=server.environment), "objects", source.files),
        )
    what = f"from S3: {source.text}; beside the bare fetch of the same objects"
    bench.keep(report.result("objects", what, figures["ratio"], FETCH_BAR, figures))


def measure_no_news(bench: Bench, count: int) -> None:
    objects = max(1_000, round(count * bench.scale))
    name = f"no-news-{count}"
    with seaweed.started(bench.folder / "seaweed") as server:
        source, home = known.prepare(server, bench.folder, objects)
        figures = alternate(
            bench.rounds,
            lambda: product.load(source, home, environment=server.environment, expected=0),
            lambda: _expect(_bare("list", source, environment=server.environment), "objects", objects),
        )
    what = f"a run that finds nothing new among {objects:,} known S3 objects; beside the bare obstore listing"
    bench.keep(report.result(name, what, figures["ratio"], NO_NEWS_BAR, figures))
    memory = f"its peak memory, {objects:,} known objects"
    bench.keep(report.result(f"{name}-memory", memory, figures["product_mib"], NO_NEWS_MEMORY_MB, {}, unit="MiB"))


# --- Prefect and the API ---------------------------------------------------------------------


def measure_scheduler(bench: Bench) -> None:
    """In a process of its own: it steers Prefect by the environment."""
    count = max(4, round(20 * bench.scale))
    command = [sys.executable, "-m", "benchmarks.prefect_latency", "--json", "--runs", str(count)]
    sides: Figures = run([*command, "--folder", str(bench.folder / "prefect")], {"PYTHONPATH": str(ROOT)}).answer
    warm, plain, bare = sides["warm"], sides["plain"], sides["bare"]
    figures = {f"{name}_{key}": value for name, side in sides.items() for key, value in side.items()}
    what = (
        "from the trigger to the first file claimed, on the warm worker; on a plain process worker"
        f" {plain['first_claim']:.1f} s, and a flow that does nothing begins there after {bare['first_line']:.1f} s"
    )
    bench.keep(report.result("first-claim", what, warm["first_claim"], FIRST_CLAIM_SECONDS, figures, unit="s"))
    what = (
        f"{count} runs of one small file at once, two at a time: {warm['per_minute']:.0f} a minute on the warm worker,"
        f" {plain['per_minute']:.0f} on a plain process worker; time beside that"
    )
    bench.keep(report.result("runs", what, plain["per_minute"] / warm["per_minute"], RUNS_BAR, {}))
    cpu = warm["worker_cpu"] + warm["server_cpu"]
    what = (
        f"CPU seconds of a run: {warm['worker_cpu']:.1f} of the warm worker (plain {plain['worker_cpu']:.1f}) and"
        f" {warm['server_cpu']:.1f} of the Prefect server with its database; so a core carries"
        f" {60 / cpu:.0f} runs a minute"
    )
    bench.keep(report.result("run-cpu", what, cpu, None, {}, unit="s"))


def measure_api(bench: Bench) -> None:
    """Lists and readings with 10,000 ingestions and 1,000,000 files in PostgreSQL; the slowest kind of call counts."""
    command = [sys.executable, "-m", "benchmarks.api_latency", "--json", "--scale", str(bench.scale)]
    calls: Figures = run(command, {"PYTHONPATH": str(ROOT)}).answer
    slowest = max(calls, key=lambda name: calls[name][1])
    figures = {f"{name} (p95, ms)": figures[1] for name, figures in calls.items()}
    what = f"the slowest of {len(calls)} kinds of lists and readings of the API ({slowest.strip('… ')}), p95, beside"
    what += f" {round(10_000 * bench.scale):,} ingestions and {round(1_000_000 * bench.scale):,} files in PostgreSQL"
    bench.keep(report.result("api", what, calls[slowest][1], API_BAR_MS, figures, unit="ms"))


# --- Spark -----------------------------------------------------------------------------------


def measure_spark(bench: Bench, name: str) -> None:
    source = bench.input(name)
    _warm(source)
    with bench.scratch(name) as scratch, spark_load.started(scratch) as side:
        side.warm(inputs.prepare(name, bench.folder / "inputs", bench.scale / 20))
        figures = alternate(
            bench.rounds,
            lambda: side.product(source),
            lambda: _expect(side.bare(source), "rows", source.rows),
        )
        if name == "spark-small":
            figures["one_by_one_s"] = side.bare(source, "--one-by-one").seconds
    what = f"on Spark: {source.text}; beside the bare read and append of the same files in one job"
    bench.keep(report.result(name, what, figures["ratio"], SPARK_BARS[name], figures))


def _bare(*arguments: str, environment: Mapping[str, str] | None = None) -> Measured:
    return run(
        [sys.executable, "-m", "benchmarks.baselines", *arguments], {"PYTHONPATH": str(ROOT), **(environment or {})}
    )


def _expect(measured: Measured, name: str, count: int) -> Measured:
    if measured.answer.get(name) != count:
        message = f"The baseline gave {measured.answer} where {count:,} {name} are."
        raise CommandFailed(message)
    return measured


# --- all of it -------------------------------------------------------------------------------

MEASUREMENTS: dict[str, Callable[[Bench], None]] = {
    **{name: (lambda bench, name=name: measure_load(bench, name)) for name in LOAD_BARS},  # type: ignore[misc]
    "memory": measure_memory,
    "history": measure_history,
    **{f"costs-{name}": (lambda bench, name=name: measure_costs(bench, name)) for name in COSTS},  # type: ignore[misc]
    "objects": measure_fetch,
    "no-news-100000": lambda bench: measure_no_news(bench, 100_000),
    "no-news-1000000": lambda bench: measure_no_news(bench, 1_000_000),
    "neighbour": measure_neighbour,
    "scheduler": measure_scheduler,
    "api": measure_api,
    **{name: (lambda bench, name=name: measure_spark(bench, name)) for name in SPARK_BARS},  # type: ignore[misc]
}
PARTS = {"scheduler": ("first-claim", "runs", "run-cpu")}  # more than one line


def order() -> list[str]:
    """Of the page's lines."""
    return [item for name in MEASUREMENTS for item in PARTS.get(name, (name, f"{name}-memory"))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.run", description="Measure the product beside the bare tools.")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the inputs; 0.01 for a smoke run")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs")
    parser.add_argument(
        "--only", nargs="+", choices=list(MEASUREMENTS), metavar="NAME", help="all but those on Spark else"
    )
    parser.add_argument("--spark", action="store_true", help="those on Spark: they need Java")
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "bench", help="folder of inputs")
    given = parser.parse_args()
    bench = Bench(given.keep.resolve(), given.scale, given.rounds)
    failed = []
    for name in given.only or [name for name in MEASUREMENTS if (name in SPARK_BARS) == given.spark]:
        try:
            MEASUREMENTS[name](bench)
        except CommandFailed as exc:
            failed.append(name)
            print(f"{name}: FAILED\n{exc}", file=sys.stderr, flush=True)
    page = report.page(report.load(bench.results), order(), bench.scale)
    target = ROOT / "docs" / "benchmarks.md" if bench.scale == 1 else bench.folder / "benchmarks.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    print(f"Written: {target}")
    missed = [
        item.name for item in report.load(bench.results).values() if item.bar is not None and item.value > item.bar
    ]
    if missed and bench.scale == 1:
        print(f"Missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if failed or (missed and bench.scale == 1) else 0


if __name__ == "__main__":
    sys.exit(main())
