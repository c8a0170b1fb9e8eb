"""`apply`: ingestions as files say them. Read with line numbers, compared with what is stored, then carried out."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import yaml
from pydantic import ValidationError

from app.config import Settings
from app.database import Database, Session
from app.errors import AutoloaderError, ConfigUnreadable, InvalidInput, NotFound
from app.models import DEFAULT_TENANT
from app.repositories import ingestions
from app.schemas.ingestion import IngestionShape
from app.services import shape_checks, shape_service
from app.services.ingestion_service import IngestionService, full_table_name

_DEEPEST = 10
_MOST_VALUES = 10_000  # of one document; aliases inside aliases make millions of a few lines
_HINT = "See the fields: docs/reference/ingestion.md"


class Action(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class FieldChange:
    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Step:
    """What applying one document does. For a new ingestion `changes` hold what differs from the defaults.

    `place` is the document's file and line.
    """

    name: str
    action: Action
    changes: tuple[FieldChange, ...]
    shape: IngestionShape
    place: str


@dataclass(slots=True)
class Problems:
    """What is wrong with the documents, told together."""

    found: list[AutoloaderError] = field(default_factory=list)

    @contextmanager
    def gathered(self, place: str = "") -> Iterator[None]:
        """Keep what the block raises for `tell`; `place` is put before it."""
        try:
            yield
        except AutoloaderError as error:
            self.found.append(type(error)(f"{place}: {error.message}", hint=error.hint) if place else error)

    def tell(self) -> None:
        """Raise what was gathered: of one problem itself, of several all messages."""
        if not self.found:
            return
        message = " ".join(dict.fromkeys(error.message for error in self.found))
        raise type(self.found[0])(message, hint=self.found[0].hint)


class ApplyService:
    def __init__(self, database: Database, settings: Settings, tenant_id: str = DEFAULT_TENANT) -> None:
        self.database = database
        self.ingestions = IngestionService(database, settings, tenant_id=tenant_id)

    def plan(self, text: str, name: str, folder: Path | None, *, everywhere: bool = False) -> list[Step]:
        """What the documents of `text` would do; `name` is the file's, for messages. Stores nothing.

        Paths of this machine are read from `folder` on; `everywhere`: none that needs one is taken. Raises
        InvalidInput that tells every problem of every document with its line, and then what the ledger has against
        them, as `carry_out` does.
        """
        found, steps = Problems(), list[Step]()
        for document in _documents(text, name):
            with found.gathered():
                step = self._step(document, folder, everywhere=everywhere)
                if step.name in {earlier.name for earlier in steps}:
                    raise document.error(("name",), f"a second ingestion with the name {step.name!r}")
                steps.append(step)
        found.tell()
        if not steps:
            raise InvalidInput(f"{name} holds no ingestion.", hint=_HINT)
        with suppress(_Rehearsed), self.database.session_scope() as session:
            self._store(session, steps)
            raise _Rehearsed
        return steps

    def carry_out(self, steps: Sequence[Step]) -> None:
        """Do all that the plan says, or nothing. Raises Conflict, InvalidInput or NotFound, naming the documents."""
        with self.database.session_scope() as session:
            self._store(session, steps)

    def _store(self, session: Session, steps: Sequence[Step]) -> None:
        found = Problems()
        ingestions.lock_tables(session, [full_table_name(step.shape.destination.table) for step in steps])
        for step in steps:
            with found.gathered(step.place), session.begin_nested():
                if step.action is Action.CREATE:
                    self.ingestions.created(session, step.shape)
                elif step.action is Action.CHANGE:
                    self.ingestions.changed(session, step.name, step.shape)
        found.tell()

    def export(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Ingestions as `apply` reads them: what differs from the defaults, and the columns that were inferred, so
        that the same table is made elsewhere. Raises NotFound.
        """
        chosen = names or self.ingestions.names()
        found = [self.ingestions.find(name) for name in chosen]
        return [written_with_columns(one.shape, str(one.schema) if one.schema is not None else None) for one in found]

    def _step(self, document: _Document, folder: Path | None, *, everywhere: bool) -> Step:
        shape, place = document.shape(folder, everywhere=everywhere), f"{document.file}:{document.line(())}"
        try:
            known = self.ingestions.find(shape.name)
        except (NotFound, ConfigUnreadable) as error:  # what cannot be read is written anew, whole
            changes = [FieldChange(field, None, new) for field, new in _fields(_written(shape)) if field != "name"]
            action = Action.CREATE if isinstance(error, NotFound) else Action.CHANGE
            return Step(shape.name, action, tuple(changes), shape, place)
        before, after = known.shape.model_dump(mode="json"), shape.model_dump(mode="json")
        inferred = known.shape.columns.columns or (str(known.schema) if known.schema is not None else None)
        if after["columns"]["columns"] == inferred:  # to say what was inferred is no change
            before["columns"]["columns"] = after["columns"]["columns"]
        if "paused" not in shape.model_fields_set:  # a file that does not speak of it does not resume it
            after["paused"] = before["paused"]
        found = [FieldChange(*change) for change in shape_service.differences(before, after)]
        return Step(shape.name, Action.CHANGE if found else Action.NOTHING, tuple(found), shape, place)


