"""The nursery: a process that has imported what a parsing child needs, and forks one for whoever asks.

`python -m app.ingest.engines.nursery FD`: started with the parser's clean environment, it never holds a secret, a
database or a connection of ours, so its forks hold none. Requests come on the sequenced-packet socket FD, which many
processes share; each brings the child's three standard streams and a socket of its own for the answers, of which each
is one packet:

    → {"for": PID, "arguments": […]}     with the descriptors of stdin, stdout, stderr and the answers' socket
    ← {"pid": PID}
    ← {"code": CODE}                     negative for a signal

While the nursery lives, the child's number stays taken until the asker closes that socket, which it does last: killing
the child by number cannot hit another process. When the asker closes it early, which the end of its process does, the
child is killed. A child that cannot be forked is the end of its socket alone. The nursery ends when nobody
holds the other end of FD; a child whose nursery is gone ends too, so that its asker never waits for a lost answer.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.garbage import collect_seldom
from app.ingest.engines import parse_child

PRELOADED = (
    "app.ingest.engines.parse_job",
    "app.ingest.formats.csv",
    "app.ingest.formats.json_document",
    "app.ingest.formats.jsonl",
    "app.ingest.formats.parquet",
    "numpy.ma",
    "pyarrow.parquet",
)
PACKET = 64 * 1024
PARSER_OF = "parser "  # and the process id of who asked for it: the name of a child
_STREAMS = 3
_KNOWS_FORKS = "jemalloc_bg_thd"  # Arrow's allocator begins it anew in each fork
_PR_SET_NAME = 15


@dataclass(eq=False)
class _Born:
    """One child, and the socket on which its asker waits."""

    pid: int
    asker: socket.socket
    told: bool = False


class NurseryServer:
    """Serves until nobody is left to ask. `serve` also returns in every child, with the child's arguments."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._born: dict[int, _Born] = {}
        self._dying: set[int] = set()  # killed and not yet gone
        self._read, self._write = os.pipe()
        self._selector = selectors.DefaultSelector()

    def serve(self) -> list[str] | None:
        """The arguments in a child, None in the nursery."""
        self._listen()
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._requests:
                    packet, streams, _, _ = socket.recv_fds(self._requests, PACKET, _STREAMS + 1)
                    if not packet:
                        self._end_all()
                        return None
                    arguments = self._bear(packet, streams)
                    if arguments is not None:
                        return arguments
                elif isinstance(key.data, _Born):
                    self._forget(key.data)
                else:
                    os.read(self._read, PACKET)
                    self._tell_ends()

    # --- in the nursery

    def _listen(self) -> None:
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for asked_to_end in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # Sent to all processes of a service at once: the runs end in order, and need their parsers for that.
            signal.signal(asked_to_end, signal.SIG_IGN)
        self._selector.register(self._requests, selectors.EVENT_READ)
        self._selector.register(self._read, selectors.EVENT_READ)

    def _bear(self, packet: bytes, streams: list[int]) -> list[str] | None:
        """Fork. Answers the arguments in the child, None in the nursery."""
        if len(streams) != _STREAMS + 1:  # nobody to answer to
            for fd in streams:
                os.close(fd)
            return None
        request = json.loads(packet)
        asker = socket.socket(fileno=streams.pop())
        nursery, pid = os.getpid(), _fork()
        if pid is None:  # the asker hears the end of its socket, and starts a parser anew
            for opened in (asker.detach(), *streams):
                os.close(opened)
            return None
        if pid == 0:
            os.setsid()
            _rename(f"{PARSER_OF}{request['for']}")
            _say(asker, pid=os.getpid())  # only now it can be killed by its session
            self._leave(streams, asker)
            return [*request["arguments"], "--parent", str(nursery)]
        for fd in streams:
            os.close(fd)
        born = self._born[pid] = _Born(pid, asker)
        self._selector.register(asker, selectors.EVENT_READ, born)
        return None

    def _tell_ends(self) -> None:
        """Tell who has ended, and leave it as it is: its number is free only when its asker knows."""
        for born in self._born.values():
            ended = None if born.told else os.waitid(os.P_PID, born.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None:
                born.told = True
                _say(born.asker, code=ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status)
        self._reap()

    def _forget(self, born: _Born) -> None:
        """Its asker is done with it, or gone."""
        self._selector.unregister(born.asker)
        born.asker.close()
        with suppress(ProcessLookupError):
            os.killpg(born.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):  # before its `setsid`
            os.kill(born.pid, signal.SIGKILL)
        del self._born[born.pid]
        self._dying.add(born.pid)
        self._reap()

    def _reap(self) -> None:
        """Free the numbers of those that are dead. Never waits: one that hangs in the kernel must not stop the rest."""
        self._dying = {pid for pid in self._dying if os.waitpid(pid, os.WNOHANG)[0] == 0}

    def _end_all(self) -> None:
        for born in list(self._born.values()):
            self._forget(born)

    # --- in a child

    def _leave(self, streams: list[int], asker: socket.socket) -> None:
        """Nothing of the nursery or of its other children stays: no socket, no handler."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for place, fd in enumerate(streams):
            os.dup2(fd, place)
            os.close(fd)
        self._selector.close()
        for opened in (asker, self._requests, *(born.asker for born in self._born.values())):
            opened.close()
        os.close(self._read)
        os.close(self._write)


def _fork() -> int | None:
    """As `os.fork`; None when the system has no process or no memory left, which the others here outlive."""
    try:
        return os.fork()
    except OSError:
        return None


def _say(asker: socket.socket, **message: int) -> None:
    with suppress(OSError):  # it is gone: the selector says so
        asker.send(json.dumps(message).encode())


def _rename(name: str) -> None:
    """What `ps` shows, and by what the worker finds the parser of a run that it measures."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def preload() -> None:
    """Import what parsers need. Raises RuntimeError when an import has started a thread: a fork would lose it."""
    collect_seldom()
    parse_child.refuse_pandas()
    for name in PRELOADED:
        importlib.import_module(name)
    names = [(task / "comm").read_text(encoding="utf-8").strip() for task in Path("/proc/self/task").iterdir()]
    if foreign := [name for name in names if name != _KNOWS_FORKS][1:]:
        raise RuntimeError(f"Importing the parser has started threads: {', '.join(foreign)}.")
    gc.collect()
    gc.freeze()  # a collection in a child must not copy every page it shares with us


def main(fd: int) -> None:
    preload()
    arguments = NurseryServer(socket.socket(fileno=fd)).serve()
    if arguments is None:
        os._exit(0)  # nothing to tidy up; DuckDB's library would complain of what `gc.freeze` kept
    parse_child.main(arguments)


if __name__ == "__main__":
    main(int(sys.argv[1]))
