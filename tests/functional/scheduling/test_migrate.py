"""Existing ingestions become deployments, and the way back: many of them, some broken, and a real Prefect server."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import insert

from app.errors import Conflict
from app.models import Ingestion
from app.repositories import ingestions, prefect_sync
from app.services.batch_orchestrator import BatchOrchestrator
from app.services.follower import Follower
from app.services.migrate_service import MigrateService
from app.services.steering_service import SteeringService
from app.values import SyncState, Trigger
from tests.functional.prefect.place import ask_prefect
from tests.functional.scheduling.product import IN_SYNC, Product, wanted

NOW = datetime(2026, 11, 26, tzinfo=UTC)
BROKEN = {
    "a-schedule-of-another-planet": {"schedule": {"cron": "0 6 * * *", "timezone": "Mars/Olympus"}},
    "no-cron": {"schedule": {"cron": "61 25 * * *"}},
    "no-rule": {"schedule": {"rrule": "FREQ=NEVER"}},
    "a-field-of-another-version": {"sorce": {"url": "/x"}},
}
ODD = ("Ünï çødé 🧊", "with/slash and spaces", "tab\there", "x" * 200, "-starts-with-a-dash", "100%")
COUNT = int(os.environ.get("MIGRATED", "120"))  # `make soak`: 500; Prefect on SQLite can do nothing else meanwhile


def bulk(product, names, **fields):
    """Rows as an older version left them: nothing of Prefect is known. Answers their ids."""
    rows = []
    for name in names:
        config = wanted("/data/x", name="x").model_dump(mode="json", exclude={"paused"})
        rows.append(
            {
                "id": uuid4(),
                "tenant_id": "default",
                "name": name,
                "source_url": f"/data/{name}",
                "table_name": f"local.demo.t{len(rows)}",
                "config": {**config, "name": name},
                "paused": False,
                "rerun_wanted": False,
                "prefect_sync": "pending",
                "revision": 1,
                "created_at": NOW,
                "updated_at": NOW,
                **fields,
            }
        )
    with product.database.session_scope() as session:
        session.execute(insert(Ingestion), rows)
    return {row["name"]: row["id"] for row in rows}


def change_config(product, name, change):
    with product.database.session_scope() as session:
        row = ingestions.by_name(session, "default", name)
        row.config = {**row.config, **change}


class Migration:
    """The service on a product, and what each of its calls says."""

    def __init__(self, product):
        self.product = product
        self.service = MigrateService(product.database, product.settings, product.prefect)

    def plan(self, *only):
        return by_name(self.service.plan(only))

    def run(self, *only):
        return by_name(self.service.migrate(self.service.plan(only)))

    def roll_back(self, *only):
        return by_name(self.service.roll_back(self.service.plan_rollback(only)))


def by_name(steps):
    return {step.name: (step.action.value, step.why) for step in steps}


def actions(told):
    return Counter(action for action, _ in told.values())


@pytest.fixture
def migration(product):
    return Migration(product)


def in_prefect(product):
    """Everything that a migration could write there, but for what the server itself keeps up to date."""
    mine = {"work_pools": {"name": {"any_": [product.settings.prefect_work_pool]}}}
    volatile = {"updated", "last_polled", "status"}
    found = {
        "flows": ask_prefect("/flows/filter", flows={"name": {"any_": ["run-ingestion"]}}),
        "pools": ask_prefect("/work_pools/filter", **mine),
        "deployments": [one for page in product.prefect.deployments() for one in page],
    }
    return json.dumps(
        {
            kind: [
                {k: v for k, v in one.items() if k not in volatile} if isinstance(one, dict) else one for one in all_
            ]
            for kind, all_ in found.items()
        },
        default=str,
    )


def in_database(product):
    """Every row of every table."""
    with closing(sqlite3.connect(product.database.engine.url.database)) as read:
        return "\n".join(read.iterdump())


def many(product):
    """COUNT ingestions of all kinds; answers their ids by name, and what is to become of each kind."""
    plain = COUNT - len(BROKEN) - len(ODD) - 4
    ids = bulk(product, [f"orders-{number:03}" for number in range(plain)])
    ids |= bulk(product, BROKEN) | bulk(product, ODD) | bulk(product, ["no-json"])
    ids |= bulk(product, ["deleted"], deleted_at=NOW) | bulk(product, ["paused"], paused=True)
    ids |= bulk(product, ["unscheduled"])
    for name, change in BROKEN.items():
        change_config(product, name, change)
    change_config(product, "unscheduled", {"schedule": None})
    with product.database.engine.begin() as raw:
        raw.exec_driver_sql("UPDATE ingestions SET config = '{no json' WHERE name = 'no-json'")
    assert len(ids) == COUNT
    return ids


# --- all of them ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.crowd
@pytest.mark.timeout(900)
def test_many_are_planned_migrated_found_as_they_should_be_and_rolled_back(product, migration):
    ids = many(product)
    was = product.created("was-there")  # its deployment is older than the migration
    failing = {*BROKEN, "no-json"}
    creates = COUNT - len(failing) - 1

    before = in_prefect(product), in_database(product)
    planned = migration.plan()
    assert (in_prefect(product), in_database(product)) == before
    assert actions(planned) == {"created": creates, "failed": len(failing), "left": 2}

    done = migration.run()
    assert done == planned  # the dry run said what came, and why
    assert {name for name, (action, _) in done.items() if action == "failed"} == failing
    assert "Mars/Olympus" in done["a-schedule-of-another-planet"][1]
    assert "Prefect cannot read the schedule (Invalid cron string" in done["no-cron"][1]
    assert "cannot be read (sorce" in done["a-field-of-another-version"][1]
    assert all("autoloader apply" in done[name][1] for name in failing)
    assert done["deleted"] == ("left", "it is deleted")
    assert done["paused"] == ("created", "it is paused, and so is its deployment")
    assert done["unscheduled"][1].endswith("it has no schedule")
    assert product.prefect.find(ids["paused"]).spec.paused
    found = product.prefect.found([*ids.values(), was])
    assert found.keys() == {*ids.values(), was} - {ids[name] for name in (*failing, "deleted")}
    assert {product.differences(ids[name]) for name in (*ODD, "orders-000", "unscheduled")} == {()}
    assert {product.standing(one) for one in found} == {IN_SYNC}
    assert {product.standing(ids[name])[0] for name in failing - {"no-json"}} == {"error"}

    deployments = in_prefect(product)
    again = migration.run()
    assert actions(again) == {"left": COUNT - len(failing) + 1, "failed": len(failing)}
    assert in_prefect(product) == deployments
    assert product.reconciler.run_pass().created == []

    back = migration.roll_back()
    assert actions(back) == {"removed": creates}
    assert product.prefect.found([*ids.values(), was]).keys() == {was}
    assert migration.roll_back() == {}
    report = product.reconciler.run_pass()
    assert (report.created, report.changed, report.removed) == ([], [], [])
    assert product.prefect.found([*ids.values(), was]).keys() == {was}


@pytest.mark.slow
@pytest.mark.kill
@pytest.mark.crowd
@pytest.mark.timeout(600)
def test_killed_again_and_again_it_goes_on_to_the_same_end_and_so_does_its_rollback(product, migration):
    ids = bulk(product, [f"orders-{number:02}" for number in range(12)])
    was = product.created("was-there")

    def killed(point, *arguments):
        ended = command(product, *arguments, failpoints=f"{point}=kill@3").wait()
        assert ended == -signal.SIGKILL

    for point in ("migrating", "migrated"):
        killed(point)
    assert 0 < len(product.prefect.found(ids.values())) < len(ids)
    told = answer(command(product, "--json"))
    assert {one["action"] for one in told["ingestions"]} == {"created", "left"}
    assert product.prefect.found([*ids.values(), was]).keys() == {*ids.values(), was}
    assert {product.standing(one) for one in ids.values()} == {IN_SYNC}

    for point in ("migrating", "migrated"):
        killed(point, "--rollback")
    assert 0 < len(product.prefect.found(ids.values())) < len(ids)
    assert answer(command(product, "--rollback", "--json"))["counts"].keys() == {"removed"}
    assert product.prefect.found([*ids.values(), was]).keys() == {was}
    assert {product.standing(one) for one in ids.values()} == {("off", True)}
    assert product.standing(was) == IN_SYNC


@pytest.mark.slow
@pytest.mark.kill
@pytest.mark.crowd
def test_killed_at_any_moment_it_goes_on(product):
    """Not at a point of ours: in the middle of whatever it does when its third line comes."""
    ids = bulk(product, [f"orders-{number:02}" for number in range(30)])
    process = command(product)
    for _ in range(3):
        assert process.stdout.readline().startswith("created")
    process.kill()
    process.wait()
    process.stdout.close()

    told = answer(command(product, "--json"))

    assert told["counts"]["created"] + told["counts"]["left"] == len(ids)
    assert told["counts"]["left"] >= 3
    assert {product.differences(one) for one in ids.values()} == {()}
    assert len(answer(command(product, "--rollback", "--json"))["ingestions"]) == len(ids)
    assert product.prefect.found(ids.values()) == {}


def command(product, *arguments, failpoints=""):
    """`autoloader prefect migrate` as a process of its own."""
    environment = {
        **os.environ,
        "DATABASE_URL": product.database.url,
        "AUTOLOADER_HOME": str(product.settings.home),
        "AUTOLOADER_FAILPOINTS": failpoints,
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "app.cli.main", "prefect", "migrate", "--yes", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if not failpoints else subprocess.DEVNULL,
        text=True,
    )


def answer(process, code=0):
    out, _ = process.communicate(timeout=240)
    assert process.returncode == code
    return json.loads(out)


# --- what it does with each ----------------------------------------------------------------------


def test_a_deployment_that_differs_is_mended_and_stays_after_a_rollback_for_it_was_there_before(product, migration):
    ingestion_id = product.created()
    product.prefect.pause(ingestion_id)

    assert migration.plan() == {"orders": ("changed", "differs in paused")}
    assert migration.run() == {"orders": ("changed", "differs in paused")}
    assert product.differences(ingestion_id) == ()
    assert migration.roll_back() == {}
    assert migration.roll_back("orders") == {"orders": ("left", "the migration made no deployment of it")}
    assert product.standing(ingestion_id) == IN_SYNC


def test_what_is_as_it_should_be_is_learned_without_a_write_to_prefect(product, migration, monkeypatch):
    ingestion_id = product.created()
    with product.database.session_scope() as session:  # an answer of Prefect that was lost
        prefect_sync.unsynced(session, ingestion_id, 1, SyncState.PENDING, "lost")
    monkeypatch.setattr(product.prefect, "upsert", None)

    assert migration.run() == {"orders": ("left", "its deployment is as it should be")}
    assert product.standing(ingestion_id) == IN_SYNC


def test_only_the_named_ones_are_migrated_and_rolled_back(product, migration):
    ids = bulk(product, ["a", "b", "c"])

    assert migration.run("a", str(ids["b"])).keys() == {"a", "b"}
    assert product.prefect.found(ids.values()).keys() == {ids["a"], ids["b"]}
    assert migration.roll_back("a") == {"a": ("removed", "the migration made it")}
    assert product.prefect.found(ids.values()).keys() == {ids["b"]}


def test_a_broken_one_is_migrated_once_it_is_mended(product, migration):
    ingestion_id = bulk(product, ["orders"])["orders"]
    change_config(product, "orders", BROKEN["no-cron"])
    assert migration.run()["orders"][0] == "failed"
    assert "Prefect cannot read the schedule" in product.row(ingestion_id).prefect_sync_error
    change_config(product, "orders", {"schedule": {"cron": "5 4 * * *"}})

    assert migration.run()["orders"][0] == "created"


def test_with_prefect_down_nothing_is_planned_and_what_was_begun_says_what_was_not_tried(product, down):
    ids = bulk(product, [f"orders-{number}" for number in range(6)])
    steps = MigrateService(product.database, product.settings, product.prefect).plan()

    told = by_name(MigrateService(down.database, down.settings, down.prefect).migrate(steps))

    assert {action for action, _ in told.values()} == {"failed"}
    assert "does not answer at" in told["orders-0"][1]
    assert told["orders-5"][1] == "Not tried, for the same reason."
    assert product.prefect.found(ids.values()) == {}
    assert actions(Migration(product).run()) == {"created": 6}


def test_on_postgresql_it_is_the_same(postgresql_database, prefect_settings, prefect):
    product = Product(postgresql_database, prefect_settings, prefect)
    ids = bulk(product, ["a", "b"]) | bulk(product, ["broken"], config=["no", "object"])
    migration = Migration(product)

    assert actions(migration.plan()) == {"created": 2, "failed": 1}
    assert actions(migration.run()) == {"created": 2, "failed": 1}
    assert actions(migration.run()) == {"left": 2, "failed": 1}
    assert actions(migration.roll_back()) == {"removed": 2}
    assert product.prefect.found(ids.values()) == {}
    assert [product.standing(ids[name])[0] for name in ids] == ["off", "off", "error"]
    assert product.reconciler.run_pass().created == []
    assert actions(migration.run("a")) == {"created": 1}


# --- after a rollback ----------------------------------------------------------------------------


def test_after_a_rollback_no_reconciler_no_change_and_no_event_brings_a_deployment_back(product, migration):
    ingestion_id = product.create()
    migration.run()
    migration.roll_back()

    product.reconciler.run_pass()
    product.ingestions.change("orders", wanted("orders", schedule={"interval_seconds": 86400}))
    product.sync.push(ingestion_id)
    wish = product.triggers.request(ingestion_id, Trigger.ARRIVAL, {})
    assert product.triggers.deliver(wish) is None
    product.reconciler.run_pass()

    assert product.prefect.find(ingestion_id) is None
    assert product.standing(ingestion_id) == ("off", True)
    assert "rolled back" in product.stored(ingestion_id)[0].error
    assert product.reconciler.run_pass().quiet


def test_a_run_of_a_rolled_back_one_by_the_api_is_refused_with_what_to_do(product, migration):
    ingestion_id = product.create()
    migration.run()
    migration.roll_back()
    follower = Follower(product.database, product.settings, product.prefect)

    with pytest.raises(Conflict, match="autoloader --embedded ingestions run orders"):
        SteeringService(product.database, product.settings, follower).run(ingestion_id)
    assert product.stored(ingestion_id) == []


def test_a_rolled_back_ingestion_still_runs_embedded_and_its_table_stays(product, migration, tmp_path):
    folder = tmp_path / "landing"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"id": 1}\n')
    ingestion_id = product.ingestions.create(wanted(str(folder), name="orders")).id
    migration.run()
    first = BatchOrchestrator(product.database, product.settings).run_ingestion(ingestion_id)
    migration.roll_back()
    (folder / "b.jsonl").write_text('{"id": 2}\n')
    second = BatchOrchestrator(product.database, product.settings).run_ingestion(ingestion_id)

    assert [first.state, second.state] == ["SUCCESS", "SUCCESS"]


def test_it_can_be_migrated_again_and_then_follows_again(product, migration):
    ingestion_id = product.create()
    migration.run()
    migration.roll_back()

    assert migration.run() == {"orders": ("created", "it was rolled back; Prefect follows it again")}
    product.ingestions.pause("orders", paused=True)
    product.sync.push(ingestion_id)
    assert (product.standing(ingestion_id), product.differences(ingestion_id)) == (IN_SYNC, ())
    assert migration.roll_back() == {"orders": ("removed", "the migration made it")}


def test_what_a_rollback_could_not_remove_the_reconciler_removes(product, down, migration):
    ingestion_id = product.create()
    migration.run()
    steps = migration.service.plan_rollback()

    told = by_name(MigrateService(down.database, down.settings, down.prefect).roll_back(steps))

    assert told["orders"][0] == "failed"
    assert product.prefect.find(ingestion_id) is not None
    assert product.reconciler.run_pass().removed == [str(ingestion_id)]
    assert product.standing(ingestion_id) == ("off", True)
    assert migration.roll_back() == {}


def test_a_push_on_its_way_while_it_is_rolled_back_leaves_no_deployment(product, migration, monkeypatch):
    ingestion_id = product.create()
    migration.run()
    product.ingestions.change("orders", wanted("orders", schedule=None))
    upsert, rolled = product.prefect.upsert, []

    def late(spec):
        if not rolled:
            rolled.append(migration.roll_back())
        return upsert(spec)

    monkeypatch.setattr(product.prefect, "upsert", late)
    product.sync.push(ingestion_id)

    assert rolled[0]["orders"][0] == "removed"
    assert product.prefect.find(ingestion_id) is None
    assert product.standing(ingestion_id) == ("off", True)


def test_made_anew_after_its_deletion_it_is_as_any_other(product, migration):
    ingestion_id = product.create()
    migration.run()
    migration.roll_back()
    product.ingestions.delete("orders")
    product.sync.push(ingestion_id)

    assert product.created() == ingestion_id
    assert product.differences(ingestion_id) == ()
    assert migration.roll_back() == {}
