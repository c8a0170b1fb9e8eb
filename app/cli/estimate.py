"""`autoloader ingestions estimate`: what the next run would load, where, and how long it would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.opening import backend
from app.cli.options import IngestionName, Json
from app.cli.output import Output
from app.cli.text import listed, number, plural, safe, size
from app.cli.text import seconds as lasting

if TYPE_CHECKING:
    from app.services.estimate_service import Estimate

ListSeconds = Annotated[
    float, typer.Option("--seconds", metavar="SECONDS", min=0.1, max=60, help="Longest time of listing the source.")
]


def estimate(name: IngestionName, seconds: ListSeconds = 10.0, as_json: Json = False) -> None:
    """Say what the next run would load, by which engine and why, and how long it would take. Changes nothing.

    Example: autoloader ingestions estimate shop.orders
    """
    out = Output(as_json)
    with backend() as at:
        found = at.estimate(at.ingestions.find(name).id, seconds)
    out.answer(found, lambda: _show(out, found))


def _show(out: Output, found: Estimate) -> None:
    least = "" if found.complete else "at least "
    batches = "1 batch" if found.batches == 1 else f"{found.batches:,} batches"
    out.line(f"{least}{plural(found.files, 'file')}, {size(found.bytes)}, in {batches}")
    if found.left_out:
        out.line(f"left out: {listed(found.left_out)}")
    if found.seconds is not None:
        out.line(f"about {lasting(found.seconds)}, by the speed of {plural(found.past_runs, 'past run')}")
    out.line(f"work queue: {found.work_queue}")
    if found.engines:
        out.line()
        rows = [
            (safe(one.engine), number(one.batches), number(one.files), size(one.bytes), one.why)
            for one in found.engines
        ]
        out.table(("engine", "batches", "files", "bytes", "why"), rows, right=(1, 2, 3))
