"""A JSON document a file: an array of objects, or one object; pretty printed or not.

The document is cut into its elements while it is read, so memory holds one element and one chunk, whatever the file's
size. A document is taken whole or not at all: one that ends too early, has text behind its end or is malformed inside
fails as a file. Elements that are JSON but no objects are rejected one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from app.ingest.formats.base import InferJob, InferResult, Job, Reading, ReadJob
from app.ingest.formats.contract import ParseFile
from app.ingest.formats.json_sample import infer_records
from app.ingest.formats.jsonl import JsonReading, check_options
from app.ingest.formats.lines import Piece
from app.ingest.formats.streams import BadFile, check_encoding, read_chunks

_SPACE = b" \t\r\n"
_STEP = np.zeros(256, np.int8)  # what a structural character does to the depth
_STEP[[ord("["), ord("{")]] = 1
_STEP[[ord("]"), ord("}")]] = -1
_MARK = _STEP != 0
_MARK[ord(",")] = True

Ints = npt.NDArray[np.int64]


class JsonDocument:
    """The format `json`."""

    name = "json"

    def check(self, options: Mapping[str, object]) -> None:
        check_options(self.name, options)

    def open(self, job: ReadJob) -> Reading:
        return DocumentReading(job, split_document)

    def infer(self, job: InferJob) -> InferResult:
        return infer_records(job, split_document, whole=True)


JSON = JsonDocument()


class DocumentReading(JsonReading):
    """A document with an element that is not JSON is not a JSON document: the file fails."""

    def rejects(self, files: Sequence[ParseFile]) -> str:
        query = f"SELECT DISTINCT file_id, line FROM ({super().rejects(files)})"
        broken = "reason LIKE 'malformed%' OR reason LIKE 'invalid-utf8%'"
        found = self._job.connection.execute(f"{query} WHERE {broken} ORDER BY file_id, line DESC").fetchall()
        lines = dict(found)
        for file in files:
            if file.file_id in lines:
                self._job.fail(file, "undecodable", f"{file.path} is not valid JSON near line {lines[file.file_id]}.")
        return super().rejects([file for file in files if file.file_id not in lines])


def split_document(file: ParseFile, job: Job) -> Iterator[Piece]:
    """The document's elements. Raises BadFile; elements so far are then void."""
    cutter = _Cutter(file, job.limits.max_record_bytes)
    for chunk in read_chunks(file, job.limits, check_encoding(job.options.get("encoding"))):
        yield from cutter.feed(chunk)
    cutter.finish()


