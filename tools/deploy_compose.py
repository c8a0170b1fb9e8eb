"""What must hold for the Dockerfile and the compose file, beside their form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools import deploy_known as known
from tools.deploy_rules import image_problems

_REFERENCE = re.compile(r"\$\{(\w+):\?[^}]*\}")


def compose_problems(text: str, example: str) -> Iterator[str]:
    """`example` is `.env.example`: the variables that a person fills in."""
    import compose_spec

    try:
        content = yaml.safe_load(text)
        compose_spec.PyCompose.from_yaml(yaml.safe_dump(content)).validate()
    except (yaml.YAMLError, ValueError) as error:
        yield str(error)
        return
    offered = set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    asked = set(_REFERENCE.findall(text))
    yield from (f"{name} is asked for, and not in .env.example" for name in sorted(asked - offered))
    yield from (f"{name} is in .env.example, and nobody asks for it" for name in sorted(offered - asked))
    for name, service in content["services"].items():
        yield from (f"service {name}: {problem}" for problem in _service_problems(service, content["services"]))


def _service_problems(service: dict[str, Any], services: dict[str, Any]) -> Iterator[str]:
    yield from image_problems(service["image"])
    command = service.get("command", [])
    yield from known.command_problems(command)
    values = service.get("environment", {})
    yield from known.variable_problems({name: None if "${" in str(value) else value for name, value in values.items()})
    for name, value in values.items():
        if known.has_password(str(value)) or (known.is_secret(name) and not _REFERENCE.search(str(value))):
            yield f"{name} is a secret in clear text"
    if service["image"].startswith("iomete-autoloader"):
        if service.get("user", "10001") in {"0", "root"} or service.get("privileged"):
            yield "it runs as root"
        if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
            yield "its file system can be written, or it keeps capabilities"
    yield from _waiting_problems(service, services)


def _waiting_problems(service: dict[str, Any], services: dict[str, Any]) -> Iterator[str]:
    waits = service.get("depends_on", {})
    for name, how in waits.items() if isinstance(waits, dict) else ((name, {}) for name in waits):
        other = services.get(name)
        if other is None:
            yield f"it waits for {name}, which is no service"
        elif how.get("condition") == "service_healthy" and "test" not in other.get("healthcheck", {}):
            yield f"it waits until {name} is healthy, which has no health check"
    test = " ".join(map(str, service.get("healthcheck", {}).get("test", ())))
    yield from _route_problems(test, service.get("command", []))


def dockerfile_problems(text: str, requirements: str) -> Iterator[str]:
    """Beside what hadolint says. `requirements` is the file that the image is installed from."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    for image in (line.split()[1] for line in lines if line.startswith("FROM ")):
        yield from image_problems(image)
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    if not users or users[-1].partition(":")[0] in {"0", "root"}:
        yield "the image runs as root"
    elif not users[-1].partition(":")[0].isdigit():
        yield "USER must be a number: runAsNonRoot cannot judge a name"
    values = dict(pair for line in lines if line.startswith("ENV ") for pair in re.findall(r"(\w+)=(\S+)", line))
    yield from known.variable_problems(values)
    yield from (f"{name} is a secret in the image" for name in values if known.is_secret(name))
    command = _words(lines, "CMD ")
    yield from known.command_problems(command)
    health = [line for line in lines if line.startswith("HEALTHCHECK ")]
    if not health:
        yield "there is no HEALTHCHECK"
    yield from _route_problems(" ".join(health), command)
    if "COPY requirements.txt" not in text or "prefect==" not in requirements:
        yield "it is not installed from the versions that were tested"


def _words(lines: list[str], instruction: str) -> list[str]:
    found = [line for line in lines if line.startswith(instruction)]
    return list(yaml.safe_load(found[-1].removeprefix(instruction))) if found else []


def _route_problems(text: str, command: list[str]) -> Iterator[str]:
    routes = known.routes_of(command)
    for path in re.findall(r"http://127\.0\.0\.1:\d+(/[\w/]*)", text):
        if routes is None or path not in routes:
            yield f"the health check asks {path}, which is no route of its server"


def env_keys(path: Path) -> set[str]:
    """The names of a file of the form NAME=value."""
    return set(re.findall(r"^(\w+)=", path.read_text(encoding="utf-8"), re.MULTILINE))
