"""Files as a cluster names and reaches them: the ledger's addresses on one side, Hadoop's on the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.spark.sql import literal

_GLOB = re.compile(r"([\\*?\[\]{}])")
SEEN = "_metadata.file_path"
_PLAIN = re.compile(r"(?!.*(?://|/\.{1,2}/))[\w/.~=-]*", re.ASCII)  # written in a URI as it is
# Most names need no decoding, and it would be done for each row.
_DECODED = f"CASE WHEN contains({SEEN}, '%') THEN url_decode(replace({SEEN}, '+', '%2B')) ELSE {SEEN} END"


def escaped(address: str) -> str:
    """The address as `load` takes it: what would be a pattern is none."""
    return _GLOB.sub(r"\\\1", address)


@dataclass(frozen=True, slots=True)
class FileAccess:
    """`root` begins each address of the ledger, and `there` the same file's on the cluster. Its text shows no secret.

    `options` go with every read and with nothing else of the session: they may hold the credentials of a connection.
    By default, files of a folder that the cluster sees under the same path.
    """

    root: str = ""
    there: str = "file:"
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def path(self, address: str) -> str:
        """The address as `load` takes it: what would be a pattern is escaped."""
        return self.there + escaped(address.removeprefix(self.root))

    def seen(self, address: str) -> tuple[str, ...]:
        """How SEEN may write the file of that address; empty where only `address_sql` can tell it from the others."""
        rest = address.removeprefix(self.root)
        if not _PLAIN.fullmatch(rest) or "%" in self.there:
            return ()
        return (self.there + rest,) if self.root else (f"file:{rest}", f"file://{rest}")

    @property
    def address_sql(self) -> str:
        """SQL for the ledger's address of the file that a row was read from."""
        if not self.root:
            return f"concat('/', ltrim('/', substring({_DECODED}, 6)))"  # from file:/a or file:///a
        return f"concat({literal(self.root)}, substring({_DECODED}, {len(self.there) + 1}))"

    def told(self, text: str) -> str:
        """What the cluster said, with the ledger's addresses in it."""
        return text.replace(self.there, self.root) if self.root else text
