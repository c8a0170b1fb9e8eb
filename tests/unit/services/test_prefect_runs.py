from __future__ import annotations

import ast
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path
from uuid import uuid4

from app.services.prefect_runs import FlowRunView

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def said_by_the_server() -> set[str]:
    """The messages with which the server's own rules cancel a run."""
    rules = Path(str(distribution("prefect").locate_file("prefect/server/orchestration/core_policy.py")))
    calls = [node for node in ast.walk(ast.parse(rules.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    cancels = [call for call in calls if ast.unparse(call.func) == "states.Cancelled"]
    return {ast.literal_eval(word.value) for call in cancels for word in call.keywords if word.arg == "message"}


def lost(message: str | None, state: str = "CANCELLED") -> bool:
    run = FlowRunView(uuid4(), "", uuid4(), None, "arrival", state, state, message, NOW, None, None, None)
    return run.lost_to_collision


def test_whatever_the_server_says_when_it_cancels_a_run_for_want_of_a_slot_is_known():
    assert len(said_by_the_server()) == 2
    assert all(lost(message) for message in said_by_the_server())


def test_a_run_that_a_person_cancelled_was_not_lost():
    assert not any([lost(None), lost("I do not need it."), lost(next(iter(said_by_the_server())), "COMPLETED")])
