"""Ports to listen on: free ones, or a clear word about who has to move."""

from __future__ import annotations

import errno
import socket
import time
from dataclasses import dataclass

from app.errors import InvalidInput, PortTaken

_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Listener:
    """Who wants to listen, and how a person gives it another port or address."""

    what: str
    host: str
    option: str
    setting: str
    host_setting: str = ""

    def require_free(self, port: int, seconds: float = 0.0) -> None:
        """Returns when `port` can be listened on, at once or within `seconds`. Raises PortTaken, InvalidInput."""
        until = time.monotonic() + seconds
        while (why := _why_not(self.host, port)) is not None:
            if why.errno != errno.EADDRINUSE:
                raise self._cannot(port, why)
            if time.monotonic() >= until:
                raise PortTaken(
                    f"{self.what} cannot listen on port {port} of {self.host}: something else does.",
                    hint=f"Give another: {self.option} PORT (0: a free one), or the setting {self.setting}. "
                    f"Or stop what listens there: ss -ltnp 'sport = :{port}'",
                )
            time.sleep(_LOOK_SECONDS)

    def free_port(self, but: int = 0) -> int:
        """A port that is free now, and not `but`. Raises InvalidInput for an address that is not this machine's."""
        with socket.socket(_family(self.host)) as probe:
            try:
                probe.bind((self.host, 0))
            except OSError as error:
                raise self._cannot(0, error) from error
            found = int(probe.getsockname()[1])
            return found if found != but else self.free_port(but)

    def _cannot(self, port: int, why: OSError) -> InvalidInput:
        other = f", or another address: {self.host_setting}" if self.host_setting else ""
        return InvalidInput(
            f"{self.what} cannot listen on {self.host}, port {port}: {why.strerror or why}.",
            hint=f"Give another port: {self.option} PORT, or the setting {self.setting}{other}.",
        )


def _why_not(host: str, port: int) -> OSError | None:
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was closed a moment ago is free
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error
    return None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
