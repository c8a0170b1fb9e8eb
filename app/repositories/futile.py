"""Versions of files that another try cannot help, as a condition."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_

from app.models import ProcessedFile

_P = ProcessedFile


def is_futile(reasons: Collection[str]) -> ColumnElement[bool]:
    """It is as it is for one of the reasons.

    That the ledger has a newer version says nothing: an older one may have been put back into the source.
    """
    return and_(_P.reason.is_not(None), _P.reason.in_(sorted(reasons)))
