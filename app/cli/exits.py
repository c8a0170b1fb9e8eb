"""Exit codes, all of them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a script can tell by the code alone."""

    OK = 0
    ERROR = 1
    USAGE = 2
    PARTIAL = 3
    LEASE_HELD = 4
    BLOCKED = 5
    INTERRUPTED = 130
    TERMINATED = 143


MEANING: dict[Exit, str] = {
    Exit.OK: "done; a run loaded all there was",
    Exit.ERROR: "an error; the message says what happened and what to do next",
    Exit.USAGE: "the command line is wrong",
    Exit.PARTIAL: "a run ended PARTIAL: a file was not loaded, work still waits, or each record was rejected",
    Exit.LEASE_HELD: "another run of the ingestion is active",
    Exit.BLOCKED: "the ingestion is blocked until a person decides: `autoloader ingestions resolve`",
    Exit.INTERRUPTED: "stopped by Ctrl-C; nothing is half done",
    Exit.TERMINATED: "stopped by SIGTERM; nothing is half done",
}

BY_CODE: dict[str, Exit] = {"lease-held": Exit.LEASE_HELD, "ingestion-blocked": Exit.BLOCKED}
BY_RUN_STATE: dict[str, Exit] = {
    "SUCCESS": Exit.OK,
    "PARTIAL": Exit.PARTIAL,
    "FAILED": Exit.ERROR,
    "CANCELLED": Exit.ERROR,
}
