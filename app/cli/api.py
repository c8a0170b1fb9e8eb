"""`autoloader api`: the API as a process of its own."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.cli.opening import local_settings
from app.cli.signals import Stopped
from app.cli.text import safe

Host = Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")]
Port = Annotated[int | None, typer.Option("--port", metavar="PORT", min=1, max=65535, help="Port to listen on.")]


def api(host: Host = None, port: Port = None) -> None:
    """Serve the REST API until Ctrl-C or SIGTERM; calls that are being answered then are answered.

    On 127.0.0.1 it needs no key. Anywhere else it refuses to start without AUTOLOADER_API_KEY. Beside other machines it
    needs DATABASE_URL, AUTOLOADER_SECRET_KEY, PREFECT_API_URL and, where the Prefect server asks for a password,
    PREFECT_API_AUTH_STRING, the same as they have. On one machine, `autoloader up` starts it with all it needs.

    Example: autoloader api --port 4280
    """
    from app.database import Database
    from app.runtime.serving import serve

    settings = local_settings("api")
    given = {"autoloader_api_host": host, "autoloader_api_port": port}
    settings = settings.model_copy(update={name: value for name, value in given.items() if value is not None})
    if not settings.database_url:  # one that is somebody's own is left alone; /health/ready says when it is not current
        database = Database(settings.database_address)
        database.upgrade()
        database.close()
    shown = f"[{settings.autoloader_api_host}]" if ":" in settings.autoloader_api_host else settings.autoloader_api_host
    sys.stderr.write(safe(f"API on http://{shown}:{settings.autoloader_api_port} (Ctrl-C stops it)") + "\n")
    try:
        serve(settings)
    except Stopped:  # the signal has done its work already: this is the regular end
        sys.stderr.write("Stopped.\n")
