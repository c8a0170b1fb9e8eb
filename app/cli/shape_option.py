"""One option for one field of an ingestion."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from app.cli import shape_texts


@dataclass(frozen=True, slots=True)
class ShapeOption:
    """`field` is its place in IngestionShape; `read` makes the field's value of what was typed.

    An empty text gives the field its default again, unless `empty_means_something`.
    """

    flags: str
    field: str
    kind: Any
    help: str
    metavar: str | None = None
    read: Callable[[Any], Any] = shape_texts.same
    empty_means_something: bool = False

    @property
    def unsets(self) -> bool:
        """Whether an empty text takes back what was said before."""
        return self.kind in {str, list[str]} and not self.empty_means_something

    def value_of(self, typed: Any) -> Any:
        """The field's value."""
        if self.unsets and typed in ("", [""]):
            return _default(self.field)
        return self.read(typed.value if isinstance(typed, StrEnum) else typed)

    @property
    def name(self) -> str:
        return self.flags.split("/")[0].removeprefix("--").replace("-", "_")

    @property
    def parameter(self) -> inspect.Parameter:
        text = f"{self.help} '' unsets it." if self.unsets else self.help
        option = typer.Option(self.flags, metavar=self.metavar, help=text)
        return inspect.Parameter(
            self.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[self.kind | None, option]
        )


def _default(field: str) -> Any:
    from app.schemas.ingestion import IngestionShape

    model: Any = IngestionShape
    *parts, last = field.split(".")
    for part in parts:
        model = model.model_fields[part].annotation
    return model.model_fields[last].get_default()
