"""The least that Prefect can run: a flow that does nothing, of a module that imports nothing else."""

from __future__ import annotations

from prefect import flow


@flow(name="bare")
def bare(number: int = 0) -> int:
    return number
