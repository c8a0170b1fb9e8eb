"""What `autoloader up` consists of: the Prefect server, the API (with the reconciler in it), the workers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from app.config import Settings, environment_of_children
from app.runtime.child import ChildSpec, Lines

PREFECT_HOST = "127.0.0.1"
PREFECT_SECONDS = 300.0  # 20 on a quiet machine; minutes on one that has compiled nothing yet
API_SECONDS = 180.0
WORKER_SECONDS = 300.0
_ASK_SECONDS = 3.0
_QUIET = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_CLI_COLORS": "false"}


def parts(settings: Settings, auth: str, *, workers: int, log: Path) -> tuple[ChildSpec, ...]:
    """In the order of their start. Ports are those of the settings. The work pool and its queues are made by the worker
    and with the first deployment.
    """
    return (
        prefect_server(settings, auth, log),
        api(settings, auth, log),
        *(
            worker(settings, auth, log, f"worker-{number}" if workers > 1 else "worker")
            for number in range(1, workers + 1)
        ),
    )


def prefect_url(settings: Settings) -> str:
    return f"http://{PREFECT_HOST}:{settings.autoloader_prefect_port}"


def api_url(settings: Settings) -> str:
    """As this machine reaches it; an API that listens everywhere does so on loopback, too."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.autoloader_api_host, settings.autoloader_api_host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{settings.autoloader_api_port}"


def prefect_server(settings: Settings, auth: str, log: Path) -> ChildSpec:
    """On loopback, with a password, its state in the home; it calls nobody, and keeps its slots across restarts."""
    url = prefect_url(settings)
    folder = settings.home / "prefect"
    own = {
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        # In memory, each restart of the server would leak the slots of runs that are active.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_API_HOST": PREFECT_HOST,
        "PREFECT_SERVER_API_PORT": str(settings.autoloader_prefect_port),
        "PREFECT_SERVER_UI_ENABLED": "true",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_CLI_PROMPT": "false",
    }
    return ChildSpec(
        name="prefect",
        command=(*_python("prefect"), "server", "start"),
        environment=_environment(settings, auth, own),
        ready=_when_answering(f"{url}/api/ready"),
        ready_seconds=PREFECT_SECONDS,
        alive=partial(answers, f"{url}/api/health"),
        folder=folder,  # a `.env` or `prefect.toml` of the folder where `up` was called is none of its business
        address=url,
        advice=f"Read {log}. A state that Prefect cannot read can be moved away: {folder} (schedules come back by "
        "themselves, the history of runs in Prefect's pages does not).",
    )


def api(settings: Settings, auth: str, log: Path) -> ChildSpec:
    """The API; deployments are kept in step and triggers delivered in its process."""
    url = api_url(settings)
    where = ("--host", settings.autoloader_api_host, "--port", str(settings.autoloader_api_port))
    return ChildSpec(
        name="api",
        command=(*_python("app.cli.main"), "api", *where),
        environment=_environment(settings, auth, {"RECONCILE_IN_API": "true"}),
        ready=_when_answering(f"{url}/health/ready"),
        ready_seconds=API_SECONDS,
        alive=partial(answers, f"{url}/health/live"),
        address=url,
        advice=f"Read {log}, and check the set-up: autoloader doctor",
    )


def worker(settings: Settings, auth: str, log: Path, name: str) -> ChildSpec:
    """A worker on both queues. It has no address; that its process lives is all that can be asked."""
    return ChildSpec(
        name=name,
        command=(*_python("app.cli.main"), "worker", "--name", name),
        environment=_environment(settings, auth, {}),
        ready=_has_begun,
        ready_seconds=WORKER_SECONDS,
        address=f"{settings.prefect_default_work_queue}, {settings.prefect_high_memory_work_queue}",
        advice=f"Read {log}, and check the set-up: autoloader doctor",
    )


def answers(url: str) -> bool:
    """Whether a GET is answered with 200 within some seconds."""
    import httpx

    try:
        return httpx.get(url, timeout=_ASK_SECONDS, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _when_answering(url: str) -> Callable[[Lines], bool]:
    return lambda _: answers(url)


def _has_begun(lines: Lines) -> bool:
    return any(line.startswith("Worker ") and line.endswith(" started!") for line in lines)


def _python(module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module)


def _environment(settings: Settings, auth: str, own: dict[str, str]) -> dict[str, str]:
    """Of every part: one home, one server and its password. A command line would show the password to everybody."""
    folder = settings.home / "prefect"
    ours = {
        "AUTOLOADER_HOME": str(settings.home),
        "PREFECT_API_URL": f"{prefect_url(settings)}/api",
        "PREFECT_API_AUTH_STRING": auth,
        "PREFECT_HOME": str(folder),
        "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
        "PYTHONUNBUFFERED": "1",  # a line is in the log when it is said
    }
    return environment_of_children({**ours, **_QUIET, **own})
