"""The format of a source, inferred once from the names its listing shows; `.json` also from the first bytes of a file.

It is stored on the ingestion and never inferred again. What is not clear is refused: no file is loaded on a guess.
"""

from __future__ import annotations

import bz2
import json
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

import zstandard

from app.errors import InvalidInput, SourceError
from app.ingest import discovery
from app.ingest.discovery import DiscoveryRules
from app.storage import Store
from app.values import FoundFile

_FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_ENOUGH = 10_000  # files whose names are looked at
_HEAD_BYTES = 64 * 1024
_UNPACKED_BYTES = 256 * 1024

_UNPACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda data: zlib.decompressobj(wbits=31).decompress(data, _UNPACKED_BYTES),
    ".gzip": lambda data: zlib.decompressobj(wbits=31).decompress(data, _UNPACKED_BYTES),
    ".bz2": lambda data: bz2.BZ2Decompressor().decompress(data, _UNPACKED_BYTES),
    ".zst": lambda data: zstandard.ZstdDecompressor().stream_reader(data).read(_UNPACKED_BYTES),
    ".zstd": lambda data: zstandard.ZstdDecompressor().stream_reader(data).read(_UNPACKED_BYTES),
}


@dataclass(frozen=True, slots=True)
class FormatFound:
    """The format, and the sentence that says why."""

    name: str
    because: str


def infer_format(store: Store, rules: DiscoveryRules, now: datetime) -> FormatFound:
    """Raises InvalidInput when the names say nothing, or several things; SourceError's children from the listing."""
    found: dict[str, list[FoundFile]] = {}
    looked = 0
    left_out: Counter[str] = Counter()
    for page in discovery.discover(store, rules, now=now):
        left_out.update(page.skipped)
        for file in page.files:
            found.setdefault(_ending(file.path), []).append(file)
        looked += len(page.files)
        if looked >= _ENOUGH:
            break
    if not found:
        raise InvalidInput(_nothing(store.base, left_out), hint="Say what it will be, for example: --format csv")
    kinds = Counter({ending: len(files) for ending, files in found.items()})
    formats = {_FORMATS.get(ending, "") for ending in kinds}
    if len(formats) > 1 or "" in formats:
        raise _unclear(store.base, found, kinds)
    ending = kinds.most_common(1)[0][0]
    because = f"{'1 file ends' if looked == 1 else f'{looked:,} files end'} in {', '.join(sorted(kinds))}"
    name = formats.pop()
    if name == "json":
        return _json(store, found[ending], because)
    return FormatFound(name, because)


def _ending(path: str) -> str:
    """The ending that tells the format: that of a compression is looked through."""
    name = PurePosixPath(path.rpartition("/")[2].lower())
    return PurePosixPath(name.stem).suffix if name.suffix in _UNPACK else name.suffix


def _nothing(base: str, left_out: Counter[str]) -> str:
    if not left_out:
        return f"{base} is empty: nothing tells the format."
    shown = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
    return f"No file of {base} counts (left out: {shown}): nothing tells the format."


def _unclear(base: str, found: dict[str, list[FoundFile]], kinds: Counter[str]) -> InvalidInput:
    shown = ", ".join(f"{count:,} × {ending or 'no ending'}" for ending, count in kinds.most_common(5))
    known = [ending for ending, _ in kinds.most_common() if ending in _FORMATS]
    strange = next((files[0].path for ending, files in found.items() if ending not in _FORMATS), "")
    example = f" ({strange.rpartition('/')[2]})" if strange else ""
    hint = "Say it: --format jsonl, json, csv, tsv or parquet."
    if known:
        hint = f"Say which: --format {_FORMATS[known[0]]} --include '**/*{known[0]}*'"
    return InvalidInput(f"The names in {base} do not tell one format: {shown}{example}.", hint=hint)


# --- .json: an array, an object, or one object a line ----------------------------------------


def _json(store: Store, files: list[FoundFile], because: str) -> FormatFound:
    for file in files[:3]:
        try:
            head = _unpacked(file.path, store.read(file.path, 0, _HEAD_BYTES))
        except (SourceError, OSError, EOFError, zlib.error, zstandard.ZstdError):
            continue
        name = file.path.rpartition("/")[2]
        if _is_lines(head):
            return FormatFound("jsonl", f"{because}, and {name} holds one object a line")
        return FormatFound("json", because)
    return FormatFound("json", because)


def _unpacked(path: str, data: bytes) -> bytes:
    unpack = _UNPACK.get(PurePosixPath(path.lower()).suffix)
    return unpack(data) if unpack else data


def _is_lines(head: bytes) -> bool:
    """Whether the first line is a whole JSON object and another object begins behind it."""
    first, _, rest = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
    if not rest.lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except ValueError:
        return False
