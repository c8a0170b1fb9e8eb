"""From what a person wrote to the shape of an ingestion: checked, with addresses that mean the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.errors import InvalidInput
from app.ingest.discovery import split_source
from app.schemas.ingestion import IngestionShape
from app.services.file_names import is_text
from app.services.shape_checks import problems
from app.storage import join, parse_address


def shape_of(data: Mapping[str, Any]) -> IngestionShape:
    """The shape; raises InvalidInput that names everything in it that cannot be."""
    try:
        shape = IngestionShape.model_validate(data)
    except ValidationError as error:
        raise InvalidInput(
            "; ".join(sentences(error)) + ".", hint="See the fields: autoloader docs reference/ingestion"
        ) from error
    if found := problems(shape):
        text = found[0].text if len(found) == 1 else " ".join(one.sentence for one in found)
        raise InvalidInput(text, hint=found[0].hint)
    return shape


def sentences(error: ValidationError) -> list[str]:
    """What is wrong, field by field, in the words of the shape."""
    return [f"{field_of(item['loc'])}: {problem_of(item)}" for item in error.errors(include_url=False)]


def field_of(place: tuple[int | str, ...]) -> str:
    """`source.url`."""
    return ".".join(str(part) for part in place_of(place)) or "document"


def place_of(place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The place without what pydantic adds to tell the members of a union apart."""
    return tuple(part for part in place if not (isinstance(part, str) and part in _UNION_MEMBERS))


_UNION_MEMBERS = frozenset({"datetime", "literal['everything','now']"})


def problem_of(item: Mapping[str, Any]) -> str:
    """One problem as half a sentence."""
    if item["type"] == "extra_forbidden":
        return "there is no such field"
    if item["type"] == "missing":
        return "this field is needed"
    text = str(item["msg"]).removeprefix("Value error, ").rstrip(".")
    return text[:1].lower() + text[1:]


def canonical_url(url: str, folder: Path | None = None) -> str:
    """The same source wherever a process starts: a path of this machine becomes absolute, from `folder` on.

    Raises InvalidInput for what is no address.
    """
    if not is_text(url):
        raise InvalidInput(f"The address {url!r} is not UTF-8.", hint="Rename the folder; no ledger can hold its name.")
    if "://" not in url and not url.startswith(("/", "~")) and folder is not None:
        url = str(folder / url)
    base, pattern = split_source(url)
    address = parse_address(base)
    if address.kind != "local":
        return url if pattern else url.rstrip("/")
    return join(address.base, pattern) if pattern else address.base


def require_everywhere(url: str, place: tuple[str, ...] = ("source", "url")) -> None:
    """Raise InvalidInput for a path that depends on where a process was started."""
    if "://" not in url and not url.startswith(("/", "~")):
        raise InvalidInput(
            f"{url!r} is no address that is the same for every process.",
            hint="Write an absolute path, or s3://, az:// or gs://.",
            fields=[(place, "a path of the API's machine must begin with /")],
        )


def differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """`(field, old, new)` of every field that differs, by dotted name."""
    found: list[tuple[str, Any, Any]] = []
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping) and key != "properties":
            found += differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append((f"{prefix}{key}", old, new))
    return found


def merged(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the fields of `given` set, part by part."""
    result = dict(base)
    for key, value in given.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
