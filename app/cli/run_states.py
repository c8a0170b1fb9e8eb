"""A run's state as every list shows it."""

from __future__ import annotations


def shown_state(state: str, *, alive: bool) -> str:
    """As stored, but LOST for a run that nobody runs any more: its end was never stored."""
    return "LOST" if state == "RUNNING" and not alive else state
