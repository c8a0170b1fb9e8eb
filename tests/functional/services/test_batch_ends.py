"""Files that fail the job of a cluster, which names none: they end alone, and only where others load."""

from __future__ import annotations

import pytest

from app.errors import SparkJobFailed, SparkUnavailable
from app.services.batch_ledger import BatchLedger
from tests.fakes.engine import FakeFile
from tests.fakes.world import World

ALL_OF_THEM = {f"/d/{number}": "SUCCESS" for number in range(8)}
FULL = SparkJobFailed("Spark could not do it: no space left.")
AWAY = SparkUnavailable("Spark Connect service not reachable.")


@pytest.fixture
def world(new_world) -> World:
    """Eight files, to be loaded by a cluster in one batch."""
    made: World = new_world(config={"engine": "lakehouse"})
    made.settings = made.settings.model_copy(update={"batch_max_files": 8})
    for number in range(8):
        made.deliver(f"/d/{number}", FakeFile())
    return made


def writes(error: Exception | None = None):
    """A script that counts the jobs, and what each fails with, if that is given."""
    jobs: list[str] = []

    def script(point: str) -> None:
        if point == "write":
            jobs.append(point)
            if error is not None:
                raise error

    return script, jobs


def test_a_file_that_fails_its_job_ends_alone_and_its_neighbours_load(world):
    world.source["/d/5"].fails_job = True
    summary = world.run()

    assert world.states() == ALL_OF_THEM | {"/d/5": "FAILED"}
    bad = world.file("/d/5")
    assert bad["reason"] == "job-failed"
    for said in ("/d/5", "while the cluster gets through other work", "out of range"):
        assert said in str(bad["error"])
    assert {row["attempts"] for row in world.files()} == {1}, "a neighbour's fault uses up nobody's attempts"
    assert summary.metrics["files"] == {"loaded": 7, "failed": 1, "quarantined": 0, "skipped": 0}
    assert not any(s.summary.get("autoloader.outcome") for s in world.table.history()), "nothing was sent: no spending"


def test_it_is_tried_in_later_runs_and_given_up_after_its_last_attempt(world):
    world.source["/d/5"].fails_job = True
    world.run()
    for run in range(2):
        assert world.file("/d/5")["state"] == "FAILED"
        world.deliver(f"/d/{run + 8}", FakeFile())
        world.run()
    assert world.counts() == {"SUCCESS": 9, "QUARANTINED": 1}
    assert "3 attempts" in str(world.file("/d/5")["error"])
    world.check_healed()


def test_where_nothing_else_comes_a_trial_stands_for_it_before_each_attempt_counts(world):
    """That it was to blame before says nothing of the cluster now."""
    world.source["/d/5"].fails_job = True
    world.run()
    for attempts in (2, 3):
        with pytest.raises(SparkJobFailed, match=r"A trial that was written in its place went through, .*/d/5"):
            world.run()
        assert world.file("/d/5")["state"] == "PROCESSING"
        world.run()
        assert world.file("/d/5")["attempts"] == attempts
    assert world.states() == ALL_OF_THEM | {"/d/5": "QUARANTINED"}
    world.check_healed()


def test_the_last_file_of_a_run_waits_for_what_the_cluster_loads_after_it(world):
    """What it had loaded before speaks against nobody: it may have run full since."""
    world.source["/d/7"].fails_job = True
    with pytest.raises(SparkJobFailed, match="it may be /d/7"):
        world.run()
    assert world.states() == ALL_OF_THEM | {"/d/7": "PROCESSING"}
    world.deliver("/d/8", FakeFile())
    world.run()
    assert world.states() == ALL_OF_THEM | {"/d/7": "FAILED", "/d/8": "SUCCESS"}


def test_a_file_that_stands_alone_first_waits_until_another_loads(world):
    """Nobody knows then whether it is the file or the cluster."""
    world.source["/d/0"].fails_job = True
    world.run()
    assert world.states() == ALL_OF_THEM | {"/d/0": "FAILED"}
    world.source["/d/0"].fails_job = False
    world.run()
    assert world.states() == ALL_OF_THEM
    world.check_healed()


