"""Others change the table while a batch is in flight: right rows, or UNKNOWN with the evidence; never a guess."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.types import LongType, StringType

from tests.behaviour.world import World, assert_all_there_once
from tests.behaviour.zygote import Forked, Ran

pytestmark = pytest.mark.kill


class Gate:
    """A point at which a run waits while the test does something."""

    def __init__(self, folder: Path, point: str) -> None:
        self.path = folder / f"gate-{point}"
        self.failpoint = f"{point}=wait:{self.path}"

    def wait(self, process: Forked) -> None:
        reached = self.path.with_name(f"{self.path.name}.reached")
        deadline = time.monotonic() + 180
        while not reached.exists():
            assert not process.ended, process.result().err
            assert time.monotonic() < deadline, "the run never reached the gate"
            time.sleep(0.02)

    def open(self, process: Forked) -> Ran:
        self.path.touch()
        return process.result()


def loaded_once(world: World) -> int:
    """A world with one landed batch; answers its snapshot."""
    world.deliver("first.jsonl", 20)
    ended = world.run()
    assert ended.code == 0, ended.err
    return int(ended.answer["metrics"]["snapshots"][-1])


def append_foreign(world: World, count: int) -> None:
    with world.opened() as table:
        table.append(foreign_rows(count))


def foreign_rows(count: int) -> pa.Table:
    return pa.table(
        {
            "file": pa.array(["foreign"] * count),
            "row": pa.array(range(count), pa.int64()),
            "crc": pa.array([0] * count, pa.int64()),
            "_file_id": pa.array([-1] * count, pa.int64()),
        }
    )


def interrupted(world: World, tmp_path: Path, point: str) -> tuple[Forked, Gate]:
    gate = Gate(tmp_path, point)
    process = world.start(gate.failpoint)
    gate.wait(process)
    return process, gate


def test_an_append_between_look_and_commit_disturbs_nobody(folder: World, tmp_path: Path) -> None:
    loaded_once(folder)
    folder.deliver("second.jsonl", 20)
    process, gate = interrupted(folder, tmp_path, "before-commit")
    append_foreign(folder, 5)
    ended = gate.open(process)
    assert ended.code == 0, ended.err
    rows = folder.rows()
    assert sum(count for key, count in rows.items() if key[0] == "foreign") == 5
    assert {k: v for k, v in rows.items() if k[0] != "foreign"} == dict(folder.expected())


def test_a_second_writer_that_appends_all_the_time_does_not_stop_us(folder: World, tmp_path: Path) -> None:
    loaded_once(folder)
    for number in range(6):
        folder.deliver(f"more-{number}.jsonl", 20)
    process = folder.start()
    appended = 0
    while not process.ended:
        try:
            append_foreign(folder, 1)
            appended += 1
        except Exception as error:  # noqa: BLE001 - the foreign writer may lose: that is its own affair
            assert "CommitFailed" in type(error).__name__ or "locked" in str(error)  # noqa: PT017
    ended = process.result()
    assert ended.code == 0, ended.err
    rows = folder.rows()
    foreign = sum(count for key, count in rows.items() if key[0] == "foreign")
    assert foreign >= appended > 0
    assert {k: v for k, v in rows.items() if k[0] != "foreign"} == dict(folder.expected())


def test_a_column_added_between_write_and_publish_takes_no_value_of_ours(folder: World, tmp_path: Path) -> None:
    loaded_once(folder)
    folder.deliver("second.jsonl", 20)
    process, gate = interrupted(folder, tmp_path, "written")
    with folder.opened() as table, table.update_schema() as update:
        update.add_column("theirs", StringType())
    ended = gate.open(process)
    assert ended.code == 0, ended.err
    assert_all_there_once(folder)
    assert {row["theirs"] for row in folder.scan()} == {None}


def test_a_column_widened_between_write_and_publish_has_the_batch_written_again(folder: World, tmp_path: Path) -> None:
    folder.deliver("first.jsonl", 20)
    folder.more_options = ("--schema", "file string, row int, crc bigint")
    assert folder.run().code == 0
    folder.deliver("second.jsonl", 20)
    process, gate = interrupted(folder, tmp_path, "written")
    with folder.opened() as table, table.update_schema() as update:
        update.update_column("row", LongType())
    ended = gate.open(process)
    assert ended.code == 0, ended.err
    assert_all_there_once(folder)


def test_a_table_rolled_back_behind_a_claim_blocks_the_ingestion_until_a_person_decides(
    folder: World, tmp_path: Path
) -> None:
    first = loaded_once(folder)
    folder.deliver("second.jsonl", 20)
    assert folder.run().code == 0
    folder.deliver("third.jsonl", 20)
    assert folder.run("before-commit=kill").code == -9
    with folder.opened() as table:
        table.manage_snapshots().rollback_to_snapshot(first).commit()

    blocked = folder.run()
    assert blocked.code == 5, (blocked.out, blocked.err)
    assert "rolled back" in blocked.out
    assert folder.run().code == 5  # and it stays so
    assert folder.rows() == folder.expected(["first.jsonl"])

    batch = unknown_batch(folder)
    assert folder.cli("ingestions", "resolve", name(folder), "--not-landed", batch).code == 0
    assert folder.run().code == 0
    assert folder.rows() == folder.expected(["first.jsonl", "third.jsonl"])


def test_an_expired_base_blocks_the_ingestion(folder: World, tmp_path: Path) -> None:
    base = loaded_once(folder)
    folder.deliver("second.jsonl", 20)
    assert folder.run("before-commit=kill").code == -9
    append_foreign(folder, 1)
    with folder.opened() as table:
        table.maintenance.expire_snapshots().by_id(base).commit()
    blocked = folder.run()
    assert blocked.code == 5, (blocked.out, blocked.err)
    assert "expired" in blocked.out

    shown = folder.cli("ingestions", "resolve", name(folder))
    assert unknown_batch(folder) in shown.out
    assert folder.cli("ingestions", "resolve", name(folder), "--landed", unknown_batch(folder)).code == 0
    assert folder.run().code == 0
    assert {row["path"].rpartition("/")[2]: row["state"] for row in folder.ledger()} == {
        "first.jsonl": "SUCCESS",
        "second.jsonl": "SUCCESS",
    }


def test_a_table_dropped_and_made_again_in_flight_gets_no_row_of_the_old_batch(folder: World, tmp_path: Path) -> None:
    loaded_once(folder)
    folder.deliver("second.jsonl", 20)
    process, gate = interrupted(folder, tmp_path, "before-commit")
    with folder.opened() as old, folder.catalog() as catalog:
        catalog.drop_table(folder.identifier)
        catalog.create_table(folder.identifier, old.schema())
    ended = gate.open(process)
    assert ended.code == 5, (ended.out, ended.err)
    assert "dropped and made again" in ended.out
    assert folder.rows() == {}


def test_a_table_dropped_between_runs_is_not_silently_made_anew(folder: World) -> None:
    loaded_once(folder)
    with folder.catalog() as catalog:
        catalog.drop_table(folder.identifier)
    folder.deliver("second.jsonl", 20)
    refused = folder.run()
    assert refused.code == 1
    assert "was dropped after files had been loaded into it" in refused.out
    assert folder.cli("ingestions", "resolve", name(folder), "--accept-table").code == 0
    assert folder.run().code == 0
    assert folder.rows() == folder.expected(["second.jsonl"])


def name(world: World) -> str:
    listed = world.cli("ingestions", "list")
    return str(listed.answer["ingestions"][0]["name"])


def unknown_batch(world: World) -> str:
    shown = world.cli("ingestions", "resolve", name(world))
    return str(shown.answer["batches"][0]["batch_id"])
