"""What a worker looks at before a cluster reads the rest."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from app.errors import SourceUnavailable
from app.ingest.engines.spark_begins import begins
from app.storage import Store
from app.values import BatchFile

DATA = b'{"a": 1}\n' * 1_000


class Far:
    """A store whose objects all hold the same."""

    def local_path(self, path: str) -> None:
        return None

    def read(self, path: str, begin: int, end: int) -> bytes:
        return DATA[begin:end]


def looked_at(folder: Path):
    files = [BatchFile(7, "s3://b/x.jsonl", "1", len(DATA))]
    return begins(cast("Store", Far()), files, folder, 1_000_000, whole=True)


def test_the_begin_of_a_far_file_is_a_local_one_until_the_next_is_looked_at(tmp_path):
    found = [(file.file_id, begun.result().read_bytes()) for file, begun in looked_at(tmp_path)]
    assert found == [(7, DATA)]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_of_this_machine_is_no_fault_of_the_file_and_is_tried_again(tmp_path):
    (tmp_path / "begin-7").symlink_to("/dev/full")
    with pytest.raises(SourceUnavailable, match=f"The disk of {tmp_path.parent} is full") as raised:
        [begun.result() for _, begun in looked_at(tmp_path)]
    assert raised.value.retryable