class _Cutter:
    """Cuts at commas of depth one, outside strings."""

    def __init__(self, file: ParseFile, limit: int) -> None:
        self.file = file
        self.limit = limit
        self.rest = b""  # from the start of the element that is not complete
        self.offset = 0  # of `rest` in the file
        self.line = 1
        self.array = False
        self.begun = self.closed = False
        self.elements = 0

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        self.rest += chunk
        if not self.begun and not self._begin():
            return
        if self.closed:
            self._trailing()
            return
        if self.array:
            yield from self._elements()
        else:
            yield from self._object()
        if len(self.rest) > self.limit and not self.closed:
            raise BadFile("too-large", f"{self.file.path} holds one value of more than {self.limit:,} bytes.")

    def finish(self) -> None:
        """Raises BadFile when the document is not complete."""
        if not self.begun:
            raise BadFile("empty", f"{self.file.path} holds nothing.", "SKIPPED")
        if not self.closed:
            raise BadFile("truncated", f"{self.file.path} ends before its JSON document does.")

    def _begin(self) -> bool:
        text = self.rest.lstrip(_SPACE)
        self._advance(len(self.rest) - len(text))
        if not text:
            return False
        if text[:1] not in {b"[", b"{"}:
            shown = text[:20].decode(errors="replace").strip()
            raise BadFile(
                "not-this-format", f"{self.file.path} holds neither a JSON array nor an object, but {shown!r}."
            )
        self.begun = True
        self.array = text[:1] == b"["
        if self.array:
            self._advance(1)
        return True

    def _advance(self, count: int) -> None:
        self.line += self.rest.count(b"\n", 0, count)
        self.offset += count
        self.rest = self.rest[count:]

    def _trailing(self) -> None:
        if self.rest.strip(_SPACE):
            hint = "" if self.array else " Objects one after another are JSON lines: use the format jsonl."
            raise BadFile(
                "undecodable", f"{self.file.path} has text behind its JSON document (line {self.line}).{hint}"
            )
        self._advance(len(self.rest))

    def _object(self) -> Iterator[Piece]:
        marks, depth = structure(self.rest, 0)
        ends = marks[depth == 0]
        if not len(ends):
            return
        size = int(ends[0]) + 1
        one = np.array([0])
        yield Piece(self.file.file_id, self.rest[:size], one, np.array([size]), np.array([self.line]), self.offset)
        self._close(size)

    def _elements(self) -> Iterator[Piece]:
        marks, depth = structure(self.rest, 1)
        raw = np.frombuffer(self.rest, np.uint8)
        closing = marks[depth == 0]
        end = int(closing[0]) if len(closing) else -1
        cuts = marks[(raw[marks] == ord(",")) & (depth == 1)]
        cuts = cuts[cuts < end] if end >= 0 else cuts
        if end >= 0:
            cuts = np.append(cuts, end)
        if not len(cuts):
            return
        if piece := self._piece(cuts, last=end >= 0):
            yield piece
        if end >= 0:
            self._close(end + 1)
        else:
            self._advance(int(cuts[-1]) + 1)

    def _piece(self, cuts: Ints, *, last: bool) -> Piece | None:
        """The elements before each cut, lying back to back: the commas between them become spaces."""
        if last and len(cuts) == 1 and not self.elements and not self.rest[: cuts[0]].strip(_SPACE):
            return None  # an empty array
        text = self.rest[: int(cuts[-1])]
        starts = np.concatenate([[0], cuts[:-1] + 1])
        starts = starts + np.array([_leading(text, s, e) for s, e in zip(starts.tolist(), cuts.tolist(), strict=True)])
        if bool((starts >= cuts).any()):
            raise BadFile("undecodable", f"{self.file.path} has a comma without an element near line {self.line}.")
        self.elements += len(starts)
        newlines = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
        numbers = self.line + np.searchsorted(newlines, starts)
        data = bytearray(text)
        np.frombuffer(data, np.uint8)[cuts[:-1]] = ord(" ")
        first = int(starts[0])
        starts = starts - first
        ends = np.append(starts[1:], len(text) - first)
        return Piece(self.file.file_id, bytes(data[first:]), starts, ends, numbers, self.offset + first)

    def _close(self, size: int) -> None:
        self._advance(size)
        self.closed = True
        self._trailing()


def _leading(text: bytes, start: int, end: int) -> int:
    """How many bytes of white space an element begins with."""
    if text[start : start + 1] not in {b" ", b"\t", b"\r", b"\n"}:
        return 0 if start < end else 1
    part = text[start:end]
    return len(part) - len(part.lstrip(_SPACE))


def structure(data: bytes, depth: int) -> tuple[Ints, Ints]:
    """Positions of brackets, braces and commas outside strings, and the depth behind each; `depth` is the first."""
    raw = np.frombuffer(data, np.uint8)
    quotes = raw == ord('"')
    if b'\\"' in data:
        _unmark_escaped(data, quotes)
    inside = np.cumsum(quotes, dtype=np.uint8) & 1
    marks = np.flatnonzero(_MARK[raw] & (inside == 0))
    return marks, np.cumsum(_STEP[raw[marks]], dtype=np.int64) + depth


def _unmark_escaped(data: bytes, quotes: npt.NDArray[np.bool_]) -> None:
    """A quote behind an odd number of backslashes neither opens nor closes a string."""
    raw = np.frombuffer(data, np.uint8)
    doubtful = np.flatnonzero(quotes[1:] & (raw[:-1] == ord("\\"))) + 1
    for at in doubtful.tolist():
        run = at
        while run and data[run - 1] == ord("\\"):
            run -= 1
        if (at - run) % 2:
            quotes[at] = False
