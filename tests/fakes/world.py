"""One ingestion with its real ledger, a table without files, and workers that die where a test says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from threading import Event
from typing import TYPE_CHECKING, cast
from uuid import UUID, uuid4

from sqlalchemy import Engine, event, select, text

from app.config import Settings
from app.database import Database, Session, make_engine
from app.errors import AutoloaderError, IngestionBlocked, SparkJobFailed, TableChanged, TooManyErrors
from app.ingest import ledger
from app.ingest.ports import SilentProgress
from app.models import Batch, ProcessedFile
from app.repositories import ingestions, leases
from app.repositories.leases import Holder
from app.schemas.ingestion import IngestionShape
from app.services import run_records
from app.services.context import IngestionInfo, RunContext
from app.services.lease_service import HeldLease
from app.services.metrics import RunSummary
from app.services.resolve_service import ResolveService
from app.services.run_service import RunService
from app.values import BATCH_TRANSITIONS, FILE_TRANSITIONS, FoundFile, ListedPage, Trigger
from tests.fakes.engine import FakeEngine, FakeFile, Killed, quiet
from tests.fakes.ledger import add_ingestion, add_run, shape
from tests.fakes.table import FakeClock, FakeTable

if TYPE_CHECKING:
    from app.ingest.engines.sandbox import Sandbox

Script = Callable[[str], None]

OTHER = "/d/other-"  # how files are called that come so that a world can heal

_WATCHED = {"file": "processed_files", "batch": "batches"}
_WATCH = {
    "sqlite": """
        CREATE TRIGGER watch_{kind} AFTER UPDATE OF state ON {table} WHEN OLD.state <> NEW.state
        BEGIN INSERT INTO moves VALUES ('{kind}', OLD.state, NEW.state); END
    """,
    "postgresql": """
        CREATE FUNCTION watch_{kind}() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO moves VALUES ('{kind}', OLD.state, NEW.state); RETURN NEW; END $$;
        CREATE TRIGGER watch_{kind} AFTER UPDATE OF state ON {table} FOR EACH ROW WHEN (OLD.state <> NEW.state)
        EXECUTE FUNCTION watch_{kind}()
    """,
}


@cache
def _engine(url: str) -> Engine:
    """One for all worlds at an address: compiling its statements anew would be most of a world's time."""
    engine = make_engine(url)
    # Nothing here outlives the machine; waiting for the disk would be the rest of it.
    quick = "PRAGMA synchronous = OFF" if engine.dialect.name == "sqlite" else "SET synchronous_commit = off"
    event.listen(engine, "connect", lambda raw, record: raw.execute(quick))
    return engine


class WatchedDatabase(Database):
    """A process's database: `at` is called before a transaction, inside before its commit, and after it."""

    def __init__(self, url: str, at: Script = quiet) -> None:
        self.url, self.at, self.engine = url, at, _engine(url)

    @contextmanager
    def session_scope(self) -> Iterator[Session]:
        self.at("tx")
        with super().session_scope() as session:
            yield session
            self.at("tx-end")
        self.at("tx-done")


