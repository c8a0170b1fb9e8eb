"""`autoloader clusters …`: Spark Connect endpoints with their options and secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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
    from app.services.cluster_service import ClusterView

app = typer.Typer(no_args_is_help=True, help="Clusters: Spark Connect endpoints that ingestions can run on.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the cluster; an ingestion says it as its engine.")]
Url = Annotated[str, typer.Argument(metavar="URL", help="sc://host:port")]
Catalog = Annotated[
    str | None,
    typer.Option(
        "--catalog",
        metavar="NAME",
        help="The catalog that `clusters test` looks at. A load writes to the one in its table's name.",
    ),
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        help="tls, ca_file, user, max_sessions, source_access, header.NAME, conf.NAME; may be repeated.",
    ),
]
Replace = Annotated[bool, typer.Option("--replace", help="Change a cluster that exists: all of it but its name.")]
ReadOnly = Annotated[bool, typer.Option("--read-only", help="Make no table on the cluster.")]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace", metavar="NAME", help="Where a table is made and removed; else in a namespace made for it."
    ),
]


@app.command()
def add(
    name: Name,
    url: Url,
    catalog: Catalog = None,
    option: Options = None,
    secret: Secrets = None,
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Store a cluster. Its token is a secret (--secret token), encrypted and never shown again.

    Example: autoloader clusters add big sc://spark:15002 --catalog lake
    """
    from app.errors import NotFound
    from app.log import register_secret

    out = Output(as_json)
    secrets = dict(map(secret_pair, secret or []))
    for value in secrets.values():
        register_secret(value)
    rest: dict[str, Any] = {"catalog": catalog, "options": dict(pairs(option or [])), "secrets": secrets}
    with backend() as at:
        try:
            known = at.clusters.named(name) if replace else None
        except NotFound:
            known = None
        view = at.clusters.replace(known.id, url, **rest) if known else at.clusters.create(name, url, **rest)
    out.answer(view, lambda: out.line(f"Stored {safe(view.name)}. Try it: autoloader clusters test {shell(view.name)}"))


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the clusters; of secrets only the names.

    Example: autoloader clusters list
    """
    out = Output(as_json)
    with backend() as at:
        views = at.clusters.listed()
    out.answer({"clusters": views}, lambda: _list(out, views))


def _list(out: Output, views: list[ClusterView]) -> None:
    if not views:
        out.line("There is no cluster yet. Make one: autoloader clusters add NAME sc://host:port --catalog lake")
        return
    rows = [
        (view.name, view.url, view.catalog or "", _options(view), _secrets(view), moment(view.updated_at))
        for view in views
    ]
    out.table(("name", "url", "catalog", "options", "secrets", "changed"), rows)
    for why in dict.fromkeys(view.unreadable for view in views if view.unreadable):
        out.line(safe(why), "yellow")


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show a cluster; of its secrets only the names.

    Example: autoloader clusters show big
    """
    out = Output(as_json)
    with backend() as at:
        view = at.clusters.named(name)
    fields = (
        ("name", view.name),
        ("id", view.id),
        ("url", view.url),
        ("catalog", view.catalog),
        ("options", _options(view)),
        ("secrets", _secrets(view)),
        ("created", moment(view.created_at)),
        ("changed", moment(view.updated_at)),
        ("secrets cannot be read", view.unreadable),
    )
    out.answer(view, lambda: out.fields(fields))


@app.command("test")
def try_(name: Name, read_only: ReadOnly = False, namespace: Namespace = None, as_json: Json = False) -> None:
    """Try a cluster: reach it, connect, look for what loads need, make a table and remove it. Exit code 1 when a step
    fails.

    Example: autoloader clusters test big
    """
    out = Output(as_json)
    with backend() as at:
        steps = at.clusters.test(at.clusters.named(name).id, write=not read_only, namespace=namespace)
    good = all(step.ok for step in steps)
    rows = [(step.name, "ok" if step.ok else "broken", step.detail) for step in steps]
    out.answer({"name": name, "ok": good, "steps": steps}, lambda: out.table(("step", "state", "detail"), rows))
    raise typer.Exit(Exit.OK if good else Exit.ERROR)


@app.command()
def remove(name: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Remove a cluster with its secrets; refused while an ingestion runs on it.

    Example: autoloader clusters remove big
    """
    out = Output(as_json)
    with backend() as at:
        known = at.clusters.named(name)
        confirm(f"Remove the cluster {name}?", yes=yes, as_json=as_json)
        at.clusters.remove(known.id)
    out.answer({"name": name, "removed": True}, lambda: out.line(f"Removed {safe(name)}."))


def _options(view: ClusterView) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(view.options.items()))


def _secrets(view: ClusterView) -> str:
    return "cannot be read" if view.unreadable else ", ".join(view.secret_names)
