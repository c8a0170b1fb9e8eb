"""Broken bzip2 files, told from sound ones by their marks."""

from __future__ import annotations

import bz2
import random

import pytest

from app.ingest.engines.bzip2_marks import flaw_of

TEXT = random.Random(3).randbytes(350_000)
WHOLE = bz2.compress(TEXT, 1)  # four blocks
MARK = "001100010100000101011001001001100101001101011001"


def bits(data: bytes) -> str:
    return bin(int.from_bytes(b"\x01" + data, "big"))[3:]


def blocks(data: bytes) -> list[int]:
    """The bits at which blocks begin."""
    text, found = bits(data), []
    at = text.find(MARK)
    while at >= 0:
        found.append(at)
        at = text.find(MARK, at + 1)
    return found


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[begin : begin + size] for begin in range(0, len(data), size)]


@pytest.mark.parametrize("size", [7, 4096, 10_000_000])
def test_a_whole_file_of_one_stream_or_of_many_has_no_flaw_however_it_is_cut_into_pieces(size):
    assert len(blocks(WHOLE)) == 4
    empty = bz2.compress(b"")
    for data in (empty, empty + empty, WHOLE + empty + bz2.compress(b"x")):
        assert flaw_of(pieces(data, size)) == ""


def test_a_stream_that_begins_just_before_the_end_of_a_piece_is_no_flaw():
    one = bz2.compress(b"hello world\n" * 100)
    data = one + bz2.compress(b"x" * 50) + one
    assert [size for size in range(1, len(data) + 1) if flaw_of(pieces(data, size))] == []


def test_the_end_of_a_stream_is_found_at_each_bit_it_may_begin_with():
    for length in range(60):
        stream = bz2.compress(random.Random(length).randbytes(length))
        assert flaw_of([stream + stream]) == ""


@pytest.mark.parametrize("block", [0, 1, 3])
@pytest.mark.parametrize("bit", [0, 25, 47, 60])
def test_a_block_whose_mark_or_checksum_is_damaged_is_missed(block, bit):
    assert flaw_of([flipped(WHOLE, blocks(WHOLE)[block] + bit)])


def test_a_file_without_a_part_of_its_middle_or_with_something_between_its_streams_is_flawed():
    places = [at // 8 for at in blocks(WHOLE)]
    assert "lacks blocks" in flaw_of([WHOLE[: places[1] + 20] + WHOLE[places[3] + 20 :]])
    assert "between its bzip2 streams" in flaw_of([WHOLE + b"junk" + WHOLE])
    assert "between its bzip2 streams" in flaw_of([WHOLE + WHOLE[4:]])
    assert flaw_of([WHOLE[:-11]])
    assert flaw_of([WHOLE + b"\n"])
