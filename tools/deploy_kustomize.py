"""What `kubectl kustomize` makes of our folders, without kubectl: the fields that are used here; others are refused.

A test compares it with the real one where that is installed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

_KNOWN = {"apiVersion", "kind", "resources", "namespace", "labels", "images", "replicas", "patches"}
_CLUSTER_WIDE = {"Namespace"}
# Lists whose items a patch finds by a key; every other list is replaced whole.
_MERGED = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
}


class Unbuildable(Exception):
    """The folder cannot be built; the sentence says why."""


def build(folder: Path) -> list[Object]:
    """The objects of a folder's `kustomization.yaml`. Raises Unbuildable."""
    given = _one(folder / "kustomization.yaml")
    if unknown := set(given) - _KNOWN:
        raise Unbuildable(
            f"{folder.name}: kustomization.yaml has {', '.join(sorted(unknown))}, which is not read here."
        )
    objects = [item for name in given.get("resources", ()) for item in _resource(folder / name)]
    for patch in given.get("patches", ()):
        for change in documents(folder / patch["path"]):
            _patch(objects, change, patch["path"])
    for item in objects:
        if "namespace" in given and item["kind"] not in _CLUSTER_WIDE:
            item["metadata"]["namespace"] = given["namespace"]
        for labels in given.get("labels", ()):
            _label(item, labels)
        for image in given.get("images", ()):
            _retag(item, image)
    for replicas in given.get("replicas", ()):
        _find(objects, ("Deployment", replicas["name"]), "replicas")["spec"]["replicas"] = replicas["count"]
    return objects


def documents(path: Path) -> Iterator[Object]:
    """The documents of a YAML file. Raises Unbuildable."""
    try:
        yield from (item for item in yaml.safe_load_all(path.read_text(encoding="utf-8")) if item is not None)
    except (OSError, yaml.YAMLError) as error:
        raise Unbuildable(f"{path.name} cannot be read: {error}") from error


def pod_spec(item: Object) -> Object | None:
    """The pods that an object makes; None for one that makes none."""
    template = item.get("spec", {}).get("template") if item["kind"] in {"Deployment", "StatefulSet", "Job"} else None
    return template["spec"] if template else None


def _one(path: Path) -> Object:
    (found,) = documents(path)
    return found


def _resource(path: Path) -> list[Object]:
    return build(path.resolve()) if path.is_dir() else copy.deepcopy(list(documents(path)))


def _find(objects: list[Object], key: tuple[str, str], where: str) -> Object:
    for item in objects:
        if (item["kind"], item["metadata"]["name"]) == key:
            return item
    raise Unbuildable(f"{where} changes {'/'.join(key)}, which is not there.")


def _patch(objects: list[Object], change: Object, where: str) -> None:
    target = _find(objects, (change["kind"], change["metadata"]["name"]), where)
    target.update(_merged(target, change))


def _merged(have: Any, change: Any, field: str = "") -> Any:
    """Strategic merge: mappings by key, some lists by their items' names, everything else replaced."""
    if isinstance(have, dict) and isinstance(change, dict):
        result = dict(have)
        for name, value in change.items():
            if value is None:
                result.pop(name, None)
            else:
                result[name] = _merged(have.get(name), value, name)
        return result
    key = _MERGED.get(field)
    if key is not None and isinstance(have, list):
        news = {item[key]: item for item in change}
        kept = [_merged(item, news.pop(item[key], {})) for item in have]
        return [*news.values(), *kept]  # as kustomize puts them
    return change


def _label(item: Object, labels: Object) -> None:
    places = [item["metadata"]]
    if labels.get("includeTemplates") and pod_spec(item) is not None:
        places.append(item["spec"]["template"].setdefault("metadata", {}))
    for place in places:
        place["labels"] = {**place.get("labels", {}), **labels["pairs"]}


def _retag(item: Object, image: Object) -> None:
    for container in (pod_spec(item) or {}).get("containers", ()):
        name = container["image"].partition(":")[0]
        if name == image["name"]:
            container["image"] = f"{image.get('newName', name)}:{image['newTag']}"
