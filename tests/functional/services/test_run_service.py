"""What a run does around its batches."""

from __future__ import annotations

import pytest


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    """What the steps of a run warn of in the log."""
    told: list[str] = []
    monkeypatch.setattr(
        "app.services.run_service.log.warning", lambda event, **values: told.append(f"{event} {values}")
    )
    return told


def test_a_run_that_finds_nothing_for_a_table_that_is_yet_to_be_made_warns_of_nothing(loader, warnings):
    loader.put("_hidden.jsonl", '{"id": 1}\n')
    summary = loader.load("shop.orders", format={"type": "jsonl"})
    assert summary.state == "SUCCESS"
    assert (warnings, loader.notes) == ([], [])