def test_without_a_neighbour_that_loads_and_a_trial_nobody_is_to_blame(new_world):
    world = new_world(config={"engine": "lakehouse"})
    world.deliver("/d/bad", FakeFile(fails_job=True))
    for _ in range(5):
        with pytest.raises(SparkJobFailed, match="Nothing else was loaded since, so it may be the cluster, or /d/bad"):
            world.run(writes(FULL)[0])
        assert world.states() == {"/d/bad": "PROCESSING"}
    world.deliver("/d/good", FakeFile())
    world.run()
    assert world.states() == {"/d/bad": "FAILED", "/d/good": "SUCCESS"}
    assert world.file("/d/bad")["attempts"] == 1
    world.check_always()


def test_a_good_file_that_failed_on_a_full_cluster_loads_after_the_trial_that_went_through(new_world):
    world = new_world(config={"engine": "lakehouse"})
    world.deliver("/d/0", FakeFile())
    jobs: list[str] = []

    def is_cleared(point: str) -> None:
        if point == "write" and not jobs:
            jobs.append(point)
            raise FULL

    with pytest.raises(SparkJobFailed, match="A trial that was written in its place went through"):
        world.run(is_cleared)
    world.run()
    assert world.states() == {"/d/0": "SUCCESS"}
    assert world.file("/d/0")["attempts"] == 1
    world.check_healed()


def test_a_file_alone_that_takes_the_cluster_down_is_given_up_after_trials(new_world):
    world = new_world(config={"engine": "lakehouse"})
    world.deliver("/d/bad", FakeFile(takes_down=True))
    for _ in range(40):
        error = world.survive(lambda point: None)
        assert error is None or isinstance(error, SparkUnavailable), error
        if world.states() == {"/d/bad": "QUARANTINED"}:
            break
    assert world.states() == {"/d/bad": "QUARANTINED"}
    world.check_always()


def test_a_cluster_that_can_do_nothing_costs_few_jobs_and_no_file_its_attempts(world):
    script, jobs = writes(FULL)
    with pytest.raises(SparkJobFailed, match=r"no space left.*it may be the cluster, or /d/0 and 2 more"):
        world.run(script)
    assert len(jobs) <= 3 + 3 + 3 + 1, "three halvings, a few that stand alone, and a trial"
    assert world.counts() == {"DISCOVERED": 5, "PROCESSING": 3}
    again, jobs = writes(FULL)
    with pytest.raises(SparkJobFailed):
        world.run(again)
    assert len(jobs) <= 6 + 1, "and a trial"
    world.run()
    assert world.states() == ALL_OF_THEM
    assert {row["attempts"] for row in world.files()} == {1}
    world.check_healed()


def test_files_that_were_not_tried_yet_come_before_those_that_failed_alone(world):
    """Else three bad files at the front would hide all that is behind them, in each run."""
    for number in range(4):
        world.source[f"/d/{number}"].fails_job = True
    for which in ("/d/0 and 2 more", "/d/3"):
        with pytest.raises(SparkJobFailed, match=f"it may be {which}"):
            world.run()
    assert world.states() == ALL_OF_THEM | {f"/d/{number}": "FAILED" for number in range(3)} | {"/d/3": "PROCESSING"}


def one_each(new_world, count: int) -> World:
    """Files that make a batch each."""
    made: World = new_world(config={"engine": "lakehouse"})
    made.settings = made.settings.model_copy(update={"batch_max_files": 1})
    for number in range(count):
        made.deliver(f"/d/{number:02}", FakeFile())
    return made


def test_a_cluster_that_runs_full_in_the_midst_of_a_run_costs_no_file_an_attempt(new_world):
    world, jobs = one_each(new_world, 30), []

    def runs_full(point: str) -> None:
        if point == "write":
            jobs.append(point)
            if len(jobs) > 1:
                raise FULL

    with pytest.raises(SparkJobFailed, match=r"no space left.*it may be the cluster"):
        world.run(runs_full)
    assert len(jobs) < 15, "what loaded before says less with each job that fails after it"
    assert world.counts() == {"SUCCESS": 1, "PROCESSING": 5, "DISCOVERED": 24}
    world.run()
    assert world.counts() == {"SUCCESS": 30}
    assert {row["attempts"] for row in world.files()} == {1}
    world.check_healed()


def test_a_cluster_that_is_full_over_many_runs_costs_no_file_an_attempt(new_world):
    world = one_each(new_world, 20)
    for _ in range(6):
        assert isinstance(world.survive(writes(FULL)[0]), SparkJobFailed)
    world.run()
    assert world.counts() == {"SUCCESS": 20}
    assert {row["attempts"] for row in world.files()} == {1}
    world.check_healed()


