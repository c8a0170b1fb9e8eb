"""The root of the tree, and the end that is none."""

from __future__ import annotations

from typing import ClassVar


class Told(BaseException):
    """What happened (`message`), and the next step (`hint`).

    `code` is stable and may be matched by programs; `status_code` is its HTTP
    meaning; `retryable` says whether doing the same again can help.
    """

    code: ClassVar[str] = "internal"
    status_code: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class AutoloaderError(Told, Exception):
    """The root of all errors."""


class Interrupted(Told):
    """A person or the machine ends the process. No Exception, as Python's own interrupt is none: whoever goes on after
    an error (upkeep, probes, the next file) must not go on after this.
    """

    code = "interrupted"
    status_code = 499
