"""Checks everything under `deploy/`: `python -m tools.deploy_check`. Starts nothing, and asks nothing of a network.

What is read by others is checked by their schemas (Kubernetes, compose) and by hadolint; what is read by us is asked of
our own code: settings, routes, commands, and the settings of the Prefect that is installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from tools import deploy_compose, deploy_rules
from tools.deploy_kustomize import Object, Unbuildable, build

ROOT = Path(__file__).resolve().parents[1]
KUBERNETES = "1.34"  # the version whose schemas are asked
_BUILT = ("base", "overlays/dev", "overlays/production")


def main() -> int:
    found = list(problems(ROOT / "deploy", (ROOT / "requirements.txt").read_text(encoding="utf-8")))
    for problem in found:
        print(problem)
    if not found:
        print("deploy/: Dockerfile, compose file and manifests are as they should be.")
    return 1 if found else 0


def problems(folder: Path, requirements: str) -> Iterator[str]:
    """What is wrong, one sentence each, beginning with the file or overlay."""
    dockerfile = folder / "Dockerfile"
    yield from (f"Dockerfile: {text}" for text in hadolint(dockerfile))
    text = dockerfile.read_text(encoding="utf-8")
    yield from (f"Dockerfile: {problem}" for problem in deploy_compose.dockerfile_problems(text, requirements))
    compose = (folder / "compose.yaml").read_text(encoding="utf-8")
    example = (folder / ".env.example").read_text(encoding="utf-8")
    yield from (f"compose.yaml: {problem}" for problem in deploy_compose.compose_problems(compose, example))
    for name in _BUILT:
        yield from (f"{name}: {problem}" for problem in kubernetes_problems(folder / "kubernetes", name))


def kubernetes_problems(folder: Path, name: str) -> Iterator[str]:
    """Of one overlay, built."""
    try:
        objects = build(folder / name)
    except Unbuildable as error:
        yield str(error)
        return
    wrong = list(schema_problems(objects))
    yield from wrong
    if not wrong:  # the rules rest on the shape
        yield from deploy_rules.problems(objects, deploy_compose.env_keys(folder / "secrets.env.example"))


def schema_problems(objects: list[Object]) -> Iterator[str]:
    """What Kubernetes would not take; fields that it does not have included."""
    for item in objects:
        problem = _schema_problem(json.dumps(item, default=str))
        if problem:
            yield f"{item.get('kind')}/{item.get('metadata', {}).get('name')}: {problem}"


@lru_cache(maxsize=256)
def _schema_problem(item: str) -> str:
    import kubernetes_validate

    try:
        kubernetes_validate.validate(json.loads(item), KUBERNETES, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return f"{'.'.join(map(str, getattr(error, 'path', ())))}: {getattr(error, 'message', error)}"
    return ""


def hadolint(path: Path) -> Iterator[str]:
    command = [str(Path(sys.executable).with_name("hadolint")), "--no-color", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        yield from (told.stdout + told.stderr).strip().splitlines()


if __name__ == "__main__":
    sys.exit(main())
