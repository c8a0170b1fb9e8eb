"""Keys the object-store library can carry, and those it cannot. Pure."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_plain(key: str) -> bool:
    """Whether the library takes the key as it is.

    It refuses control characters (a newline), empty segments (`a//b`), `.` and `..`, and it drops a slash at
    either end. One such key fails a whole listing, so somebody else has to handle them.
    """
    return not _CONTROL.search(key) and all(part not in {"", ".", ".."} for part in key.split("/"))
