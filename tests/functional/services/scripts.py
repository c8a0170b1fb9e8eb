"""What happens at a point of a fake world, and what the ledger holds then."""

from __future__ import annotations

from tests.fakes.engine import FakeFile
from tests.fakes.world import World


def at(wanted: str, *errors: BaseException, nth: int = 1):
    """A script: at the point `wanted`, from its `nth` time on, the errors come one after the other."""
    left, seen = list(errors), [0]

    def script(point: str) -> None:
        seen[0] += point == wanted
        if point == wanted and seen[0] >= nth and left:
            raise left.pop(0)

    return script


def doing(wanted: str, action):
    """A script: at the first time of the point `wanted`, `action` happens elsewhere."""
    todo = [action]

    def script(point: str) -> None:
        if point == wanted and todo:
            todo.pop()()

    return script


def fill(world: World, count: int = 3, **of_each: object) -> None:
    for number in range(count):
        world.source[f"/d/{number}"] = FakeFile(**of_each)
    world.look_around()


def only_batch(world: World, *states: str) -> dict[str, object]:
    [batch_id] = world.batches(*states)
    return world.batch(batch_id)


def file_ids(world: World) -> dict[str, int]:
    return {str(row["path"]): int(str(row["id"])) for row in world.files()}
