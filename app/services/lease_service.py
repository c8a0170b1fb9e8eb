"""The lease: taken, kept alive by a thread of its own, given up (protocol, points 1 and 2)."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from app import failpoints
from app.config import Settings
from app.database import Database, Session
from app.errors import DatabaseUnavailable, LeaseHeld, LeaseLost
from app.ingest.ports import Progress
from app.log import get_logger
from app.repositories import leases
from app.repositories.leases import Holder, LeaseRow

_STAT_START = 19  # of /proc/PID/stat, counted after the command's closing parenthesis
_ENDED = "ended"

log = get_logger(__name__)


@dataclass(slots=True)
class HeldLease:
    """The right to run one ingestion, as long as `transaction()` does not raise LeaseLost."""

    database: Database
    ingestion_id: UUID
    epoch: int
    seconds: float
    lost: threading.Event

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One ledger transaction, fenced: it begins by renewing the lease (protocol, point 2)."""
        with self.database.session_scope() as session:
            leases.hold(session, self.ingestion_id, self.epoch, self.seconds)
            yield session

    def check(self) -> None:
        """Raise LeaseLost when the heartbeat found another owner."""
        if self.lost.is_set():
            message = f"The lease of ingestion {self.ingestion_id} was taken over by another run; this one stops."
            raise LeaseLost(message, hint="Nothing is lost: the new owner goes on with the same batches.")


@contextmanager
def hold(
    database: Database,
    settings: Settings,
    ingestion_id: UUID,
    run_id: UUID,
    progress: Progress,
    *,
    wait: bool = True,
) -> Iterator[HeldLease]:
    """Own the ingestion for the length of the block.

    Raises LeaseHeld when another run is alive. An owner that died on this host is replaced at once; one
    on another host is waited for until its lease runs out or is renewed, with a countdown as notes, or, without
    `wait`, taken to be alive.
    """
    epoch = _take(database, settings, ingestion_id, run_id, progress, wait=wait)
    lease = HeldLease(database, ingestion_id, epoch, settings.lease_seconds, threading.Event())
    stop = threading.Event()
    beat = threading.Thread(
        target=_keep_alive, args=(lease, settings.lease_heartbeat_seconds, stop), name="lease-heartbeat", daemon=True
    )
    beat.start()
    try:
        yield lease
    finally:
        stop.set()
        beat.join()
        with suppress(DatabaseUnavailable), database.session_scope() as session:  # it runs out by itself then
            leases.give_up(session, ingestion_id, epoch)


def is_alive(session: Session, ingestion_id: UUID, run_id: UUID) -> bool:
    """Whether somebody runs this run, as far as can be told: its lease has not run out, and its process is not gone."""
    return is_alive_by(leases.read(session, ingestion_id), run_id)


def is_alive_by(seen: LeaseRow | None, run_id: UUID) -> bool:
    """The same by a lease that was read."""
    if seen is None or seen.holder is None or seen.run_id != run_id or seen.seconds_left <= 0:
        return False
    return not _dead_here(seen.holder, _this_process())


def left_here(seen: LeaseRow) -> bool:
    """Whether the owner ran on this boot of this machine and is surely gone."""
    return seen.holder is not None and _dead_here(seen.holder, _this_process())


def _take(
    database: Database, settings: Settings, ingestion_id: UUID, run_id: UUID, progress: Progress, *, wait: bool
) -> int:
    me = _this_process()
    waited_for: LeaseRow | None = None
    while True:
        with database.session_scope() as session:
            leases.create(session, ingestion_id)
            seen = leases.read(session, ingestion_id)
            if seen is None:  # deleted between the two statements: not possible in one transaction
                raise DatabaseUnavailable("The lease row vanished.", hint="Try again.")
            dead = seen.holder is not None and _dead_here(seen.holder, me)
            if seen.holder is None or seen.seconds_left <= 0 or dead:
                epoch = leases.take(session, seen, me, run_id, settings.lease_seconds, though_alive=dead)
                if epoch is not None:
                    return epoch
                continue
        if not wait or _alive(seen, me, waited_for):
            raise _held(seen)
        progress.note(f"Another machine's run may still be alive; its lease runs out in {seen.seconds_left:.0f} s.")
        waited_for = waited_for or seen
        time.sleep(min(1.0, max(0.05, seen.seconds_left)))


def _alive(seen: LeaseRow, me: Holder, before: LeaseRow | None) -> bool:
    """Whether the owner surely lives: its process is seen here, or it renewed its lease while we waited."""
    if seen.holder is not None and seen.holder.boot_id == me.boot_id and me.boot_id:
        return True  # `_dead_here` said no
    if before is None:
        return False
    return seen.epoch != before.epoch or seen.expires_at != before.expires_at


def _held(seen: LeaseRow) -> LeaseHeld:
    who = f"process {seen.holder.pid} on {seen.holder.host}" if seen.holder else "another process"
    return LeaseHeld(
        f"Run {seen.run_id} of this ingestion is active: {who}, for {seen.age:.0f} s.",
        hint=f"Wait for it, or stop it; see it with: autoloader runs show {seen.run_id}",
        seconds_left=seen.seconds_left,
    )


def _keep_alive(lease: HeldLease, pause: float, stop: threading.Event) -> None:
    """Renew the lease until `stop`, whatever goes wrong meanwhile: only who knows that it is lost may stop renewing."""
    while not stop.wait(pause):
        try:
            failpoints.hit("heartbeat")
            with lease.transaction():
                pass
        except LeaseLost:
            lease.lost.set()
            return
        except DatabaseUnavailable:
            continue  # the next ledger transaction of the run will say so
        except Exception as error:  # noqa: BLE001 - a thread that ends would let the lease of a run that lives run out
            log.warning("the lease was not renewed; the next heartbeat tries again", error=repr(error))


# --- who lives -------------------------------------------------------------------------------


def _this_process() -> Holder:
    pid = os.getpid()
    return Holder(
        owner=uuid4().hex, host=socket.gethostname(), boot_id=_boot_id(), pid=pid, process_start=_started(pid) or ""
    )


def _boot_id() -> str:
    """This boot of this machine and this process namespace; empty where it cannot be known.

    Containers on one host share the boot id but do not see each other's processes.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink().name}"[:64]
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When process `pid` started, in the kernel's ticks; `_ENDED` for a zombie, None where it cannot be read.

    That may be because there is none, or because it is another user's and the machine hides those.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return _ENDED if fields[0] in {"Z", "X"} else fields[_STAT_START]


def _exists(pid: int) -> bool:
    """Whether there is such a process, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _dead_here(
    holder: Holder,
    me: Holder,
    started: Callable[[int], str | None] = _started,
    exists: Callable[[int], bool] = _exists,
) -> bool:
    """Whether the owner ran on this very boot and is surely gone: no such process, or one that began later."""
    if not me.boot_id or holder.boot_id != me.boot_id:
        return False
    if not exists(holder.pid):
        return True
    begun = started(holder.pid)
    if begun is None or not holder.process_start:
        return begun == _ENDED
    return begun != holder.process_start
