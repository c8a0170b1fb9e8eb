"""What `connections test` shows: each thing a connection needs, tried one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.errors import AutoloaderError
from app.found_files import FoundFiles
from app.storage.contract import ObjectInfo, Store
from app.storage.opening import open_store


@dataclass(frozen=True, slots=True)
class ProbeStep:
    name: str
    ok: bool
    detail: str


def check(
    url: str, options: Mapping[str, str] | None = None, *, timeout_seconds: float = 10.0, retries: int = 1
) -> list[ProbeStep]:
    """Open, list and read, in this order, up to the first step that fails. Writes nothing.

    What the store says is a step's detail, never an error.
    """
    steps: list[ProbeStep] = []
    opened: list[Store] = []
    first: list[ObjectInfo] = []

    def opening() -> str:
        opened.append(open_store(url, options, timeout_seconds=timeout_seconds, retries=retries, page_size=1_000))
        return f"{opened[0].base} ({opened[0].kind})"

    def listing() -> str:
        page = next(opened[0].list(), FoundFiles())
        first.extend(page[:1])
        return f"{len(page)} objects on the first page" if page else "nothing there yet"

    def reading() -> str:
        if not first:
            return "nothing there to read"
        opened[0].read(first[0].path, 0, 1)
        return first[0].path

    for name, act in (("open", opening), ("list", listing), ("read", reading)):
        steps.append(_tried(name, act))
        if not steps[-1].ok:
            break
    return steps


def _tried(name: str, act: Callable[[], str]) -> ProbeStep:
    try:
        return ProbeStep(name, ok=True, detail=act())
    except AutoloaderError as error:
        return ProbeStep(name, ok=False, detail=str(error))
