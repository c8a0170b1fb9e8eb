"""The part of docs/spark-engine.md that tells what Spark does otherwise: from the marks of the conformance suite."""

from __future__ import annotations

from pathlib import Path

from tests.functional.ingest.engines.conformance import REFUSALS, differences
from tools.markdown import table

_BEGIN = "<!-- From here to the end: written by `make docs` from the conformance suite; change its marks instead. -->"
_HEAD = "## What Spark does otherwise"
_SUITE = """\
Both engines load the files of one suite, format by format and option by option, and their tables, rescued texts,
rejects and states of files are compared. What is not the same stands here, and the suite fails when it is the same."""


def page(path: Path) -> str:
    """The page at `path` with that part written anew."""
    before = path.read_text(encoding="utf-8").partition(_BEGIN)[0]
    refused = "; ".join(dict.fromkeys(refusal.shown for refusal in REFUSALS))
    rows = [[one.what, one.how] for one in differences()]
    body = f"Refused by name, before anything is written: {refused}.\n\n{table(['what', 'on Spark'], rows)}"
    return f"{before}{_BEGIN}\n\n{_HEAD}\n\n{_SUITE}\n\n{body}\n"
