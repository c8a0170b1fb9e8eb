"""The options of CSV and TSV, checked, with their defaults. Nothing is ever guessed from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.errors import InvalidInput
from app.ingest.formats.streams import check_encoding
from app.ingest.formats.strict_text import TextFormats
from app.ingest.formats.strptime import check_strptime

_OWN = frozenset(
    {
        "header",
        "delimiter",
        "quote",
        "escape",
        "encoding",
        "null_values",
        "comment",
        "skip_lines",
        "date_format",
        "timestamp_format",
    }
)
_COMMON = frozenset({"type", "compression"})


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """How one ingestion's CSV is written.

    `quote` and `escape` are one character or empty; with `escape == quote` a quote inside quotes is doubled.
    A text of `nulls` is null, quoted or not; in columns that are not strings the empty text always is.
    """

    delimiter: str
    quote: str
    escape: str
    encoding: str
    nulls: tuple[str, ...]
    comment: str
    header: bool
    skip_lines: int
    formats: TextFormats

    @property
    def bytewise(self) -> bool:
        """Whether each special character is one byte, so that bytes can be scanned for it."""
        return (self.delimiter + self.quote + self.escape).isascii()


def read_options(options: Mapping[str, object], name: str, delimiter: str) -> CsvDialect:
    """The dialect that `options` describe. Raises InvalidInput, naming the option."""
    for key in options:
        if key not in _OWN | _COMMON:
            raise InvalidInput(f"The format {name} has no option {key!r}.", hint=f"It has: {', '.join(sorted(_OWN))}.")
    quote = _character(options, "quote", '"', empty=True)
    nulls = options.get("null_values")
    skip = options.get("skip_lines")
    header = options.get("header")
    dialect = CsvDialect(
        delimiter=_character(options, "delimiter", delimiter),
        quote=quote,
        escape=_character(options, "escape", quote, empty=True) if quote else "",
        encoding=check_encoding(options.get("encoding")),
        nulls=("",) if nulls is None else tuple(str(text) for text in nulls) if isinstance(nulls, list | tuple) else (),
        comment=str(options.get("comment") or ""),
        header=header is None or bool(header),
        skip_lines=int(str(skip)) if skip is not None else 0,
        formats=TextFormats(
            date=check_strptime(options, "date_format"), timestamp=check_strptime(options, "timestamp_format")
        ),
    )
    _distinct(dialect)
    return dialect


def _character(options: Mapping[str, object], key: str, default: str, *, empty: bool = False) -> str:
    value = options.get(key)
    text = default if value is None else str(value)
    text = "\t" if text == "\\t" else text
    if (text or not empty) and (len(text) != 1 or text in "\r\n\0"):
        raise InvalidInput(
            f"The option {key} is {text!r}; it must be one character, not a line end.",
            hint="Leave it out for the default, or write for example ; or \\t.",
        )
    return text


def _distinct(dialect: CsvDialect) -> None:
    if dialect.delimiter in {dialect.quote, dialect.escape}:
        raise InvalidInput(
            f"The delimiter is the same character as the quote or the escape, {dialect.delimiter!r}.",
            hint="Give delimiter and quote (and escape) a character each.",
        )
    if dialect.comment and (
        dialect.comment[0] in {dialect.quote, dialect.delimiter} or set(dialect.comment) & set("\r\n")
    ):
        raise InvalidInput(
            f"The comment text {dialect.comment!r} cannot begin with the quote or the delimiter, or hold a line end.",
            hint="Write what the lines begin with that are left out, for example #.",
        )
