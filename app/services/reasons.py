"""Why a file is not in the table: each reason's meaning and the next step, for people and for the docs."""

from __future__ import annotations

from dataclasses import dataclass

from app.ingest import ledger


@dataclass(frozen=True, slots=True)
class Reason:
    """`next_step` ends a message; it may be empty where nothing is to be done."""

    meaning: str
    next_step: str


REASONS: dict[str, Reason] = {
    "truncated": Reason("the file ends before its compression or its records do", "Deliver the whole file again."),
    "undecodable": Reason(
        "its bytes are not what its compression or encoding says", "Look at compression and encoding; deliver it again."
    ),
    "not-this-format": Reason("it is no file of the ingestion's format", "Exclude it, or deliver a right one."),
    "expansion": Reason(
        "compressed, it grows by more than PARSER_MAX_EXPANSION", "If it is genuine, raise the setting and retry."
    ),
    "too-large": Reason(
        "a record, or what the file expands to, passes a limit", "Raise the limit that the message names, and retry."
    ),
    "too-many-errors": Reason(
        "more records could not be parsed than max_errors allows",
        "Mend the file, or raise max_errors and then: autoloader files retry",
    ),
    "not-on-spark": Reason(
        "Spark would leave it out, or read it otherwise than the embedded engine",
        "Load it with engine: embedded (of load: --engine embedded).",
    ),
    ledger.DIED: Reason("the parser was lost whenever it read this file", "Look at the file; retry tries it again."),
    ledger.JOB_FAILED: Reason(
        "the job that loads it fails on the cluster, which gets through others",
        "Look at the file; load it with engine: embedded (of load: --engine embedded), or retry.",
    ),
    "denied": Reason("the store refused to let it be read", "Give the right to read it, then: autoloader files retry"),
    "not-given": Reason(
        "the store fails whenever it is asked for it, and gives others",
        "Look at the object in its store, or write it anew; when it can be read: autoloader files retry",
    ),
    ledger.MISSING: Reason(
        "listed, then gone before it was read",
        "Listed again, it is loaded; where another version was loaded and on_change is not append, only by:"
        " autoloader files retry",
    ),
    ledger.CHANGED: Reason(
        "another version than the one that was listed",
        "The version that is there now is found by the next run. This one, if it was put back beside a loaded one, is"
        " loaded by: autoloader files retry",
    ),
    ledger.SUPERSEDED: Reason(
        "another version took its place before this one was loaded",
        "Nothing to do, unless this very version was put back beside a loaded one: then name its id:"
        " autoloader files retry ID",
    ),
    ledger.EMPTY: Reason("it has no bytes", "Nothing to do: once something is written to it, it is found as new."),
    ledger.ON_CHANGE_IGNORE: Reason(
        "it changed after it was loaded, and on_change is ignore",
        "To load the new version too, with all of its rows: autoloader files retry",
    ),
    ledger.ON_CHANGE_FAIL: Reason(
        "it changed after it was loaded, and on_change is fail", "Decide: autoloader files retry, or files skip."
    ),
    ledger.BY_HAND: Reason("a person decided it", "To take it back: autoloader files retry"),
}


def retry_can_help(reason: str | None) -> bool:
    """False where another try of the same version ends as the first did."""
    return reason not in ledger.FUTILE