class _Rehearsed(Exception):
    """Takes back what was stored only to learn whether it can be."""


def written_with_columns(shape: IngestionShape, inferred: str | None) -> dict[str, Any]:
    """What differs from the defaults, with the columns that were inferred where none are given."""
    if shape.columns.columns is None and inferred is not None:
        shape = shape.model_copy(update={"columns": shape.columns.model_copy(update={"columns": inferred})})
    return _written(shape)


def dumped(ingestions: Sequence[dict[str, Any]]) -> str:
    """YAML, one document an ingestion, in the order of the shape."""
    return yaml.safe_dump_all(ingestions, sort_keys=False, allow_unicode=True, explicit_start=len(ingestions) > 1)


def _written(shape: IngestionShape) -> dict[str, Any]:
    written: dict[str, Any] = shape.model_dump(mode="json", exclude_defaults=True)
    return written


def _fields(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict) and key != "properties":
            yield from _fields(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


# --- YAML with lines -------------------------------------------------------------------------


class _Node(Protocol):
    """The part of a YAML node that says where it is."""

    start_mark: Any


@dataclass(frozen=True, slots=True)
class _Document:
    """One ingestion as written, with the line of every field."""

    file: str
    data: dict[str, Any]
    lines: dict[tuple[str, ...], int]

    def shape(self, folder: Path | None, *, everywhere: bool) -> IngestionShape:
        """Raises InvalidInput that tells every problem with its line."""
        try:
            shape = IngestionShape.model_validate(self.data)
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
        hint = found[0].hint if len({one.hint for one in found}) == 1 else _HINT
        return InvalidInput(" ".join(one.message for one in found), hint=hint)

    def _of_field(self, item: Any) -> InvalidInput:
        place = tuple(str(part) for part in item["loc"])
        return self.error(place, self._problem(item, place))

    def _told(self, one: shape_checks.Problem) -> InvalidInput:
        return InvalidInput(f"{self.file}:{self.line(one.place)}: {one.sentence}", hint=one.hint or _HINT)

    def line(self, place: tuple[str, ...]) -> int:
        """Of the field, or of the nearest part that holds it."""
        while place not in self.lines and place:
            place = place[:-1]
        return self.lines.get(place, 1)

    def error(self, place: tuple[str, ...], problem: str) -> InvalidInput:
        field = shape_service.field_of(place)
        return InvalidInput(f"{self.file}:{self.line(place)}: {field}: {problem}.", hint=_HINT)

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


def _documents(text: str, file: str) -> Iterator[_Document]:
    try:
        for root in yaml.compose_all(text, Loader=yaml.SafeLoader):
            yield from _parts(root, file)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidInput(f"{file}:{line}: this is not YAML: {error.problem}.", hint=_HINT) from error
    except RecursionError as error:
        raise InvalidInput(f"{file}: this is nested too deeply.", hint=_HINT) from error
    except yaml.YAMLError as error:
        raise InvalidInput(f"{file}: this is not YAML: {error}.", hint=_HINT) from error


def _parts(root: Any, file: str) -> Iterator[_Document]:
    if root is None or (isinstance(root, yaml.ScalarNode) and root.value == ""):
        return
    for node in root.value if isinstance(root, yaml.SequenceNode) else [root]:
        if not isinstance(node, yaml.MappingNode):
            raise InvalidInput(f"{file}:{_line(node)}: an ingestion is a mapping of fields.", hint=_HINT)
        lines: dict[tuple[str, ...], int] = {(): _line(node)}
        data = _mapping(node, (), lines, file)
        yield _Document(file, data, lines)


def _line(node: _Node) -> int:
    return int(node.start_mark.line) + 1


def _mapping(
    node: yaml.MappingNode, place: tuple[str, ...], lines: dict[tuple[str, ...], int], file: str
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key in data:
            raise InvalidInput(f"{file}:{_line(key_node)}: {'.'.join((*place, key))} is there twice.", hint=_HINT)
        lines[*place, key] = _line(key_node)
        data[key] = _value(value_node, (*place, key), lines, file)
    return data


def _value(node: Any, place: tuple[str, ...], lines: dict[tuple[str, ...], int], file: str) -> Any:
    if len(place) > _DEEPEST:  # an alias of a node inside itself
        raise InvalidInput(f"{file}:{_line(node)}: this is nested too deeply.", hint=_HINT)
    if len(lines) > _MOST_VALUES:
        raise InvalidInput(f"{file}:{_line(node)}: this holds more values than an ingestion can.", hint=_HINT)
    lines.setdefault(place, _line(node))
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, lines, file)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*place, str(at)), lines, file) for at, item in enumerate(node.value)]
    constructor: Any = yaml.SafeLoader("")
    try:
        return constructor.construct_object(node, deep=True)
    except (ValueError, OverflowError) as error:  # a day that no calendar has, a number of too many digits
        raise InvalidInput(f"{file}:{_line(node)}: this value cannot be read: {error}.", hint=_HINT) from error
