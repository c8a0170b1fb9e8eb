"""`apply`: ingestions as files say them. Compared with what is stored, then carried out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from app.config import Settings
from app.database import Database, Session
from app.errors import AutoloaderError, ConfigUnreadable, InvalidInput, NotFound
from app.models import DEFAULT_TENANT
from app.repositories import ingestions
from app.schemas.ingestion import IngestionShape
from app.services import engine_said, shape_service
from app.services.apply_documents import HINT, Document, documents
from app.services.ingestion_service import IngestionService, full_table_name


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
        for document in documents(text, name):
            with found.gathered():
                step = self._step(document, folder, everywhere=everywhere)
                if step.name in {earlier.name for earlier in steps}:
                    raise document.error(("name",), f"a second ingestion with the name {step.name!r}")
                steps.append(step)
        found.tell()
        if not steps:
            raise InvalidInput(f"{name} holds no ingestion.", hint=HINT)
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

    def _step(self, document: Document, folder: Path | None, *, everywhere: bool) -> Step:
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
    written = engine_said.of_stored(_written(shape))  # an older server may answer a cluster that means nothing
    return {field: value for field, value in written.items() if value is not None}


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
