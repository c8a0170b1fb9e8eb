"""Catalogs that a cluster alone reaches, by their name on it: connections with `type=cluster` and `cluster=NAME`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.errors import InvalidInput

TYPE = "cluster"
_OPTIONS = frozenset({"type", "cluster"})


def cluster_alone(options: Mapping[str, object]) -> str | None:
    """The name of the cluster; None for a catalog that is opened from here."""
    return str(options.get("cluster", "")) if options.get("type") == TYPE else None


def check_alone(name: str, options: Mapping[str, str]) -> None:
    """Raise InvalidInput for options that do not say which cluster, or say more: all else is configured there."""
    if not options.get("cluster"):
        raise InvalidInput(
            f"Catalog {name!r} of the type {TYPE} needs the name of the cluster that reaches it.",
            hint="Add -o cluster=…; see: autoloader clusters list",
        )
    more = sorted(options.keys() - _OPTIONS)
    if more:
        raise InvalidInput(
            f"Catalog {name!r} of the type {TYPE} has no option {more[0]}: it is configured on the cluster.",
            hint=f"Leave it out, or set it there, as spark.sql.catalog.{name}.…",
        )


def no_such_cluster(name: str, cluster: str, known: Sequence[str]) -> InvalidInput:
    """For who names a cluster that there is not as the one that reaches the catalog."""
    add = f"dd it before: autoloader clusters add {cluster} sc://host:port --catalog {name}"
    return InvalidInput(
        f"There is no cluster {cluster!r} that could reach the catalog {name!r}.",
        hint=f"Name one that is there ({', '.join(known)}), or a{add}" if known else f"A{add}",
    )


def not_from_here(name: str, cluster: str) -> InvalidInput:
    """For who wants to open such a catalog without its cluster."""
    return InvalidInput(
        f"The catalog {name!r} is reached by the cluster {cluster} alone.",
        hint=f"Load on it: engine: {cluster} (of load: --engine {cluster})",
    )
