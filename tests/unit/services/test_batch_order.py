from __future__ import annotations

from app.services.batch_order import work_off


class Batches:
    """Some are split when they are processed."""

    def __init__(self, **split):
        self.split = split
        self.done = []

    def process(self, batch):
        self.done.append(batch)
        return self.split.get(batch, [])


def test_what_a_batch_was_split_into_comes_before_its_neighbours():
    batches = Batches(a=["a1", "a2"], a2=["a21", "a22"])

    assert not work_off("ab", batches.process, lambda: True)
    assert batches.done == ["a", "a1", "a2", "a21", "a22", "b"]


def test_when_the_time_is_up_the_rest_is_left_and_said():
    batches = Batches()

    assert work_off("abc", batches.process, lambda: len(batches.done) < 2)
    assert batches.done == ["a", "b"]
    assert not work_off("", batches.process, lambda: False)
