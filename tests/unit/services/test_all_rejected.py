"""Why a run loaded not one record: with what is known of a rejected one, and without."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.services.all_rejected import told
from app.values import RejectSample

INGESTION = SimpleNamespace(table_name="lake.shop.orders")


def found(loaded=1, rejected=0, rows=0, **left):
    files = {"loaded": loaded, "failed": 0, "quarantined": 0, "skipped": 0, **left}
    return {"files": files, "rejected": rejected, "rows": rows}


@pytest.mark.parametrize("metrics", [found(), found(rejected=3, rows=1), found(loaded=0, rejected=3)])
def test_a_run_that_loaded_a_record_or_met_none_has_no_such_reason(metrics):
    assert told(INGESTION, metrics, None) is None


@pytest.mark.parametrize("left", ["failed", "quarantined", "skipped"])
def test_rejects_that_may_be_of_a_file_that_was_not_loaded_are_not_said_to_be_of_each_record(left):
    assert told(INGESTION, found(rejected=3, **{left: 1}), None) is None


def test_where_another_process_wrote_the_rejects_the_reason_says_where_to_look():
    error = told(INGESTION, found(rejected=1), None)

    assert error.message == "The only record of this run's files was rejected."
    assert error.hint.startswith("All of them: autoloader table head lake.shop.orders__rejects.")


def test_a_record_that_does_not_parse_is_shown_and_blames_no_column():
    sample = RejectSample(7, "line 1: malformed: x", "malformed")
    error = told(INGESTION, found(rejected=1_200), ("/d/a.jsonl", sample))

    assert error.message == (
        "All 1,200 records of this run's files were rejected, as in /d/a.jsonl (line 1: malformed: x)."
    )
    assert "NOT NULL" not in error.hint
