"""What the ledger keeps of a batch that is split, released or given up."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.errors import SchemaChangeRefused
from tests.fakes.engine import FakeFile, Killed, RequestLost
from tests.fakes.world import World


def history(world: World, path: str) -> list[str]:
    """The states of a file's history, each with whether it was in a batch then."""
    with world.database.session_scope() as session:
        query = text("SELECT state, batch_id FROM file_events WHERE file_id = :id ORDER BY id")
        rows = session.execute(query, {"id": world.file(path)["id"]})
        return [f"{state}{'' if batch else ' alone'}" for state, batch in rows]


def test_the_history_of_a_file_tells_that_its_batch_was_split(new_world):
    world: World = new_world()
    world.source = {"/d/good": FakeFile(), "/d/bad": FakeFile(poison=True)}
    world.look_around()
    world.run()
    assert history(world, "/d/good") == ["PROCESSING", "DISCOVERED", "PROCESSING", "SUCCESS"]
    assert history(world, "/d/bad") == ["PROCESSING", "DISCOVERED", "PROCESSING", "QUARANTINED"]


def test_the_history_of_a_file_tells_that_its_batch_was_released(new_world):
    world: World = new_world(config={"columns": {"on_new_columns": "fail"}})
    world.deliver("/d/a", FakeFile(column="x bigint"))
    with pytest.raises(SchemaChangeRefused):
        world.run()
    assert history(world, "/d/a") == ["PROCESSING", "DISCOVERED"]
    assert world.file("/d/a")["batch_id"] is None


@pytest.mark.parametrize("sent", [False, True])
def test_a_batch_whose_only_file_was_given_up_says_so(new_world, sent):
    world: World = new_world()
    world.deliver("/d/a", FakeFile(poison=not sent))
    if sent:

        def lose(point: str) -> None:
            if point == "publish-commit":
                raise RequestLost(Killed())

        world.survive(lose)
        world.source["/d/a"].poison = True
    world.run()
    [batch_id] = world.batches()
    batch = world.batch(batch_id)
    assert (batch["state"], batch["outcome"]) == ("SPENT" if sent else "SETTLED", "quarantined")
