"""Ingestions as somebody declares them: YAML documents, or a source and a table."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from app.api.views.base import Plain, View, examples
from app.api.views.ingestions import EXAMPLE_INGESTION, IngestionOut
from app.schemas.ingestion import Shape

_STEP = {
    "name": "orders",
    "action": "change",
    "changes": [{"field": "schedule.cron", "old": "*/15 * * * *", "new": "0 6 * * *"}],
}


class ApplyIn(Shape):
    """Documents that say how ingestions shall be, and whether to make them so or to see what would change."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {
                "documents": "name: orders\nsource: {url: s3://shop/orders/}\nformat: {type: jsonl}\n"
                "destination: {table: shop.orders}\n"
            }
        )
    )

    documents: str = Field(description="YAML with one or many ingestions, as `autoloader apply` reads it.")
    name: str = Field(default="documents", max_length=1024, description="Their name in messages, such as a file's.")
    dry_run: bool = Field(default=True, description="Only say what would change.")
    confirmation: str | None = Field(
        default=None, max_length=200, description="Of the dry run: refused with 409 when something else would change."
    )


class FieldChangeOut(View):
    """A field that differs."""

    field: str
    old: Plain
    new: Plain


class ApplyStepOut(View):
    """What one document does. Of a new ingestion: what differs from the defaults."""

    model_config = ConfigDict(json_schema_extra=examples(_STEP))

    name: str
    action: Literal["create", "change", "nothing"]
    changes: tuple[FieldChangeOut, ...]


class ApplyOut(View):
    """What the documents do."""

    model_config = ConfigDict(
        json_schema_extra=examples({"steps": [_STEP], "applied": False, "confirmation": "5f0c1d2e3a4b5c6d"})
    )

    steps: tuple[ApplyStepOut, ...]
    applied: bool = Field(description="Whether something was changed.")
    confirmation: str = Field(description="Send it back with dry_run: false to get exactly this.")


class LoadIn(Shape):
    """A source, a table, and the fields of the ingestion's shape that are not as usual."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {"url": "s3://shop/orders/", "table": "shop.orders", "fields": {"source": {"connection": "shop"}}}
        )
    )

    url: str = Field(max_length=2048, description="Address of the source, the same for every process.")
    table: str = Field(max_length=400, description="`namespace.table` or `catalog.namespace.table`.")
    fields: dict[Annotated[str, Field(max_length=100)], Any] = Field(
        default_factory=dict, max_length=20, description="Fields of an ingestion that are given, and no others."
    )


class LoadOut(View):
    """The ingestion that loads the source into the table."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {"ingestion": EXAMPLE_INGESTION, "created": True, "notes": ["Format jsonl: 96 files end in .jsonl.gz."]}
        )
    )

    ingestion: IngestionOut
    created: bool = Field(description="Whether it was made now.")
    notes: tuple[str, ...] = Field(description="What was inferred, or changed.")
