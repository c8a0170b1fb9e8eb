"""The parsing child: `python -m app.ingest.engines.parse_child`. Reads requests, answers results, one JSON line each.

It holds no database and no secrets. It ends when its standard input ends, that is when the process that started it is
gone: a thread watches, so this holds in the midst of a request, too. Standard output belongs to the answers; what
libraries print there goes to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import queue
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from typing import BinaryIO

from app.errors import AutoloaderError
from app.garbage import collect_seldom
from app.ingest.engines import parse_wire
from app.ingest.formats.contract import ParseRequest

_PR_SET_PDEATHSIG = 1
_DISK_FULL = ("No space left on device", "Disk quota exceeded")


def main(arguments: Sequence[str]) -> None:
    """Serve requests until standard input ends."""
    collect_seldom()
    refuse_pandas()
    _limit(_parsed(arguments))
    for asked_to_end in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # Sent to all processes of a service at once: the parent ends its work, and us with it. A child that went
        # first would look like one that its file has killed.
        signal.signal(asked_to_end, signal.SIG_IGN)
    answers = _reserve_output()
    requests: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    while True:
        answers.write(parse_wire.encode(_answer(requests.get())))
        answers.flush()


class _NoPandas(MetaPathFinder):
    """Arrow looks for pandas with the first value that it is given, and importing it takes a quarter of a second."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        del path, target
        if fullname == "pandas":
            raise ModuleNotFoundError("The parser does without pandas.", name=fullname)


def refuse_pandas() -> None:
    """Where it is installed, which Spark's client needs, this process behaves as where it is not."""
    if not any(isinstance(finder, _NoPandas) for finder in sys.meta_path):
        sys.meta_path.insert(0, _NoPandas())


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", type=int, default=0, help="bytes of private memory; 0: no limit")
    parser.add_argument("--file-size", type=int, default=0, help="largest file; 0: no limit")
    parser.add_argument("--cpu", type=int, default=0, help="seconds of CPU; 0: no limit")
    parser.add_argument("--parent", type=int, default=0, help="die with this process (Linux)")
    return parser.parse_args(arguments)


def _limit(arguments: argparse.Namespace) -> None:
    """The system's limits behind those that the parent watches."""
    _cap(resource.RLIMIT_CORE, 0)
    if arguments.memory and sys.platform == "linux":
        _cap(resource.RLIMIT_DATA, arguments.memory)
    if arguments.file_size:
        _cap(resource.RLIMIT_FSIZE, arguments.file_size)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if arguments.cpu:
        _cap(resource.RLIMIT_CPU, arguments.cpu)
    if arguments.parent and sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != arguments.parent:
            os._exit(1)


def _cap(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _reserve_output() -> BinaryIO:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _listen(requests: queue.Queue[bytes]) -> None:
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)


def _answer(line: bytes) -> parse_wire.Message:
    """The result, or the error: `memory` or `output` (a limit was hit), `disk` (this machine's is full), `invalid`
    (the request cannot be right), `internal`.
    """
    try:
        return {"result": _work(parse_wire.decode(line))}
    except AutoloaderError as exc:
        return {"error": "invalid", "message": exc.message, "hint": exc.hint}
    except MemoryError:
        return {"error": "memory", "message": "Python ran out of memory"}
    except Exception as exc:  # noqa: BLE001 the parent must hear of everything
        text = str(exc)
        if any(words in text for words in _DISK_FULL):
            return {"error": "disk", "message": text.splitlines()[0]}
        if "File too large" in text:
            return {"error": "output", "message": text.splitlines()[0]}
        if type(exc).__name__ in {"OutOfMemoryException", "ArrowMemoryError"}:
            return {"error": "memory", "message": str(exc).splitlines()[0]}
        traceback.print_exc()
        return {"error": "internal", "message": f"{type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else ''}"}


def _work(data: parse_wire.Message) -> parse_wire.Message:
    from app.ingest.engines import parse_job

    request = parse_wire.request_from_json(data)
    if isinstance(request, ParseRequest):
        return parse_wire.result_to_json(parse_job.parse(request))
    return parse_wire.result_to_json(parse_job.infer(request))


if __name__ == "__main__":
    main(sys.argv[1:])
