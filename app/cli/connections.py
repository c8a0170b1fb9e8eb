"""`autoloader connections …`: object stores and catalogs with their secrets."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import Exit
from app.cli.ingestions import confirm
from app.cli.opening import backend
from app.cli.options import Json, Yes
from app.cli.output import Output
from app.cli.secret_options import Secrets, secret_pair
from app.cli.shape_texts import pairs
from app.cli.text import moment, safe, shell

if TYPE_CHECKING:
    from app.services.connection_service import ConnectionView

app = typer.Typer(no_args_is_help=True, help="Connections: object stores and catalogs with their options and secrets.")


class Kind(StrEnum):
    S3 = "s3"
    AZ = "az"
    GS = "gs"
    CATALOG = "catalog"


Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the connection; a catalog's is part of table names.")
]
KindArgument = Annotated[Kind, typer.Argument(metavar="KIND", help="s3, az, gs or catalog.")]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="KEY=VALUE", help="An option, such as endpoint=https://…; may be repeated."),
]
Replace = Annotated[bool, typer.Option("--replace", help="Change a connection that exists.")]
Url = Annotated[str | None, typer.Argument(metavar="[URL]", help="Address to try; else where an ingestion reads.")]


@app.command()
def add(
    name: Name,
    kind: KindArgument,
    option: Options = None,
    secret: Secrets = None,
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Store a connection. What is secret is encrypted and never shown again.

    Example: autoloader connections add lake s3 --option region=us-east-1 --secret secret_access_key
    """
    from app.log import register_secret

    out = Output(as_json)
    secrets = dict(map(secret_pair, secret or []))
    for value in secrets.values():
        register_secret(value)
    with backend() as at:
        view = at.connections.add(
            name, kind.value, {**pairs(option or []), **secrets}, secret_names=tuple(secrets), replace=replace
        )
    out.answer(view, lambda: out.line(f"Stored {safe(view.name)}. Try it: {_try(view)}"))


def _try(view: ConnectionView) -> str:
    address = "" if view.kind == "catalog" else f" {view.kind}://bucket/prefix"
    return f"autoloader connections test {shell(view.name)}{address}"


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the connections; of secrets only the names.

    Example: autoloader connections list
    """
    out = Output(as_json)
    with backend() as at:
        views = at.connections.listed()
    out.answer({"connections": views}, lambda: _list(out, views))


def _list(out: Output, views: list[ConnectionView]) -> None:
    if not views:
        out.line("There is no connection yet. Make one: autoloader connections add NAME s3 -o region=… --secret …")
        return
    rows = [
        (
            view.name,
            view.kind,
            ", ".join(f"{key}={value}" for key, value in sorted(view.options.items())),
            "cannot be read" if view.unreadable else ", ".join(view.secret_names),
            moment(view.updated_at),
        )
        for view in views
    ]
    out.table(("name", "kind", "options", "secrets", "changed"), rows)
    for why in dict.fromkeys(view.unreadable for view in views if view.unreadable):
        out.line(safe(why), "yellow")


@app.command("test")
def try_(name: Name, url: Url = None, as_json: Json = False) -> None:
    """Try a connection: open, list, read. Writes nothing. Exit code 1 when a step fails.

    Example: autoloader connections test lake s3://landing/orders
    """
    out = Output(as_json)
    with backend() as at:
        steps = at.test(name, url)
    good = all(step.ok for step in steps)
    rows = [(step.name, "ok" if step.ok else "broken", step.detail) for step in steps]
    out.answer({"name": name, "ok": good, "steps": steps}, lambda: out.table(("step", "state", "detail"), rows))
    raise typer.Exit(Exit.OK if good else Exit.ERROR)


@app.command()
def remove(name: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Remove a connection with its secret; refused while an ingestion uses it.

    Example: autoloader connections remove lake
    """
    out = Output(as_json)
    with backend() as at:
        confirm(f"Remove the connection {name}?", yes=yes, as_json=as_json)
        at.connections.remove(name)
    out.answer({"name": name, "removed": True}, lambda: out.line(f"Removed {safe(name)}."))
