"""Named points at which a test can stop this process.

Armed by `AUTOLOADER_FAILPOINTS=name=action[;name=action…]`, in tests only. Actions:

    kill            SIGKILL this process
    kill@N          the same, at the N-th time the point is reached
    error           raise RuntimeError
    stop            SIGSTOP this process (a test sends SIGCONT)
    poison:TEXT     only for `parsing`: the parser dies on a batch with a file whose path holds TEXT
    wait:PATH       create PATH.reached, then wait until PATH exists

The list of names is `NAMES`; `hit()` refuses a name that is not in it, so that no test can arm a
point that does not exist.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

NAMES: dict[str, str] = {
    "heartbeat": "the lease is about to be renewed, in a thread of its own; armed with `error`, it never is",
    "listed": "a page was listed, nothing of it recorded",
    "recorded": "a page is in the ledger",
    "planned": "batches are stored, none is claimed",
    "claimed": "a batch is claimed, nothing is written",
    "parsing": "the parser has a batch; armed with `poison`, it is killed when the named file is in it",
    "half-written": "some data of a batch is written",
    "written": "all data files of a batch are written",
    "schema-changed": "the table has the new columns, no data",
    "before-commit": "everything is ready, the commit is not sent",
    "commit-landed": "the commit landed, its answer is not yet known to us",
    "before-settle": "the commit is known to have landed, the ledger does not know",
    "mid-settle": "inside the settling transaction",
    "settled": "the batch is settled, the run is not finished",
    "healing": "an unfinished batch of an earlier run was found",
    "spending": "the spending snapshot is about to be committed",
    "spent": "the batch's id is spent, its children are not stored",
    "before-rejects": "the data landed, its rejects are not published",
    "rejects-landed": "the rejects landed, the batch is not settled",
    "migrating": "what Prefect is to have of an ingestion is stored, Prefect knows nothing of it",
    "migrated": "Prefect has followed an ingestion of a migration, or of its rollback",
    "queue-stored": "the messages of a queue are stored wishes, and still in the queue",
}

_armed: dict[str, tuple[str, int]] = {}
_seen: dict[str, int] = {}


def arm(spec: str) -> None:
    """Arm the points of `spec`; an empty text disarms all. Raises ValueError for an unknown name."""
    _armed.clear()
    _seen.clear()
    for part in filter(None, spec.split(";")):
        name, _, action = part.partition("=")
        if name not in NAMES:
            message = f"There is no failpoint {name!r}. Known: {', '.join(NAMES)}."
            raise ValueError(message)
        kind, _, count = action.partition("@")
        _armed[name] = (kind, int(count or 1))


def hit(name: str) -> None:
    """Do what `name` is armed for; nothing when it is not."""
    if name not in NAMES:
        message = f"There is no failpoint {name!r}."
        raise ValueError(message)
    if name not in _armed:
        return
    _seen[name] = _seen.get(name, 0) + 1
    action, nth = _armed[name]
    if _seen[name] < nth:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        del _armed[name]
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "error":
        message = f"failpoint {name}"
        raise RuntimeError(message)
    elif action.startswith("wait:"):
        del _armed[name]
        _wait_for(Path(action.removeprefix("wait:")))


def poisoned(paths: Iterable[str]) -> bool:
    """Whether `parsing` is armed with a text that one of the paths holds."""
    action, _ = _armed.get("parsing", ("", 0))
    text = action.removeprefix("poison:")
    return action.startswith("poison:") and any(text in path for path in paths)


def _wait_for(gate: Path) -> None:
    gate.with_name(f"{gate.name}.reached").touch()
    while not gate.exists():
        time.sleep(0.02)
