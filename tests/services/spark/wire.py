"""A wire between a client and a server that can be refused, cut, stalled and healed: TCP, byte by byte."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)  # closing says RST, as a firewall or a dead machine's successor does


class Wire:
    """Passes on what comes at `port`, until it is told otherwise. All is set at once, for every connection."""

    def __init__(self, to_port: int) -> None:
        self.to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._flows = threading.Event()
        self._flows.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._refuses = False
        self._ended = False
        self.accepted = 0
        threading.Thread(target=self._accept, name="wire", daemon=True).start()

    @property
    def url(self) -> str:
        return f"sc://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Every connection is reset; new ones are as before."""
        with self._lock:
            doomed = list(self._open)
            self._open.clear()
        for one in doomed:
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                one.close()

    def refuse(self) -> None:
        """Every connection is reset, and each new one as well."""
        self._refuses = True
        self.cut()

    def stall(self) -> None:
        """Nothing is passed on any more, in neither direction, and nobody is told."""
        self._flows.clear()

    def heal(self) -> None:
        """As in the beginning. What was stalled goes on."""
        self._refuses = False
        self._flows.set()

    def close(self) -> None:
        self._ended = True
        self._flows.set()
        with suppress(OSError):
            self._listener.close()
        self.cut()

    # --- threads

    def _accept(self) -> None:
        while not self._ended:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self._refuses:
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                near.close()
                continue
            threading.Thread(target=self._carry, args=(near,), name="wire-carry", daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self.to_port))
        except OSError:
            near.close()
            return
        with self._lock:
            self._open |= {near, far}
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, target), name="wire-pump", daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError, ValueError):
            while data := source.recv(_CHUNK):
                self._flows.wait()
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire(to_port: int) -> Iterator[Wire]:
    made = Wire(to_port)
    try:
        yield made
    finally:
        made.close()
