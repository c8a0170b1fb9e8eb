"""Versions of files that another try cannot help, as a condition."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, case, exists, or_
from sqlalchemy.orm import aliased

from app.models import ProcessedFile
from app.values import FileState

_P = ProcessedFile
_NEWER = aliased(ProcessedFile)


def is_futile(reasons: Collection[str]) -> ColumnElement[bool]:
    """It is as it is for one of the reasons, or it is SKIPPED and a newer version is known: then it is not in its place
    any more. Of other states, runs and people end such a version themselves.
    """
    newer = and_(_NEWER.ingestion_id == _P.ingestion_id, _NEWER.path == _P.path, _NEWER.id > _P.id)
    return or_(_has(reasons), and_(_P.state == FileState.SKIPPED.value, exists().where(newer)))


def why_futile(reasons: Collection[str], newer: str) -> ColumnElement[str]:
    """The reason of a futile version; the word `newer` for one that is so by a newer version alone."""
    return case((_has(reasons), _P.reason), else_=newer)


def _has(reasons: Collection[str]) -> ColumnElement[bool]:
    return and_(_P.reason.is_not(None), _P.reason.in_(sorted(reasons)))
