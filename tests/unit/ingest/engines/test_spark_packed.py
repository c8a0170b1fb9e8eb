"""Where a bzip2 stream ends, told by its last bytes."""

from __future__ import annotations

import bz2
import random

import pytest

from app.ingest.engines.spark_packed import ends_a_stream

# The end begins within a byte: these come to each of the eight places.
LENGTHS = range(60)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_stream_ends_with_its_last_byte_and_no_other(length):
    stream = bz2.compress(random.Random(length).randbytes(length))
    assert ends_a_stream(stream[-11:])
    assert not ends_a_stream((stream + b"\n")[-11:])
    assert not ends_a_stream(stream[:-1][-11:])


def test_what_is_shorter_than_a_stream_ends_none():
    assert not ends_a_stream(b"")
    assert not ends_a_stream(b"BZh9")
