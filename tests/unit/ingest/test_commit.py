from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import CatalogError, FileMissing, LandingIncomplete
from app.ingest import commit
from app.ingest.landing import RECEIPT, REJECT_FILE
from app.values import (
    Batch,
    BatchFile,
    BatchState,
    FileOutcome,
    FileState,
    Landing,
    LandingKind,
    SnapshotInfo,
    WriteResult,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BATCH = Batch(uuid4(), uuid4(), uuid4(), BatchState.CLAIMED, 2, 20, claims=1)
FINAL = [FileState.SUCCESS, FileState.FAILED, FileState.SKIPPED, FileState.QUARANTINED]
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)


class ReceiptDesk:
    """The part of an engine that keeps receipts, as the text that is stored."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.spending = Landing(LandingKind.SPENT)
        self.spends = 0

    def write_receipt(self, batch, attempt, receipt) -> str:
        path = f"autoloader/{batch.id}.{attempt}.json"
        self.kept[path] = json.dumps(receipt)
        return path

    def read_receipt(self, path):
        if path not in self.kept:
            raise FileMissing(f"{path} is gone.")
        return json.loads(self.kept[path])

    def publish_rejects(self, batch, reject_file) -> None:
        raise FileMissing(f"{reject_file.path} is gone.")

    def publish(self, batch, written, properties) -> Landing:
        assert properties[RECEIPT] in self.kept, "the receipt is stored before the snapshot can name it"
        snapshot = SnapshotInfo(1, None, NOON, {**properties, "autoloader.batch-id": str(batch.id)})
        return Landing(LandingKind.LANDED, uuid4(), 1, snapshot)

    def spend(self, batch) -> Landing:
        self.spends += 1
        return self.spending


# --- receipts


@given(st.data())
def test_what_a_batch_did_comes_back_from_its_receipt(data):
    ids = data.draw(st.lists(st.integers(1, 2**63 - 1), min_size=1, max_size=5, unique=True))
    counts = st.integers(0, 2**62)
    outcomes = tuple(
        FileOutcome(
            i,
            data.draw(st.sampled_from(FINAL)),
            data.draw(counts),
            data.draw(counts),
            data.draw(counts),
            data.draw(TEXT),
            data.draw(TEXT),
        )
        for i in ids
    )
    files = [BatchFile(i, data.draw(TEXT), data.draw(TEXT), data.draw(counts)) for i in ids]
    desk = ReceiptDesk()
    written = WriteResult("a1", outcomes, 1, 2, 3, 4)
    landing = commit.publish(desk, BATCH, files, written, uuid4(), NOON)

    assert commit.outcomes_of(desk, BATCH, landing) == outcomes
    [receipt] = (json.loads(text) for text in desk.kept.values())
    assert [(f["id"], f["path"], f["version"], f["size"]) for f in receipt["files"]] == [
        (f.file_id, f.path, f.version, f.size) for f in files
    ]
    assert receipt["batch_id"] == str(BATCH.id)
    assert receipt["format"] == commit.RECEIPT_FORMAT


def landed_with(summary) -> Landing:
    return Landing(LandingKind.LANDED, uuid4(), 7, SnapshotInfo(7, None, NOON, summary))


def test_a_snapshot_that_names_no_receipt_is_told_by_its_number():
    with pytest.raises(LandingIncomplete, match=r"Snapshot 7 carries batch .* but names no receipt"):
        commit.outcomes_of(ReceiptDesk(), BATCH, landed_with({}))


def test_a_receipt_of_another_batch_is_not_believed():
    desk = ReceiptDesk()
    other = replace(BATCH, id=uuid4())
    written = WriteResult("a1", (FileOutcome(1, FileState.SUCCESS),), 1, 0, 0, 0)
    landing = commit.publish(desk, other, [BatchFile(1, "/a", "v", 1)], written, uuid4(), NOON)
    with pytest.raises(LandingIncomplete, match="is not of batch"):
        commit.outcomes_of(desk, BATCH, landing)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (None, "has no list of files"),
        ([{"id": 1}], "cannot be read: KeyError"),
        ([{"id": "x", "state": "SUCCESS"}], "cannot be read: ValueError"),
        ([1], "cannot be read: TypeError"),
    ],
)
def test_a_receipt_without_readable_files_is_not_believed(files, says):
    desk = ReceiptDesk()
    desk.kept["r"] = json.dumps({"batch_id": str(BATCH.id), "files": files})
    with pytest.raises(LandingIncomplete, match=says):
        commit.outcomes_of(desk, BATCH, landed_with({RECEIPT: "r"}))


def test_a_receipt_that_is_gone_and_a_reject_file_that_is_gone_end_what_can_be_known():
    desk = ReceiptDesk()
    with pytest.raises(LandingIncomplete, match="is gone"):
        commit.outcomes_of(desk, BATCH, landed_with({RECEIPT: "r"}))
    with pytest.raises(LandingIncomplete, match="is gone"):
        commit.complete_rejects(desk, BATCH, landed_with({REJECT_FILE: "r"}))


# --- freeing an id


def test_an_id_that_was_never_sent_is_free_without_a_commit():
    desk = ReceiptDesk()
    assert commit.free_id(desk, BATCH, never_sent=True).kind is LandingKind.NOT_LANDED
    assert desk.spends == 0


@pytest.mark.parametrize("kind", [LandingKind.SPENT, LandingKind.LANDED, LandingKind.UNKNOWN])
def test_an_id_that_may_have_been_sent_is_spent_and_the_table_answers(kind):
    desk = ReceiptDesk()
    desk.spending = Landing(kind)
    assert commit.free_id(desk, BATCH, never_sent=False).kind is kind
    assert desk.spends == 1


def test_an_id_whose_spending_main_does_not_show_is_not_taken_for_free():
    desk = ReceiptDesk()
    desk.spending = Landing(LandingKind.NOT_LANDED)
    with pytest.raises(CatalogError, match="rolled back"):
        commit.free_id(desk, BATCH, never_sent=False)
