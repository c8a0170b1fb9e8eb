"""What `engine` and `cluster` mean together, however they were said: by a whole document or by a change. Pure.

A cluster without an engine is the engine. Beside `engine: auto` it takes the large batches. Beside any other engine it
means nothing: one that was left over from before goes, one that is said with it is a contradiction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.schemas.ingestion import IngestionShape
from app.services.engine_rule import AUTO, EMBEDDED

_NO_CLUSTER = (AUTO, EMBEDDED)


def of_change(known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `given` that change an ingestion of the fields `known`; a value of None takes a field away."""
    cluster = given.get("cluster")
    if "engine" not in given and (cluster is None or known.get("engine") == AUTO):
        return dict(given)
    return {**given, **_meant(given.get("engine"), cluster)}


def of_document(shape: IngestionShape) -> IngestionShape:
    """The shape as it is meant, of one that says all that is to be."""
    said = shape.engine if "engine" in shape.model_fields_set else None
    return shape.model_copy(update=_meant(said, shape.cluster))


def of_stored(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without a cluster that means nothing, which could be stored once."""
    means_nothing = config.get("cluster") is not None and config.get("engine") != AUTO
    return {**config, "cluster": None} if means_nothing else config


def contradictions(shape: IngestionShape) -> Iterator[tuple[str, str]]:
    """`(text, hint)` of a cluster that cannot stand beside the engine."""
    engine, cluster = shape.engine, shape.cluster
    if cluster in _NO_CLUSTER:
        hint = f"Say engine: {cluster} (of load: --engine {cluster}); names of clusters: autoloader clusters list"
        yield f"{cluster!r} is the name of an engine, and of no cluster.", hint
    elif cluster is not None and engine != AUTO:
        hint = (
            f"Say one of them: engine: {engine} (--engine), or cluster: {cluster} (--cluster). Both load, small batches"
            " here and large ones on the cluster, with engine: auto (--engine auto)"
        )
        yield f"The engine is {engine}, and the cluster {cluster}: only one of them can load.", hint


def _meant(engine: object, cluster: object) -> dict[str, Any]:
    """The fields to set so that both mean one thing; a contradiction stays, for `contradictions` to tell."""
    if cluster is None:
        return {} if engine == AUTO else {"cluster": None}
    if engine == AUTO or cluster in _NO_CLUSTER:
        return {}
    return {"engine": cluster, "cluster": None} if engine in (None, cluster) else {}
