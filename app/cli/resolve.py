"""`autoloader ingestions resolve`: what no machine can decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from app.cli.opening import backend
from app.cli.options import IngestionName, Json
from app.cli.output import Output
from app.cli.text import plural, safe, shell, size
from app.errors import InvalidInput

if TYPE_CHECKING:
    from app.cli.opening import Backend
    from app.services.resolve_service import Evidence

Landed = Annotated[UUID | None, typer.Option("--landed", metavar="BATCH", help="This batch is in the table.")]
NotLanded = Annotated[
    UUID | None, typer.Option("--not-landed", metavar="BATCH", help="This batch is not in the table.")
]
AcceptTable = Annotated[
    bool,
    typer.Option(
        "--accept-table", help="Go on with the table as it is now, though it was dropped, recreated or rolled back."
    ),
]


def resolve(
    name: IngestionName,
    landed: Landed = None,
    not_landed: NotLanded = None,
    accept_table: AcceptTable = False,
    as_json: Json = False,
) -> None:
    """Show why an ingestion is blocked, and take the decision that no machine can take.

    Without an option it shows the evidence and changes nothing. Look at the table before you decide: a batch that is
    in it and is said not to be is loaded twice; one that is not and is said to be is never loaded.

    Example: autoloader ingestions resolve shop.orders
    """
    out = Output(as_json)
    if sum((landed is not None, not_landed is not None, accept_table)) > 1:
        raise InvalidInput("One decision at a time.", hint="Give one of --landed, --not-landed and --accept-table.")
    with backend() as at:
        if accept_table:
            _accept(out, at, name)
        elif landed is not None or not_landed is not None:
            _decide(out, at, name, landed or not_landed, landed is not None)
        else:
            _evidence(out, at, name)


def _accept(out: Output, at: Backend, name: str) -> None:
    uuid = at.decisions.accept_table(name)
    blocked = at.ingestions.show(name).blocked
    shown = f"the table with the UUID {uuid}" if uuid else "a table that will be made anew"
    if blocked is None:
        sentence = f"{safe(name)} goes on with {shown}. {_run_it(name)}"
    else:
        sentence = (
            f"{safe(name)} will go on with {shown}, once you have decided about the batch that blocks it."
            f" Look, and decide: autoloader ingestions resolve {shell(name)}"
        )
    document = {"name": name, "accepted_table": uuid, "blocked": blocked}
    out.answer(document, lambda: out.line(sentence))


def _decide(out: Output, at: Backend, name: str, batch: UUID | None, landed: bool) -> None:
    if batch is None:
        return
    report = at.decisions.decide(name, batch, landed=landed)
    what = "its files are loaded" if landed else "its files wait for the next run"
    document = {"name": name, "batch_id": batch, "landed": landed, "state": report.state, "children": report.children}
    out.answer(document, lambda: out.line(f"Batch {batch} is {report.state}: {what}. {_run_it(name)}"))


def _run_it(name: str) -> str:
    return f"Run it: autoloader ingestions run {shell(name)}"


def _evidence(out: Output, at: Backend, name: str) -> None:
    undecided = at.decisions.undecided(name)
    found, changed = undecided.batches, undecided.table_changed
    out.answer(
        {"name": name, "batches": found, "table_changed": changed}, lambda: _show_evidence(out, name, found, changed)
    )


def _show_evidence(out: Output, name: str, found: list[Evidence], changed: str | None) -> None:
    if not found:
        out.line(f"{safe(name)} is not blocked by a batch. {safe(changed) if changed else _run_it(name)}")
        return
    for one in found:
        out.fields(
            [
                ("batch", one.batch_id),
                ("holds", f"{plural(one.file_count, 'file')}, {size(one.byte_count)}"),
                ("files", ", ".join(one.files)),
                ("claimed", f"{plural(one.claims, 'time')}, first on table {one.claimed_table_uuid}"),
                ("base", one.base_snapshot_id or "the empty table"),
                ("found then", one.found),
                ("the table now", one.table_now),
            ]
        )
        out.line(f"It is in the table:      autoloader ingestions resolve {shell(name)} --landed {one.batch_id}")
        out.line(f"It is not in the table:  autoloader ingestions resolve {shell(name)} --not-landed {one.batch_id}")
        out.line()
