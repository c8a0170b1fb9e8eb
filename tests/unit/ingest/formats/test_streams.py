"""What a file's bytes are, and what is wrong with them."""

from __future__ import annotations

import gzip
import os

import pytest

from app.errors import InvalidInput
from app.ingest.formats.contract import ParseFile, ParseLimits
from app.ingest.formats.streams import BadFile, check_encoding, precheck, read_chunks, unchanged

LIMITS = ParseLimits(2**29, 1, 2**30, 400, 2**22, 2**29)


def file_of(path, *, compression="none", in_place=False):
    stat = path.stat() if path.exists() else None
    expected = (stat.st_size, stat.st_mtime_ns) if in_place and stat else None
    return ParseFile(1, str(path), str(path), stat.st_size if stat else 0, compression, expected)


def reason_of(call, *arguments):
    with pytest.raises(BadFile) as caught:
        call(*arguments)
    return caught.value.reason, caught.value.state


@pytest.fixture
def unprivileged(tmp_path):
    """Without root's right to read everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def locked(tmp_path):
    path = tmp_path / "locked.jsonl"
    path.write_text("{}")
    path.chmod(0)
    return file_of(path)


def test_a_file_that_may_not_be_read_is_denied(locked, unprivileged):
    assert reason_of(precheck, locked) == ("denied", "FAILED")
    assert reason_of(list, read_chunks(locked, LIMITS)) == ("denied", "FAILED")


def test_a_file_that_is_gone_is_missing_early_and_late(tmp_path):
    file = file_of(tmp_path / "gone")
    assert reason_of(precheck, file) == ("missing", "FAILED")
    assert reason_of(list, read_chunks(file, LIMITS)) == ("missing", "FAILED")
    assert not unchanged(ParseFile(1, file.path, file.local_path, 0, "none", (0, 0)))


def test_a_file_in_place_is_compared_by_size_and_time(tmp_path):
    path = tmp_path / "f"
    path.write_text("{}")
    file = file_of(path, in_place=True)
    precheck(file)
    assert unchanged(file)
    os.utime(path, ns=(1, 1))
    assert reason_of(precheck, file) == ("changed", "FAILED")
    assert not unchanged(file)


def test_a_spooled_copy_is_not_compared(tmp_path):
    path = tmp_path / "f"
    path.write_text("{}")
    file = file_of(path)
    os.utime(path, ns=(1, 1))
    precheck(file)
    assert unchanged(file)


@pytest.mark.parametrize("size", [63, 65])
def test_small_expansions_are_allowed_whatever_their_factor(tmp_path, size):
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(bytes(size * 1024 * 1024), mtime=0))
    file = file_of(path, compression="gzip")
    if size < 64:
        assert sum(map(len, read_chunks(file, LIMITS))) == size * 1024 * 1024
    else:
        assert reason_of(list, read_chunks(file, LIMITS)) == ("expansion", "QUARANTINED")


def test_output_is_bounded_whatever_its_factor(tmp_path):
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(os.urandom(300_000), mtime=0))
    limits = ParseLimits(2**29, 1, 200_000, 400, 2**22, 2**29)
    assert reason_of(list, read_chunks(file_of(path, compression="gzip"), limits)) == ("expansion", "QUARANTINED")


@pytest.mark.parametrize(
    ("given", "found"), [(None, "utf-8"), ("UTF8", "utf-8"), ("ISO-8859-1", "latin-1"), ("utf_16", "utf-16")]
)
def test_encodings_have_several_names(given, found):
    assert check_encoding(given) == found


def test_an_encoding_that_is_not_offered_is_refused():
    with pytest.raises(InvalidInput, match="klingon"):
        check_encoding("klingon")


def test_half_a_character_at_the_end_is_undecodable(tmp_path):
    path = tmp_path / "f"
    path.write_bytes("ab".encode("utf-16")[:-1])
    assert reason_of(list, read_chunks(file_of(path), LIMITS, "utf-16")) == ("undecodable", "FAILED")
