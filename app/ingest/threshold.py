"""The one rule of `max_errors`: the parser asks it of a file, a batch of itself."""

from __future__ import annotations

from decimal import Decimal


def over_threshold(rejected: int, records: int, max_errors: str) -> bool:
    """Whether `rejected` of `records` passes `max_errors`, a number of records or a percentage of them.

    Exact: in binary fractions 69 of 375 records would be more than 18.4 %.
    """
    if max_errors.endswith("%"):
        return rejected * 100 > Decimal(max_errors[:-1].strip()) * records
    return rejected > int(max_errors)
