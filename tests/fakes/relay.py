"""A TCP relay before a real server, so that a test can take the server away for some connections, or for a while."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK = 65536


class Relay:
    """Listens on `port`. While it is down, or has connections left to refuse, whoever connects is cut off at once."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.refused = 0
        self._refuse = 0
        self._down = False
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self._cut()

    def refuse(self, connections: int) -> None:
        """Cut what is open, and the next `connections`."""
        with self._lock:
            self._refuse = connections
        self._cut()

    def down(self) -> None:
        with self._lock:
            self._down = True
        self._cut()

    def up(self) -> None:
        with self._lock:
            self._down = False

    def _cut(self) -> None:
        with self._lock:
            cut, self._open = self._open, []
        for one in cut:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_refused():
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target_port))
            with self._lock:
                self._open += [client, server]
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()

    def _is_refused(self) -> bool:
        with self._lock:
            refused = self._down or self._refuse > 0
            self._refuse = max(0, self._refuse - 1)
            self.refused += refused
            return refused


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(_CHUNK):
            other.sendall(data)
    for end in (one, other):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    one.close()
