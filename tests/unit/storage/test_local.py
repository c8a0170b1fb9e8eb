from __future__ import annotations

import os
import socket
from collections import Counter
from pathlib import Path

import pytest

from app.errors import FileChanged, FileMissing, SourceAccessDenied
from app.storage import ObjectInfo, open_store


def listed(folder: Path, page_size: int = 5_000) -> tuple[list[ObjectInfo], Counter[str]]:
    counts: Counter[str] = Counter()
    return [
        info for page in open_store(str(folder), page_size=page_size).list(left_out=counts) for info in page
    ], counts


def test_files_come_in_the_byte_order_of_their_full_paths(tmp_path):
    for name in ("a-b/x", "a/x", "a.csv", "a0", "Z", "é", "z/é/x", "a/b/c", "🦆"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    paths = [info.path.encode() for info in listed(tmp_path, page_size=2)[0]]
    assert len(paths) == 9
    assert paths == sorted(paths)


def test_a_version_is_size_and_nanoseconds(tmp_path):
    (tmp_path / "a").write_text("12345")
    os.utime(tmp_path / "a", ns=(0, 1_700_000_000_123_456_789))
    (info,), _ = listed(tmp_path)
    assert (info.version, info.size) == ("5-1700000000123456789", 5)
    os.utime(tmp_path / "a", ns=(0, 1_700_000_000_123_456_790))
    with pytest.raises(FileChanged, match=r"was 5-1700000000123456789, is 5-1700000000123456790"):
        open_store(str(tmp_path)).fetch(info.path, info.version, tmp_path / "copy")


def test_pages_hold_no_more_than_asked_for(tmp_path):
    for n in range(7):
        (tmp_path / str(n)).write_text("x")
    assert [len(page) for page in open_store(str(tmp_path), page_size=3).list()] == [3, 3, 1]


def test_links_to_folders_and_to_nothing_are_counted_and_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("x")
    (tmp_path / "in" / "loop").symlink_to(tmp_path)
    (tmp_path / "in" / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in" / "self").symlink_to(tmp_path / "in" / "self")
    (tmp_path / "in" / "file").symlink_to(tmp_path / "in" / "a")
    found, counts = listed(tmp_path)
    assert [info.path.rpartition("/")[2] for info in found] == ["a", "file"]
    assert counts == {"symlink": 3}


def test_what_is_no_file_is_counted(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # a socket's path is limited to 108 bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        assert listed(tmp_path) == ([], {"not-a-file": 2})


def test_a_name_that_is_not_utf8_is_counted(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / os.fsdecode(b"bad-\xff")).write_text("x")
    (tmp_path / os.fsdecode(b"folder-\xfe")).mkdir()
    found, counts = listed(tmp_path)
    assert [info.path for info in found] == [f"{tmp_path}/a"]
    assert counts == {"bad-name": 2}


def test_a_time_no_clock_shows_is_no_crash(tmp_path):
    (tmp_path / "a").write_text("x")
    for seconds in (-5_000_000_000, 2**33):
        os.utime(tmp_path / "a", (seconds, seconds))
        assert listed(tmp_path)[0][0].modified_at.tzinfo is not None


def test_a_folder_in_place_of_a_file_is_missing(tmp_path):
    with pytest.raises(FileMissing, match="is not a file"):
        open_store(str(tmp_path)).stat(str(tmp_path))
    with pytest.raises(FileMissing, match="is a folder"):
        open_store(str(tmp_path)).read(str(tmp_path))


def test_a_folder_that_may_not_be_read_is_counted_and_hides_nothing_else(tmp_path, monkeypatch):
    for name in ("a/x", "closed/y", "z"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    scandir = os.scandir

    def refusing(folder):
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    found, counts = listed(tmp_path)
    assert [info.path.rpartition("/")[2] for info in found] == ["x", "z"]
    assert counts == {"unreadable": 1}
    monkeypatch.setattr(os, "scandir", lambda folder: refusing(f"{folder}/closed"))
    with pytest.raises(SourceAccessDenied):
        listed(tmp_path)
