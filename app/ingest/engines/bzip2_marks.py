"""Whether all blocks of a bzip2 file are there, told by their marks and checksums, without unpacking one.

A stream is `BZh` and a digit, blocks, and its end, which has one checksum of all blocks' checksums. Each block begins
with a mark and its own checksum. Marks begin at any bit. What is inside a block, its reader checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_BLOCK, _END = 0x314159265359, 0x177245385090
_MARK_BITS, _SUM_BITS, _BYTE = 48, 32, 8
_WHOLE = _MARK_BITS + _SUM_BITS
_ALL = (1 << _SUM_BITS) - 1
_HEAD = re.compile(rb"BZh[1-9]\Z")
_HEAD_BYTES = 4
_KEPT = _HEAD_BYTES + _WHOLE // _BYTE  # bytes of a chunk in which a mark may begin that ends in the next


def _needles() -> list[tuple[bytes, int, int]]:
    """`(bytes, mark, shift)`: the bytes that a mark fills whole, where it begins `shift` bits into a byte."""
    found = []
    for mark in (_BLOCK, _END):
        found.append((mark.to_bytes(_MARK_BITS // _BYTE, "big"), mark, 0))
        for shift in range(1, _BYTE):
            inner = (mark >> shift) & ((1 << (_MARK_BITS - _BYTE)) - 1)
            found.append((inner.to_bytes(_MARK_BITS // _BYTE - 1, "big"), mark, shift))
    return found


_NEEDLES = _needles()


@dataclass(frozen=True, slots=True)
class _Mark:
    """`at` is the bit it begins at, `headed` whether a stream's head is just before it."""

    at: int
    is_end: bool
    checksum: int
    headed: bool


def flaw_of(chunks: Iterable[bytes]) -> str:
    """What is wrong with the file of these pieces, as the end of a sentence; empty where all its blocks are there."""
    marks, size = _marks(chunks)
    begin, first, combined = 0, True, 0
    for mark in marks:
        if first and not (mark.headed and mark.at == (begin + _HEAD_BYTES) * _BYTE):
            return "has something else between its bzip2 streams, or lacks a part of one"
        first = False
        if not mark.is_end:
            combined = ((combined << 1 | combined >> (_SUM_BITS - 1)) & _ALL) ^ mark.checksum
        elif combined != mark.checksum:
            return "lacks blocks of its bzip2 stream, or has them damaged"
        else:
            begin, first, combined = -(-(mark.at + _WHOLE) // _BYTE), True, 0
    return "" if first and begin == size else "is cut, or has something behind its bzip2 stream"


def _marks(chunks: Iterable[bytes]) -> tuple[list[_Mark], int]:
    """All marks in their order, and how many bytes there are."""
    marks: dict[int, _Mark] = {}
    kept, size = b"", 0
    for chunk in chunks:
        data = kept + chunk
        for mark in _within(data, size - len(kept)):
            marks.setdefault(mark.at, mark)  # found again in what is kept, it may be without the head before it
        size += len(chunk)
        kept = data[-_KEPT:]
    return [marks[at] for at in sorted(marks)], size


def _within(data: bytes, offset: int) -> Iterator[_Mark]:
    """The marks that stand in the bytes with their checksums; `offset` of the file is their first."""
    for needle, mark, shift in _NEEDLES:
        place = data.find(needle)
        while place >= 0:
            begin = place - 1 if shift else place
            window = data[max(0, begin) : begin + _WHOLE // _BYTE + (1 if shift else 0)]
            bits = int.from_bytes(window, "big") >> ((_BYTE - shift) % _BYTE)
            whole = begin >= 0 and len(window) * _BYTE >= _WHOLE + shift
            if whole and (bits >> _SUM_BITS) & ((1 << _MARK_BITS) - 1) == mark:
                headed = shift == 0 and bool(_HEAD.search(data[max(0, begin - _HEAD_BYTES) : begin]))
                yield _Mark((offset + begin) * _BYTE + shift, mark == _END, bits & _ALL, headed)
            place = data.find(needle, place + 1)
