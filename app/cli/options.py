"""Options that several commands share, and the parameters' types."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.completion import ingestions

Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document on standard output.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
IngestionName = Annotated[
    str, typer.Argument(metavar="INGESTION", help="Name or id of the ingestion.", autocompletion=ingestions)
]
OfIngestion = Annotated[
    str | None,
    typer.Option("--ingestion", "-i", metavar="NAME", help="Only files of this ingestion.", autocompletion=ingestions),
]
TableName = Annotated[str, typer.Argument(metavar="TABLE", help="namespace.table, or catalog.namespace.table.")]
Snapshot = Annotated[int | None, typer.Option("--snapshot", metavar="ID", help="The table as that snapshot had it.")]
