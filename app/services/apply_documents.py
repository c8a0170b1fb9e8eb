"""Documents that `apply` reads: YAML with the line of every field, and the shape that it says."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml
from pydantic import ValidationError

from app.errors import AutoloaderError, InvalidInput
from app.schemas.ingestion import IngestionShape
from app.services import engine_said, shape_checks, shape_service

_DEEPEST = 10
_MOST_VALUES = 10_000  # of one document; aliases inside aliases make millions of a few lines
HINT = "See the fields: autoloader docs reference/ingestion"


class _Node(Protocol):
    """The part of a YAML node that says where it is."""

    start_mark: Any


@dataclass(frozen=True, slots=True)
class Document:
    """One ingestion as written, with the line of every field."""

    file: str
    data: dict[str, Any]
    lines: dict[tuple[str, ...], int]

    def shape(self, folder: Path | None, *, everywhere: bool) -> IngestionShape:
        """Raises InvalidInput that tells every problem with its line."""
        try:
            shape = engine_said.of_document(IngestionShape.model_validate(self.data))
        except ValidationError as error:
            raise self._all([self._of_field(item) for item in error.errors(include_url=False)]) from error
        told = [self._told(one) for one in shape_checks.problems(shape)]
        try:
            if everywhere:
                shape_service.require_everywhere(shape.source.url)
            url = shape_service.canonical_url(shape.source.url, folder)
        except AutoloaderError as error:
            told = [self._told(shape_checks.Problem(("source", "url"), error.message, error.hint)), *told]
        if told:
            raise self._all(told)
        return shape.model_copy(update={"source": shape.source.model_copy(update={"url": url})})

    def _all(self, found: Sequence[InvalidInput]) -> InvalidInput:
        hint = found[0].hint if len({one.hint for one in found}) == 1 else HINT
        return InvalidInput(" ".join(one.message for one in found), hint=hint)

    def _of_field(self, item: Any) -> InvalidInput:
        place = tuple(str(part) for part in item["loc"])
        return self.error(place, self._problem(item, place))

    def _told(self, one: shape_checks.Problem) -> InvalidInput:
        return InvalidInput(f"{self.file}:{self.line(one.place)}: {one.sentence}", hint=one.hint or HINT)

    def line(self, place: tuple[str, ...]) -> int:
        """Of the field, or of the nearest part that holds it."""
        while place not in self.lines and place:
            place = place[:-1]
        return self.lines.get(place, 1)

    def error(self, place: tuple[str, ...], problem: str) -> InvalidInput:
        field = shape_service.field_of(place)
        return InvalidInput(f"{self.file}:{self.line(place)}: {field}: {problem}.", hint=HINT)

    def _problem(self, item: Any, place: tuple[str, ...]) -> str:
        problem = shape_service.problem_of(item)
        if item["type"] != "extra_forbidden":
            return problem
        near = difflib.get_close_matches(place[-1], _names_beside(place), n=1)
        return f"{problem} (is {near[0]} meant?)" if near else problem


def _names_beside(place: tuple[str, ...]) -> list[str]:
    """The fields there are in the part that holds this one."""
    model: Any = IngestionShape
    for part in place[:-1]:
        model = model.model_fields[part].annotation
    return list(model.model_fields)


def documents(text: str, file: str) -> Iterator[Document]:
    """The ingestions that a text holds, `file` is its name. Raises InvalidInput, with the line where it is known."""
    try:
        for root in yaml.compose_all(text, Loader=yaml.SafeLoader):
            yield from _parts(root, file)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidInput(f"{file}:{line}: this is not YAML: {error.problem}.", hint=HINT) from error
    except RecursionError as error:
        raise InvalidInput(f"{file}: this is nested too deeply.", hint=HINT) from error
    except yaml.YAMLError as error:
        raise InvalidInput(f"{file}: this is not YAML: {error}.", hint=HINT) from error


def _parts(root: Any, file: str) -> Iterator[Document]:
    if root is None or (isinstance(root, yaml.ScalarNode) and root.value == ""):
        return
    for node in root.value if isinstance(root, yaml.SequenceNode) else [root]:
        if not isinstance(node, yaml.MappingNode):
            raise InvalidInput(f"{file}:{_line(node)}: an ingestion is a mapping of fields.", hint=HINT)
        lines: dict[tuple[str, ...], int] = {(): _line(node)}
        data = _mapping(node, (), lines, file)
        yield Document(file, data, lines)


def _line(node: _Node) -> int:
    return int(node.start_mark.line) + 1


def _mapping(
    node: yaml.MappingNode, place: tuple[str, ...], lines: dict[tuple[str, ...], int], file: str
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key in data:
            raise InvalidInput(f"{file}:{_line(key_node)}: {'.'.join((*place, key))} is there twice.", hint=HINT)
        lines[*place, key] = _line(key_node)
        data[key] = _value(value_node, (*place, key), lines, file)
    return data


def _value(node: Any, place: tuple[str, ...], lines: dict[tuple[str, ...], int], file: str) -> Any:
    if len(place) > _DEEPEST:  # an alias of a node inside itself
        raise InvalidInput(f"{file}:{_line(node)}: this is nested too deeply.", hint=HINT)
    if len(lines) > _MOST_VALUES:
        raise InvalidInput(f"{file}:{_line(node)}: this holds more values than an ingestion can.", hint=HINT)
    lines.setdefault(place, _line(node))
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, lines, file)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*place, str(at)), lines, file) for at, item in enumerate(node.value)]
    constructor: Any = yaml.SafeLoader("")
    try:
        return constructor.construct_object(node, deep=True)
    except (ValueError, OverflowError) as error:  # a day that no calendar has, a number of too many digits
        raise InvalidInput(f"{file}:{_line(node)}: this value cannot be read: {error}.", hint=HINT) from error