class World:
    """What is true: the ledger, the table, the files. `removed` are files whose rows foreign hands took away."""

    def __init__(self, url: str, *, picks: bool = False, config: dict[str, object] | None = None) -> None:
        self.clock = FakeClock()
        self.url, self.picks = url, picks
        self.database = WatchedDatabase(url)
        # A cherry-pick minds only the history that is left: it doubles rows when its sender outlives the retention,
        # which point 11 rules out. A commit that swaps the head does not.
        kept = 1_000_000 if picks else 25
        self.settings = Settings(_env_file=None, batch_max_files=3, snapshot_retention_seconds=kept)
        self.table = FakeTable("local.demo.orders", self.clock)
        self.rejects = FakeTable("local.demo.orders__rejects", self.clock)
        self.source: dict[str, FakeFile] = {}
        self.gone: dict[str, FakeFile] = {}  # was in the source once
        self.removed: set[int] = set()
        chosen = IngestionShape.model_validate(shape().model_dump() | (config or {}))
        self.ingestion_id = add_ingestion(self.database.engine, chosen).id
        self.discovery = add_run(self.database.engine, self.ingestion_id)
        with self.database.session_scope() as session:
            session.execute(text("CREATE TABLE moves (kind TEXT, old TEXT, new TEXT)"))
            for kind, table in _WATCHED.items():
                watch = _WATCH[self.database.kind].format(kind=kind, table=table)
                session.connection().exec_driver_sql(watch)

    # --- what happens from outside

    def deliver(self, path: str, file: FakeFile) -> None:
        """Put a file into the source, and let a listing find it."""
        self.source[path] = file
        self.look_around()

    def look_around(self) -> None:
        """Record every file of the source, as discovery does."""
        found = [FoundFile(path, file.version, 10, self.clock.now()) for path, file in sorted(self.source.items())]
        on_change = self.shape.policies.on_change
        with self.database.session_scope() as session:
            page = ListedPage(files=tuple(found))
            verdicts = ledger.compare(session, self.ingestion_id, page, on_change, ledger.RecordCounts())
            ledger.store(session, self.ingestion_id, self.discovery, verdicts, self.clock.now())

    @property
    def shape(self) -> IngestionShape:
        return self.info().shape

    def info(self) -> IngestionInfo:
        with self.database.session_scope() as session:
            row = ingestions.by_id(session, self.ingestion_id)
            assert row is not None
            return IngestionInfo.of(row)

    # --- a process

    @contextmanager
    def process(self, at: Script = quiet) -> Iterator[RunContext]:
        """A process that takes the lease, whoever has it, and is in the middle of a run."""
        yield self._context(WatchedDatabase(self.url, at), at)

    def _context(self, database: Database, at: Script) -> RunContext:
        run_id = uuid4()
        holder = Holder(uuid4().hex, "host", "boot", 1, "1")
        with database.session_scope() as session:
            leases.create(session, self.ingestion_id)
            seen = leases.read(session, self.ingestion_id)
            assert seen is not None
            epoch = leases.take(session, seen, holder, run_id, 3600, though_alive=True)
            assert epoch is not None
        lease = HeldLease(database, self.ingestion_id, epoch, 3600, Event())
        info = self.info()
        start = run_records.Start(run_id, info, Trigger.MANUAL, None, self.clock.now())
        with lease.transaction() as session:
            run_records.begin(session, start, lease.epoch)
        engine = FakeEngine(self.table, self.rejects, self.source, at, self.picks)
        return RunContext(
            database=database,
            settings=self.settings,
            ingestion=info,
            run_id=run_id,
            lease=lease,
            open_engine=lambda name: engine,
            sandbox=cast("Sandbox", None),
            progress=SilentProgress(),
            clock=self.clock,
        )

    def run(self, at: Script = quiet) -> RunSummary:
        """A whole run, as the orchestrator does it after discovery."""
        with self.process(at) as ctx:
            return self.steps(ctx)

    def steps(self, ctx: RunContext) -> RunSummary:
        steps = RunService(ctx.database, self.settings, self.clock)
        todo = list(steps.plan(ctx).batch_ids)
        while todo:
            report = steps.process(ctx, todo.pop(0))
            todo[:0] = report.next
        return steps.finish(ctx)

    def heal(self) -> None:
        """Run without faults until nothing waits; stops where a person must decide."""
        for _ in range(60):
            self.look_around()
            try:
                summary = self.run()
            except (IngestionBlocked, TableChanged):
                return
            except TooManyErrors:
                continue
            except SparkJobFailed:  # nobody knows that it is the file until another one is loaded
                self.deliver(f"{OTHER}{len(self.files())}", FakeFile())
                continue
            if not summary.metrics["waiting"]:
                return
        raise AssertionError(f"Files wait for ever: {self.files()}")

    def survive(self, at: Script) -> BaseException | None:
        """A run that may fail or die; answers what ended it."""
        try:
            self.run(at)
        except (AutoloaderError, Killed) as error:
            return error
        return None

    # --- the person who decides

    def resolve(self) -> bool:
        """Decide about each UNKNOWN batch by the truth, which only a test can see, and about a table made anew.

        Answers whether there was anything to decide.
        """
        unknown = self.batches("UNKNOWN")
        for batch_id in unknown:
            members = {row["id"] for row in self.files() if row["batch_id"] == batch_id}
            landed = bool(members & set(self.table.content()))
            Person(self).decide("orders", batch_id, landed=landed)
        known = self.info().table_uuid
        if known is not None and known != self.table.uuid:
            Person(self).accept_table("orders")
            return True
        return bool(unknown)

    # --- what is there

    def files(self) -> list[dict[str, object]]:
        with self.database.session_scope() as session:
            rows = session.execute(select(ProcessedFile.__table__).order_by(ProcessedFile.id)).mappings()
            return [dict(row) for row in rows]

    def file(self, path: str) -> dict[str, object]:
        """The newest version of a path."""
        return next(row for row in reversed(self.files()) if row["path"] == path)

    def states(self) -> dict[str, str]:
        return {str(row["path"]): str(row["state"]) for row in self.files()}

    def batches(self, *states: str) -> list[UUID]:
        with self.database.session_scope() as session:
            rows = session.execute(select(Batch.id, Batch.state).order_by(Batch.created_at)).all()
        return [row[0] for row in rows if not states or row[1] in states]

    def batch(self, batch_id: UUID) -> dict[str, object]:
        with self.database.session_scope() as session:
            found = session.execute(select(Batch.__table__).where(Batch.id == batch_id)).mappings()
            return dict(found.one())

    def moves(self) -> set[tuple[str, str, str]]:
        with self.database.session_scope() as session:
            rows = session.execute(text("SELECT DISTINCT kind, old, new FROM moves"))
            return {(str(row[0]), str(row[1]), str(row[2])) for row in rows}

    # --- what must hold

    def check_always(self) -> None:
        """Nothing is there twice, nothing that is loaded is missing, no state was entered on a forbidden way."""
        content, rejects = self.table.content(), self.rejects.content()
        assert max(content.values(), default=0) <= 1, f"rows are there twice: {content}"
        for row in self.files():
            file_id = cast("int", row["id"])
            if row["state"] == "SUCCESS" and file_id not in self.removed and row["reason"] != "by-hand":
                assert content[file_id] == 1, f"{row} is not in the table"
                assert rejects[file_id] == self._rejected(row), f"rejects of {row}: {rejects[file_id]}"
            assert rejects[file_id] <= self._rejected(row), f"rejects of {row}: {rejects[file_id]}"
        for kind, old, new in self.moves():
            allowed = FILE_TRANSITIONS if kind == "file" else BATCH_TRANSITIONS
            assert any(new == one for one in allowed[old]), f"a {kind} went from {old} to {new}"  # type: ignore[index]

    def _rejected(self, row: dict[str, object]) -> int:
        content = self.source.get(str(row["path"])) or self.gone.get(str(row["path"]))
        return content.rejected if content else 0

    def check_healed(self) -> None:
        """What `check_always` says, and: every batch has ended, and ledger and table agree on every file."""
        self.check_always()
        unfinished = self.batches("PLANNED", "CLAIMED", "LANDED")
        assert not unfinished, [self.batch(one) for one in unfinished]
        content = self.table.content()
        for row in self.files():
            if row["id"] in self.removed or row["reason"] == "by-hand":
                continue
            assert row["state"] in {"SUCCESS", "QUARANTINED", "SKIPPED"}, row
            assert content[cast("int", row["id"])] == (1 if row["state"] == "SUCCESS" else 0), row
            assert row["state"] == "SUCCESS" or (row["reason"] and row["error"]), f"{row} does not say why"
            attempts = cast("int", row["attempts"])
            assert attempts <= self.settings.max_attempts, row

    def counts(self) -> Counter[str]:
        return Counter(self.states().values())


class Person(ResolveService):
    """`autoloader ingestions resolve` on a world."""

    def __init__(self, world: World) -> None:
        super().__init__(world.database, world.settings)
        self.world = world

    def _run(self, name: str) -> AbstractContextManager[RunContext]:
        del name
        return self.world.process()

    @contextmanager
    def _looking(self, name: str) -> Iterator[tuple[IngestionInfo, FakeEngine]]:
        del name
        world = self.world
        yield world.info(), FakeEngine(world.table, world.rejects, world.source, quiet, world.picks)
