"""The last lines of a run: each file is counted once, and under what it is."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.cli.output import Output
from app.cli.summaries import show_run
from app.services.metrics import RunSummary
from app.values import RunState


@pytest.fixture
def shown(capsys):
    def show(
        state: RunState,
        discovered: dict[str, Any] | None = None,
        waiting: int = 0,
        rejected: int = 0,
        *,
        reason_told: bool = False,
        **files: int,
    ) -> list[str]:
        counted = {"loaded": 0, "failed": 0, "quarantined": 0, "skipped": 0, **files}
        metrics = {
            "discovered": {"listed": 1, **(discovered or {})},
            "files": counted,
            "rescued": 0,
            "rejected": rejected,
            "rows": 0,
            "loaded_bytes": 0,
            "batches": 1,
            "snapshots": [5],
            "waiting": waiting,
            "seconds": {},
        }
        summary = RunSummary(UUID(int=1), state, metrics)
        show_run(Output(as_json=False), "shop.orders", "local.shop.orders", summary, (), reason_told=reason_told)
        return capsys.readouterr().out.splitlines()

    return show


@pytest.fixture
def told_beside(capsys):
    def told(*, reason_told: bool) -> str:
        show_run(Output(as_json=False), "shop.orders", "t", _with_note(), (), reason_told=reason_told)
        return capsys.readouterr().err

    def _with_note() -> RunSummary:
        files = {"loaded": 0, "failed": 0, "quarantined": 0, "skipped": 0}
        counts = dict.fromkeys(("rescued", "rejected", "rows", "loaded_bytes", "batches", "waiting"), 0)
        rest = {"discovered": {"listed": 0}, "files": files, "snapshots": [], "seconds": {}}
        return RunSummary(UUID(int=1), RunState.SUCCESS, {**counts, **rest, "notes": ["The table was dropped."]})

    return told


def test_a_file_that_failed_and_waits_for_its_next_attempt_is_counted_once(shown):
    lines = shown(RunState.PARTIAL, failed=1, waiting=1)

    assert lines[0] == "No file was loaded into local.shop.orders (1 object listed, 0.0 s)."
    assert lines[1] == "PARTIAL: 1 failed"


def test_the_notes_of_a_run_that_a_server_made_are_told_with_its_end(told_beside):
    assert told_beside(reason_told=False) == "The table was dropped.\n"
    assert told_beside(reason_told=True) == ""


def test_what_waits_beside_what_failed_is_counted_too(shown):
    assert "PARTIAL: 1 failed, 2 waiting" in shown(RunState.PARTIAL, failed=1, waiting=3)


def test_an_empty_snapshot_is_not_announced(shown):
    assert [line for line in shown(RunState.PARTIAL, quarantined=1) if "snapshot" in line] == []


def test_a_changed_file_that_is_ignored_is_not_told_as_if_nothing_was_there(shown):
    assert shown(RunState.SUCCESS, {"skipped": {"on-change-ignore": 1}}) == [
        "Nothing new for local.shop.orders: 1 file loaded and changed since (1 object listed, 0.0 s).",
        "  left out  1 on-change-ignore",
        (
            "            changed after they were loaded, and not loaded again; see them:"
            " autoloader files list shop.orders --state SKIPPED"
        ),
        (
            "            to load them, too, with all of their rows:"
            " autoloader files retry --ingestion shop.orders --state SKIPPED"
        ),
    ]


def test_a_run_of_which_each_record_was_rejected_says_so_and_where_the_reason_is(shown):
    lines = shown(RunState.PARTIAL, loaded=1, rejected=2)

    assert "PARTIAL: each record was rejected" in lines
    assert lines[-1] == f"Why, and what to do: autoloader runs show {UUID(int=1)}"


def test_a_reason_that_was_told_as_the_run_ended_is_not_told_again(shown):
    lines = shown(RunState.PARTIAL, loaded=1, rejected=2, reason_told=True)

    assert lines[-1] == "PARTIAL: each record was rejected"


def test_rejects_beside_a_file_that_was_skipped_are_not_said_to_be_each_record(shown):
    assert "PARTIAL: 1 skipped" in shown(RunState.PARTIAL, loaded=1, rejected=2, skipped=1)
