"""How a run ended, in a few lines: what was loaded, what was not and why, and where to look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.cli.output import Output
from app.cli.text import listed, number, plural, safe, seconds, shell, size

if TYPE_CHECKING:
    from app.services.metrics import RunSummary
    from app.services.run_view_service import NotLoaded


_FREED_BY_STATE = frozenset({"on-change-ignore", "changed", "missing"})


def run_document(ingestion: str, table: str, summary: RunSummary, not_loaded: tuple[NotLoaded, ...]) -> dict[str, Any]:
    """A run as JSON: the same for `load` and `ingestions run`."""
    return {
        "ingestion": ingestion,
        "table": table,
        "run_id": summary.run_id,
        "state": summary.state,
        "metrics": summary.metrics,
        "not_loaded": not_loaded,
    }


def show_run(
    out: Output,
    ingestion: str,
    table: str,
    summary: RunSummary,
    not_loaded: tuple[NotLoaded, ...],
    *,
    reason_told: bool = False,
) -> None:
    """How it ended. `reason_told`: why each record was rejected, and its notes, were said already, as the run ended."""
    metrics = summary.metrics
    for note in () if reason_told else metrics.get("notes", ()):
        out.note(note)
    _headline(out, table, metrics)
    short = table.removeprefix("local.")
    if metrics["rescued"]:
        rows = f"{number(metrics['rescued'])} {'row holds' if metrics['rescued'] == 1 else 'rows hold'}"
        out.line(f"  rescued   {rows} a value that no column takes: it is in _rescued_data")
    if metrics["rejected"]:
        query = f"autoloader table head {short}__rejects"
        out.line(f"  rejected  {plural(metrics['rejected'], 'record')} could not be parsed; see them: {query}")
    if left := metrics["discovered"].get("skipped"):
        out.line(f"  left out  {listed(left)}")
        _changed(out, ingestion, left)
    if metrics["snapshots"] and metrics["files"]["loaded"]:  # one without files only ends a batch
        out.line(f"  snapshot  {', '.join(map(str, metrics['snapshots'][-5:]))}{_more(metrics['batches'], 5)}")
    if not_loaded or summary.state != "SUCCESS":
        _not_loaded(out, ingestion, summary, not_loaded, reason_told=reason_told)
    if before := metrics.get("quarantined_before", 0):
        retry = f"autoloader files retry --ingestion {shell(ingestion)} --state QUARANTINED"
        out.line(f"{plural(before, 'file')} quarantined by earlier runs; once they are mended: {retry}")


def _changed(out: Output, ingestion: str, left: Mapping[str, int]) -> None:
    """How to load what lies beside a loaded version of its path, and was left out."""
    freed, replaced = left.keys() & _FREED_BY_STATE, "superseded" in left
    if not freed and not replaced:
        return
    query = f"autoloader files list {shell(ingestion)} --state SKIPPED"
    out.line(f"            changed after they were loaded, and not loaded again; see them: {query}")
    retry = f"autoloader files retry --ingestion {shell(ingestion)} --state SKIPPED"
    if freed:
        out.line(f"            to load them, too, with all of their rows: {retry}")
    if replaced:  # a whole state is tried again without them
        out.line("            to load one that is superseded, and was put back: autoloader files retry ID")


def _headline(out: Output, table: str, metrics: Mapping[str, Any]) -> None:
    files = metrics["files"]
    spent = seconds(sum(metrics["seconds"].values()))
    if files["loaded"]:
        out.line(
            f"Loaded {plural(files['loaded'], 'file')} ({size(metrics['loaded_bytes'])}),"
            f" {plural(metrics['rows'], 'row')}, into {safe(table)} in {spent}.",
            "green",
        )
        return
    found = metrics["discovered"]
    looked = f"({plural(found.get('listed', 0), 'object')} listed, {spent})"
    if sum(files.values()) or metrics["waiting"]:  # what became of them is told below
        out.line(f"No file was loaded into {safe(table)} {looked}.")
        return
    out.line(f"Nothing new for {safe(table)}: {_known(found)} {looked}.")


def _known(found: Mapping[str, Any]) -> str:
    if found.get("known"):
        return f"{plural(found['known'], 'file')} known already"
    skipped = found.get("skipped", {})
    changed = sum(skipped.get(reason, 0) for reason in (*_FREED_BY_STATE, "superseded"))
    return f"{plural(changed, 'file')} loaded and changed since" if changed else "no file there counts"


def _not_loaded(
    out: Output, ingestion: str, summary: RunSummary, not_loaded: tuple[NotLoaded, ...], *, reason_told: bool
) -> None:
    from app.services.metrics import all_rejected  # with the ledger's libraries, which --help does without

    counted = {state: count for state, count in summary.metrics["files"].items() if state != "loaded" and count}
    waiting = max(0, summary.metrics["waiting"] - counted.get("failed", 0))  # what failed waits for its next attempt
    unseen = summary.metrics["discovered"].get("skipped", {}).get("unreadable", 0)
    told = [f"{count:,} {state}" for state, count in counted.items()]
    told += [f"{waiting:,} waiting"] if waiting else []
    told += [f"{unseen:,} of the source unreadable"] if unseen else []
    rejected = all_rejected(summary.metrics)
    told += ["each record was rejected"] if rejected else []
    if summary.state != "SUCCESS" or told:
        out.line(f"{summary.state}: {', '.join(told) or 'work still waits'}", "yellow")
    if rejected and not reason_told:
        out.line(f"Why, and what to do: autoloader runs show {summary.run_id}")
    for file in not_loaded:
        out.line(f"  {safe(file.path)}")
        out.line(f"    {file.state} {safe(file.reason)}: {safe(file.error)}".rstrip(": "))
    if counted:
        states = {"failed": "FAILED", "quarantined": "QUARANTINED", "skipped": "SKIPPED"}
        chosen = " ".join(f"--state {states[state]}" for state in counted)
        out.line(f"See all: autoloader files list {shell(ingestion)} {chosen}")


def _more(count: int, shown: int) -> str:
    return f" and {count - shown:,} before" if count > shown else ""
