"""The API as a server process."""

from __future__ import annotations

import importlib
import socket
from typing import Any

from app.config import Settings
from app.errors import InvalidInput

_GRACE_SECONDS = 10  # for calls that are being answered when the process is told to stop
_BACKLOG = 512


def serve(settings: Settings) -> None:
    """Answer calls until SIGTERM or Ctrl-C; calls that are being answered then are answered.

    Raises InvalidInput where the API would stand open to a network, or the port is taken.
    """
    import uvicorn

    app = _application(settings)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.autoloader_api_host,
            port=settings.autoloader_api_port,
            log_config=None,  # ours takes the libraries' lines too
            access_log=False,  # ours has an id, and no query string
            server_header=False,
            proxy_headers=False,
            lifespan="on",
            backlog=_BACKLOG,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
    with _listening(settings.autoloader_api_host, settings.autoloader_api_port) as listener:
        server.run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """Bound by us, because the server would end the process where it cannot be.

    The protocol is named, as asyncio switches Nagle's algorithm off only where it stands in the socket: an answer would
    wait 40 ms for the caller's acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        message = f"The API cannot listen on {host}, port {port}: {error.strerror}."
        raise InvalidInput(message, hint="Give another --port or --host, or stop what listens there.") from error
    listener.set_inheritable(False)
    return listener


def _application(settings: Settings) -> Any:
    """By its name, as `uvicorn --factory app.main:create_app` finds it: nothing below the top layer imports it."""
    return importlib.import_module("app.main").create_app(settings)
