"""Generators run side by side in threads, their results read by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from queue import Full, Queue, SimpleQueue
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

_LOOK_SECONDS = 0.1  # how soon a thread that waits for room sees that nobody reads any more
_HELD_PER_THREAD = 2


def side_by_side(
    run: Callable[[Job], Iterable[Result]], jobs: Sequence[Job], concurrency: int, *, bounded: bool
) -> Generator[Result]:
    """The results of all jobs, as they come. `bounded`: at most two a thread wait to be read; that costs two locks a
    result, so small results of a known number do without.

    The first error stops all and is raised. Threads, not the library's async streams: with many of those open the
    interpreter was seen to abort when it ended.
    """
    pool = _Pool(run, jobs, min(concurrency, len(jobs)), bounded=bounded)
    try:
        yield from pool.results()
    finally:
        pool.end()


class _Pool(Generic[Job, Result]):
    def __init__(
        self, run: Callable[[Job], Iterable[Result]], jobs: Sequence[Job], size: int, *, bounded: bool
    ) -> None:
        self._run = run
        self._waiting = iter(jobs)
        self._take = threading.Lock()
        self._stop = threading.Event()
        # A result is wrapped in a tuple; None says that a thread is done.
        self._answers: Queue[tuple[Result] | Exception | None] | SimpleQueue[tuple[Result] | Exception | None] = (
            Queue(max(1, _HELD_PER_THREAD * size)) if bounded else SimpleQueue()
        )
        self._threads = [threading.Thread(target=self._work, name=f"list-{n}", daemon=True) for n in range(size)]

    def results(self) -> Iterator[Result]:
        for thread in self._threads:
            thread.start()
        running = len(self._threads)
        while running:
            answer = self._answers.get()
            if answer is None:
                running -= 1
            elif isinstance(answer, Exception):
                raise answer
            else:
                yield answer[0]

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                for result in self._run(job[0]):
                    if not self._answer((result,)):
                        return
        except Exception as error:  # noqa: BLE001 - handed to the reading thread, which raises it
            self._answer(error)
        else:
            self._answer(None)

    def _next(self) -> tuple[Job] | None:
        with self._take:
            for job in self._waiting:
                return (job,)
        return None

    def _answer(self, answer: tuple[Result] | Exception | None) -> bool:
        """Put it, waiting for room; False when nobody reads any more."""
        while not self._stop.is_set():
            try:
                self._answers.put(answer, timeout=_LOOK_SECONDS)
            except Full:
                continue
            return True
        return False
