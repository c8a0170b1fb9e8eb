"""A look at a source before anything is saved."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from app.api.views.base import Plain, Told, View, examples
from app.api.views.ingestions import EvidenceOut
from app.schemas.ingestion import FormatName, FormatShape, Shape, SourceShape


class PreviewFormat(FormatShape):
    """How the bytes are read, as far as it is known already."""

    type: FormatName | None = Field(default=None, description="Empty: found out by the names of the files.")  # type: ignore[assignment] # less is asked for


class PreviewIn(Shape):
    """A source that is looked at before anything is saved."""

    model_config = ConfigDict(
        json_schema_extra=examples({"source": {"url": "s3://shop/orders/", "connection": "shop"}})
    )

    source: SourceShape
    format: PreviewFormat | None = Field(default=None, description="How the bytes are read; empty: found out.")


class SampleProblemOut(View):
    """A file of the sample that could not be read."""

    path: str
    reason: str
    error: Told


class OutlierOut(View):
    """A column that is a string because of few of its values."""

    column: str
    type: str = Field(description="The type it would have without them.")
    count: int
    total: int
    path: str = Field(description="Where the first such value is.")
    example: str


class RejectedSampleOut(View):
    """Records of a file of the sample that would be rejected."""

    path: str
    count: int
    total: int = Field(description="Records that were looked at.")
    line: int | None = Field(description="Where the first of them begins, from 1.")
    reason: str
    raw: str = Field(description="How it begins.")


class TwinOut(View):
    """A name that gets no column: it differs only in case from one that more records of the sample have."""

    name: str
    records: int = Field(description="How many records of the sample have it.")
    kept: str = Field(description="The column.")
    kept_records: int


class PreviewOut(View):
    """What a load would meet."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {
                "format": "jsonl",
                "because": "the names end in .jsonl.gz",
                "files": 96,
                "byte_count": 130_000_000,
                "more": False,
                "left_out": {"hidden": 2},
                "sampled": ["s3://shop/orders/1.jsonl.gz"],
                "columns": "id bigint, amount decimal(10, 2)",
                "evidence": [],
                "rows": [{"id": 17, "amount": "12.50"}],
                "problems": [],
                "outliers": [],
                "hints": [],
                "rejected": [],
                "twins": [],
            }
        )
    )

    format: str
    because: str = Field(description="Why this format.")
    files: int
    byte_count: int
    more: bool = Field(description="There are more files than were listed.")
    left_out: dict[str, int] = Field(description="Objects that do not count, by reason.")
    sampled: tuple[str, ...] = Field(description="The files that were read.")
    columns: str
    evidence: tuple[EvidenceOut, ...]
    rows: tuple[dict[str, Plain], ...]
    problems: tuple[SampleProblemOut, ...]
    outliers: tuple[OutlierOut, ...]
    hints: tuple[str, ...] = Field(description="Sentences about the options.")
    rejected: tuple[RejectedSampleOut, ...] = Field(
        default=(), description="Of each sampled file with records that loading would reject: how many, and the first."
    )
    twins: tuple[TwinOut, ...] = Field(
        default=(), description="Names that get no column because they differ only in case from a column."
    )
