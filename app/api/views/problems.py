"""Problem details (RFC 9457): what every refused call is answered with."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PROBLEM_TYPE = "urn:iomete:autoloader:problem:"
MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """One thing that is wrong with what was sent."""

    model_config = ConfigDict(populate_by_name=True)

    where: Literal["body", "query", "path", "header"] = Field(alias="in", description="Which part of the call.")
    pointer: str | None = Field(default=None, description="JSON pointer into the body, such as `#/source/url`.")
    parameter: str | None = Field(default=None, description="Name of the parameter or header.")
    detail: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """What happened, and what to do next."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": f"{PROBLEM_TYPE}not-found",
                    "title": "Not found",
                    "status": 404,
                    "detail": "There is no run 0b0d0a0e-0000-4000-8000-000000000000.",
                    "code": "not-found",
                    "hint": "GET /v1/runs lists them.",
                    "retryable": False,
                    "errors": [],
                    "request_id": "5f0c1d2e3a4b",
                }
            ]
        }
    )

    type: str = Field(description="Stable name of the kind of problem, a URN; ends in `code`.")
    title: str = Field(description="The kind in words; the same for each of its kind.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened.")
    code: str = Field(description="Stable word that programs may match; all are in the list of errors.")
    hint: str = Field(description="The next step; may be empty.")
    retryable: bool = Field(description="Whether the same call can succeed later.")
    errors: list[FieldProblem] = Field(default_factory=list, description="The fields that are wrong, where known.")
    request_id: str = Field(description="Finds the call in the log.")
