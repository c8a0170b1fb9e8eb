"""Ports to listen on: free ones, or a clear word about who has to move."""

from __future__ import annotations

import socket
import time

from app.errors import InvalidInput, PortTaken

_LOOK_SECONDS = 0.2


def require_free(what: str, host: str, port: int, *, option: str, setting: str, seconds: float = 0.0) -> None:
    """Returns when `port` can be listened on, at once or within `seconds`. Raises PortTaken, InvalidInput."""
    until = time.monotonic() + seconds
    while (why := _why_not(host, port)) is not None:
        if why.errno in {None, 0} or not _is_taken(why):
            raise InvalidInput(
                f"{what} cannot listen on {host}, port {port}: {why.strerror or why}.",
                hint=f"Give another port: {option}, or the setting {setting}.",
            )
        if time.monotonic() >= until:
            raise PortTaken(
                f"{what} cannot listen on port {port} of {host}: something else does.",
                hint=f"Give another port: {option} {port + 1}, or the setting {setting}; 0 takes a free one. "
                f"Or stop what listens there: ss -ltnp 'sport = :{port}'",
            )
        time.sleep(_LOOK_SECONDS)


def free(host: str) -> int:
    """A port that is free now."""
    with socket.socket(_family(host)) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _why_not(host: str, port: int) -> OSError | None:
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was closed a moment ago is free
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error
    return None


def _is_taken(error: OSError) -> bool:
    import errno

    return error.errno == errno.EADDRINUSE


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