def test_a_cluster_that_loads_one_file_in_each_run_and_then_runs_full_has_nobody_given_up(new_world):
    """Each run begins with what was not tried yet, and proves nothing of the files that fail behind it."""
    world = one_each(new_world, 20)
    for _ in range(6):
        jobs: list[str] = []

        def runs_full(point: str, jobs: list[str] = jobs) -> None:
            if point == "write":
                jobs.append(point)
                if len(jobs) > 1:
                    raise FULL

        assert isinstance(world.survive(runs_full), SparkJobFailed)
    world.run()
    assert world.counts() == {"SUCCESS": 20}
    world.check_healed()


def test_what_a_cluster_loads_is_no_proof_against_a_file_that_another_one_is_to_load_now(new_world):
    world = one_each(new_world, 2)
    assert isinstance(world.survive(writes(FULL)[0]), SparkJobFailed)
    with world.process() as ctx:
        ledger, state = BatchLedger(ctx), world.table.look().state
        ledger.others_loaded("lakehouse")
        same, moved = [ledger.load(batch_id)[0] for batch_id in world.batches("CLAIMED")]
        assert not ledger.is_to_blame(same), "not before it fails again"
        ledger.claim(same, state, "lakehouse", None)
        ledger.claim(moved, state, "another", None)
        assert ledger.is_to_blame(same)
        assert not ledger.is_to_blame(moved)


def test_a_trial_of_a_small_file_is_no_proof_against_a_larger_one(new_world):
    world = one_each(new_world, 2)
    assert isinstance(world.survive(writes(FULL)[0]), SparkJobFailed)
    with world.process() as ctx:
        ledger = BatchLedger(ctx)
        first, second = [ledger.load(batch_id)[0] for batch_id in world.batches("CLAIMED")]
        assert first.byte_count == second.byte_count > 0
        for size, proven in ((first.byte_count - 1, False), (first.byte_count, True)):
            ledger.others_loaded("lakehouse", size)
            ledger.claim(first, world.table.look().state, "lakehouse", None)
            assert ledger.is_to_blame(first) is proven


def test_files_that_failed_on_a_full_cluster_load_as_soon_as_it_can_in_the_same_run(new_world):
    world, jobs = one_each(new_world, 4), []

    def is_cleared(point: str) -> None:
        if point == "write":
            jobs.append(point)
            if len(jobs) < 3:
                raise FULL

    world.run(is_cleared)
    assert world.counts() == {"SUCCESS": 4}
    assert {row["attempts"] for row in world.files()} == {1}
    world.check_healed()


def test_a_file_that_failed_for_another_reason_is_not_to_blame_for_a_cluster_that_can_do_nothing(new_world):
    world = one_each(new_world, 2)
    for file in world.source.values():
        file.failing = 1
    world.run()
    assert world.counts() == {"FAILED": 2}
    for _ in range(5):
        assert isinstance(world.survive(writes(FULL)[0]), SparkJobFailed)
    world.run()
    assert world.counts() == {"SUCCESS": 2}
    world.check_healed()


def test_a_batch_that_takes_the_cluster_down_again_and_again_is_halved(world):
    world.source["/d/5"].takes_down = True
    for run in range(40):
        error = world.survive(lambda point: None)
        assert error is None or isinstance(error, SparkUnavailable), error
        if world.file("/d/5")["state"] == "QUARANTINED":
            break
        world.deliver(f"/d/later-{run}", FakeFile())  # one must load for the other to be known as the one
    bad = world.file("/d/5")
    assert (bad["state"], bad["reason"]) == ("QUARANTINED", "job-failed")
    assert "without an answer" in str(bad["error"])
    assert world.counts()["SUCCESS"] >= 7
    world.run()
    world.check_healed()


def test_a_file_alone_that_meets_one_outage_after_the_other_loads_in_the_end(new_world):
    world = new_world(config={"engine": "lakehouse"})
    world.deliver("/d/0", FakeFile())
    for _ in range(12):
        script, _ = writes(AWAY)
        assert isinstance(world.survive(script), SparkUnavailable)
    world.run()
    assert world.states() == {"/d/0": "SUCCESS"}
    world.check_healed()
