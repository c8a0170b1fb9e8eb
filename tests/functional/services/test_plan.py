"""What a run plans and what its record tells, with the ledger alone."""

from __future__ import annotations

from sqlalchemy import text

from app.services import metrics
from app.services.plan_service import PlanService
from app.services.run_service import RunService
from tests.fakes.engine import FakeFile
from tests.fakes.world import World


def fill(world: World, count: int) -> None:
    for number in range(count):
        world.source[f"/d/{number}"] = FakeFile()
    world.look_around()


class Slow(PlanService):
    """Between reading what waits and storing batches of it, some of it is left out."""

    leaves_out: tuple[str, ...] = ()

    def _waiting(self, ctx):
        read = list(super()._waiting(ctx))
        with self.database.session_scope() as session:
            for path in self.leaves_out:
                session.execute(text("UPDATE processed_files SET state = 'SKIPPED' WHERE path = :path"), {"path": path})
        yield from read


def test_a_plan_counts_the_files_that_are_really_in_its_batches_and_stores_no_empty_one(new_world):
    world = new_world()
    fill(world, 4)  # three in the first batch
    with world.process() as ctx:
        steps = Slow(ctx.database, world.settings, world.clock)
        steps.leaves_out = ("/d/1", "/d/3")
        plan = steps.plan(ctx)
    [batch_id] = plan.batch_ids
    batch = world.batch(batch_id)
    assert (plan.file_count, plan.byte_count) == (batch["file_count"], batch["byte_count"]) == (2, 20)
    assert world.batches() == [batch_id]


def test_the_batches_of_an_earlier_run_come_first_and_count(new_world):
    world = new_world()
    fill(world, 3)
    with world.process() as ctx:
        first = RunService(ctx.database, world.settings, world.clock).plan(ctx)
    fill(world, 5)
    with world.process() as ctx:
        second = RunService(ctx.database, world.settings, world.clock).plan(ctx)
    assert second.batch_ids[0] == first.batch_ids[0]
    assert (len(second.batch_ids), second.file_count, second.byte_count) == (2, 5, 50)


def test_a_runs_record_keeps_the_newest_snapshots_and_counts_all(new_world, monkeypatch):
    monkeypatch.setattr(metrics, "_SHOWN_SNAPSHOTS", 2)
    world = new_world()
    fill(world, 12)
    summary = world.run()
    published = [snapshot.snapshot_id for snapshot in world.table.history()]
    assert (summary.metrics["batches"], summary.metrics["rows"]) == (4, 36)
    assert summary.metrics["snapshots"] == [published[1], published[0]]
