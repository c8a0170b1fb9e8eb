"""`autoloader worker`: runs what Prefect schedules."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.cli.opening import local_settings
from app.cli.text import safe

Pool = Annotated[str | None, typer.Option("--pool", metavar="NAME", help="Work pool; else PREFECT_WORK_POOL.")]
Queues = Annotated[
    list[str] | None,
    typer.Option(
        "--queue", metavar="NAME", help="Work queue to take runs from; repeatable. Else both of the settings."
    ),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Runs at once; else WORKER_LIMIT.")]
Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name that Prefect shows for the worker.")]


def worker(pool: Pool = None, queue: Queues = None, limit: Limit = None, name: Name = None) -> None:
    """Run what Prefect schedules, each run in a process of its own, until Ctrl-C or SIGTERM.

    Makes the work pool and its queues where they are missing. Runs that are active when it stops go on with the next
    worker. It needs DATABASE_URL, AUTOLOADER_SECRET_KEY, PREFECT_API_URL and, where the Prefect server asks for a
    password, PREFECT_API_AUTH_STRING, the same as the API has; the database must be migrated (`autoloader db upgrade`).
    On one machine, `autoloader up` starts it with all it needs.

    Example: autoloader worker --limit 4
    """
    from app.prefect import environment

    settings = local_settings("worker")
    environment.prepare(settings)  # before Prefect is imported: it reads its settings then
    from app.prefect.serving import Serving, serve

    both = (settings.prefect_default_work_queue, settings.prefect_high_memory_work_queue)
    what = Serving(pool or settings.prefect_work_pool, tuple(queue or both), limit or settings.worker_limit, name)
    serve(settings, what, _tell)


def _tell(text: object = "") -> None:
    if str(text).strip():
        sys.stderr.write(safe(text) + "\n")
        sys.stderr.flush()
