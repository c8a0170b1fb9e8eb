"""A process that owns the lease of an ingestion: `python -m tests.fakes.owner URL INGESTION LEASE HEARTBEAT`.

It says `held EPOCH`, or `refused SENTENCE`, then obeys one word a line on its standard input and answers each:
`write` (one fenced ledger transaction), `check`, `end` (give the lease up and leave).
"""

from __future__ import annotations

import subprocess
import sys
from uuid import UUID, uuid4

from sqlalchemy import text

from app.config import Settings
from app.database import Database
from app.errors import AutoloaderError, LeaseHeld
from app.ingest.ports import SilentProgress
from app.services import lease_service
from app.services.lease_service import HeldLease


class Owner:
    """The process as a test sees it."""

    def __init__(self, database: Database, ingestion_id: UUID, lease: float, heartbeat: float) -> None:
        command = [sys.executable, "-m", "tests.fakes.owner", database.url, str(ingestion_id)]
        self.process = subprocess.Popen(
            [*command, str(lease), str(heartbeat)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.begun = self.answer()

    @property
    def pid(self) -> int:
        return self.process.pid

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def ask(self, word: str) -> str:
        self.tell(word)
        return self.answer()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def main(url: str, ingestion: str, lease_seconds: float, heartbeat_seconds: float) -> None:
    chosen = {"lease_seconds": lease_seconds, "lease_heartbeat_seconds": heartbeat_seconds}
    settings = Settings(_env_file=None).model_copy(update=chosen)  # a heart that hardly beats is no right setting
    database, ingestion_id = Database(url), UUID(ingestion)
    try:
        with lease_service.hold(database, settings, ingestion_id, uuid4(), SilentProgress()) as lease:
            say(f"held {lease.epoch}")
            for line in sys.stdin:
                if line.strip() == "end":
                    break
                say(obey(lease, line.strip()))
    except LeaseHeld as held:
        say(f"refused {held.message}")
    finally:
        database.close()


def obey(lease: HeldLease, word: str) -> str:
    try:
        if word == "check":
            lease.check()
        else:
            with lease.transaction() as session:
                session.execute(text("UPDATE ingestions SET revision = revision + 1"))
    except AutoloaderError as error:
        return error.code
    return "done"


def say(answer: str) -> None:
    sys.stdout.write(answer + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
