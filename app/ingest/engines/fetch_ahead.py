"""One fetch under way while something else is done: in a thread, one at a time, stopped and waited for at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

from app.values import BatchFile

Fetched = TypeVar("Fetched")


class FetchAhead(Generic[Fetched]):
    """`fetch` gets the files and a question that it asks now and then: whether it is to stop."""

    def __init__(self, fetch: Callable[[Sequence[BatchFile], Callable[[], bool]], Fetched]) -> None:
        self._fetch = fetch
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1, "fetch-ahead")
        self._begun: Future[Fetched] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True)

    def begin(self, files: Sequence[BatchFile]) -> None:
        """Fetch these, the next that will be taken."""
        self._begun = self._pool.submit(self._fetch, files, self._stop.is_set)

    def take(self, files: Sequence[BatchFile]) -> Fetched:
        """Those that were begun, or else these, fetched now. Raises what fetching them raised."""
        if self._begun is None:
            return self._fetch(files, self._stop.is_set)
        begun, self._begun = self._begun, None
        return begun.result()
