"""What must hold for Kubernetes objects, beside their schema. Each rule yields sentences about what is wrong."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tools import deploy_known as known
from tools.deploy_kustomize import Object, pod_spec

SECRET = "autoloader-secrets"  # noqa: S105 - its name
_SERVES = {"Deployment", "StatefulSet"}
_PROBES = ("livenessProbe", "readinessProbe")
_STOP_SECONDS = 30  # the least for a worker, which hands its runs on within 15
_UNITS = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def problems(objects: Sequence[Object], secret_keys: Collection[str]) -> Iterator[str]:
    """Everything that is wrong with the objects of one overlay. `secret_keys` are those of the documented Secret."""
    for item in objects:
        where = f"{item['kind']}/{item['metadata']['name']}"
        if item["kind"] == "Secret":
            yield f"{where}: secrets are made by hand, and referred to"
        if item["kind"] == "ConfigMap":
            yield from (f"{where}: {text}" for text in _config_problems(item))
        spec = pod_spec(item)
        if spec is None:
            continue
        yield from (f"{where}: {text}" for text in _pod_problems(spec, objects))
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            place = f"{where}, container {container['name']}"
            yield from (f"{place}: {text}" for text in _container_problems(item, spec, container, objects, secret_keys))
    yield from _selector_problems(objects)
    yield from _queue_problems(objects)


def _find(objects: Sequence[Object], kind: str, name: str) -> Object | None:
    return next((one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)), None)


# --- pods ------------------------------------------------------------------------------------


def _config_problems(item: Object) -> Iterator[str]:
    for name, value in item.get("data", {}).items():
        if known.is_secret(name) or known.has_password(value):
            yield f"{name} is a secret in clear text"


def _pod_problems(spec: Object, objects: Sequence[Object]) -> Iterator[str]:
    security = spec.get("securityContext", {})
    if not security.get("runAsNonRoot") or not security.get("runAsUser"):
        yield "it may run as root: runAsNonRoot and a runAsUser that is not 0 are needed"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "its seccompProfile is not RuntimeDefault"
    if spec.get("automountServiceAccountToken", True):
        yield "it gets a token of the cluster's API, which it does not need"
    if spec.get("enableServiceLinks", True):
        yield "enableServiceLinks must be false: the links would set AUTOLOADER_API_PORT to an address"
    account = spec.get("serviceAccountName")
    if account and _find(objects, "ServiceAccount", account) is None:
        yield f"there is no ServiceAccount {account}"
    for volume in spec.get("volumes", ()):
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim and _find(objects, "PersistentVolumeClaim", claim) is None:
            yield f"there is no PersistentVolumeClaim {claim}"
    if any(one.get("command", [])[:2] == ["autoloader", "worker"] for one in spec["containers"]):
        yield from _worker_problems(spec)


def _worker_problems(spec: Object) -> Iterator[str]:
    if spec.get("terminationGracePeriodSeconds", 0) < _STOP_SECONDS:
        yield f"terminationGracePeriodSeconds is less than {_STOP_SECONDS}: its runs would be killed, not handed on"
    if not spec.get("shareProcessNamespace"):
        yield "shareProcessNamespace is needed: nobody else takes the orphans of runs that were killed"
    (container,) = spec["containers"]
    values = {one["name"]: one.get("value") for one in container.get("env", ())}
    runs = int(values.get("WORKER_LIMIT") or 4) * int(values.get("WORKER_MEMORY_BYTES") or 0)
    limit = _bytes(container.get("resources", {}).get("limits", {}).get("memory", "0"))
    if not 0 < runs < limit:
        yield f"WORKER_LIMIT runs of WORKER_MEMORY_BYTES ({runs:,}) do not fit below {limit:,} bytes of memory"


def _bytes(quantity: str) -> int:
    found = re.fullmatch(r"(\d+)(Ki|Mi|Gi|)", str(quantity))
    return int(found[1]) * _UNITS[found[2]] if found else 0


# --- containers ------------------------------------------------------------------------------


def _container_problems(
    item: Object, spec: Object, container: Object, objects: Sequence[Object], secret_keys: Collection[str]
) -> Iterator[str]:
    yield from image_problems(container["image"])
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation", True) or security.get("privileged"):
        yield "allowPrivilegeEscalation is not false"
    if not security.get("readOnlyRootFilesystem"):
        yield "readOnlyRootFilesystem is not true"
    if security.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "it keeps capabilities: drop ALL"
    if security.get("runAsNonRoot") is False or security.get("runAsUser") == 0:
        yield "it may run as root"
    yield from _resource_problems(container.get("resources", {}))
    mounted = {one["name"] for one in container.get("volumeMounts", ())}
    volumes = {one["name"] for one in (*spec.get("volumes", ()), *_claims(item))}
    yield from (f"there is no volume {name}" for name in sorted(mounted - volumes))
    yield from known.command_problems(container.get("command", ()))
    yield from _probe_problems(item, container)
    yield from _environment_problems(container, objects, secret_keys)


def image_problems(image: str) -> Iterator[str]:
    name, _, tag = image.rpartition("/")[2].partition(":")
    if "@sha256:" not in image and tag in {"", "latest"}:
        yield f"the image {name} has no tag that stays what it is"


def _claims(item: Object) -> list[Object]:
    return [{"name": one["metadata"]["name"]} for one in item["spec"].get("volumeClaimTemplates", ())]


def _resource_problems(resources: Object) -> Iterator[str]:
    for part, name in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
        if name not in resources.get(part, {}):
            yield f"it has no {part}.{name}"


def _probe_problems(item: Object, container: Object) -> Iterator[str]:
    ports = container.get("ports", ())
    routes = known.routes_of(container.get("command", ()))
    for name in (*_PROBES, "startupProbe"):
        probe = container.get(name)
        if probe is None:
            if name in _PROBES and ports and item["kind"] in _SERVES:
                yield f"it listens, and has no {name}"
            continue
        if "httpGet" not in probe:
            continue
        path, port = probe["httpGet"]["path"], probe["httpGet"]["port"]
        if routes is not None and path not in routes:
            yield f"{name} asks {path}, which is no route of its server"
        if port not in {value for one in ports for value in (one.get("name"), one["containerPort"])}:
            yield f"{name} asks the port {port}, which is not declared"


def _environment_problems(container: Object, objects: Sequence[Object], secret_keys: Collection[str]) -> Iterator[str]:
    values: dict[str, str | None] = {}
    for source in container.get("envFrom", ()):
        name = source.get("configMapRef", {}).get("name")
        found = _find(objects, "ConfigMap", name) if name else None
        if found is None:
            yield f"envFrom must name a ConfigMap that is there, not {name}"
        else:
            values |= found["data"]
    for one in container.get("env", ()):
        name, reference = one["name"], one.get("valueFrom", {}).get("secretKeyRef")
        values[name] = one.get("value")
        if reference is None and (known.is_secret(name) or known.has_password(one.get("value", ""))):
            yield f"{name} is a secret in clear text"
        if reference is not None and reference["name"] == SECRET and reference["key"] not in secret_keys:
            yield f"{reference['key']} is no key of secrets.env.example"
    yield from known.variable_problems(values)
    yield from _missing(container, values)


def _missing(container: Object, values: Mapping[str, str | None]) -> Iterator[str]:
    """What a process of ours cannot do without in a cluster."""
    command = container.get("command", [])
    needed: list[str] = []
    if command[:1] == ["autoloader"]:
        needed += ["DATABASE_URL", "AUTOLOADER_SECRET_KEY", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"]
    if command[:2] == ["autoloader", "api"]:
        needed += ["AUTOLOADER_API_KEY", "AUTOLOADER_API_HOST"]
    if command in known.PREFECT_COMMANDS:
        needed += ["PREFECT_SERVER_API_AUTH_STRING", "PREFECT_SERVER_DATABASE_CONNECTION_URL"]
        if not str(values.get("PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE")).endswith(".filesystem"):
            yield "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE does not keep leases over a restart"
    yield from (f"{name} is not set" for name in needed if name not in values)


# --- who finds whom --------------------------------------------------------------------------


def _selector_problems(objects: Sequence[Object]) -> Iterator[str]:
    pods = [
        (item["spec"]["template"]["metadata"].get("labels", {}), pod_spec(item)) for item in objects if pod_spec(item)
    ]
    denied = [one for one in objects if one["kind"] == "NetworkPolicy" and _denies(one)]
    for labels, _ in pods:
        if not any(_selects(policy["spec"]["podSelector"], labels) for policy in denied):
            yield f"no NetworkPolicy denies by default what {labels.get('app.kubernetes.io/name')} does"
    for item in objects:
        where = f"{item['kind']}/{item['metadata']['name']}"
        for selector in _selectors(item):
            if not any(_selects(selector, labels) for labels, _ in pods):
                yield f"{where} selects no pod: {selector}"
        if item["kind"] == "Service":
            selected = [spec for labels, spec in pods if _selects({"matchLabels": item["spec"]["selector"]}, labels)]
            ports = {name for spec in selected for one in (spec or {})["containers"] for name in _names(one)}
            yield from (
                f"{where}: no pod has the port {one['targetPort']}"
                for one in item["spec"]["ports"]
                if one["targetPort"] not in ports
            )


def _names(container: Object) -> Iterator[Any]:
    for port in container.get("ports", ()):
        yield from (port.get("name"), port["containerPort"])


def _denies(policy: Object) -> bool:
    spec = policy["spec"]
    return (
        set(spec.get("policyTypes", ())) == {"Ingress", "Egress"} and not spec.get("ingress") and not spec.get("egress")
    )


def _selectors(item: Object) -> Iterator[Object]:
    spec = item.get("spec", {})
    if item["kind"] == "Service":
        yield {"matchLabels": spec["selector"]}
    if item["kind"] == "PodDisruptionBudget":
        yield spec["selector"]
    if item["kind"] == "NetworkPolicy":
        yield spec["podSelector"]
        peers = [peer for rule in spec.get("ingress", ()) for peer in rule.get("from", ())]
        peers += [peer for rule in spec.get("egress", ()) for peer in rule.get("to", ())]
        yield from (peer["podSelector"] for peer in peers if "podSelector" in peer)


def _selects(selector: Object, labels: Mapping[str, str]) -> bool:
    if any(labels.get(name) != value for name, value in selector.get("matchLabels", {}).items()):
        return False
    return all(labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", ()))


def _queue_problems(objects: Sequence[Object]) -> Iterator[str]:
    """Each queue of the settings is served by somebody, and nobody serves another."""
    served: set[str] = set()
    wanted = known.work_queues()
    for item in objects:
        for container in (pod_spec(item) or {}).get("containers", ()):
            words = container.get("command", [])
            if words[:2] == ["autoloader", "worker"]:
                found = {after for word, after in pairwise(words) if word == "--queue"}
                served |= found or wanted
    yield from (f"no worker serves the queue {name}" for name in sorted(wanted - served))
    yield from (f"a worker serves the queue {name}, into which nobody puts a run" for name in sorted(served - wanted))
