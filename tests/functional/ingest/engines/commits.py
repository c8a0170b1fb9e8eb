"""Commits that are refused, lost or overtaken."""

from __future__ import annotations

from pyiceberg.exceptions import AuthorizationExpiredError
from requests.exceptions import ConnectionError as RequestsConnectionError


def tampered(monkeypatch, table, around):
    """Let `around(real)` be the catalog's way to commit to this table; other tables keep theirs."""
    library = table.catalog.library
    real = library.commit_table

    def commit_table(target, requirements, updates):
        if target.name() == table.name.identifier:
            return around(lambda: real(target, requirements, updates))
        return real(target, requirements, updates)

    monkeypatch.setattr(library, "commit_table", commit_table)


def nth(number, act):
    """Do `act(real)` at the n-th commit, and let all others through."""
    seen = []

    def around(real):
        seen.append(1)
        return act(real) if len(seen) == number else real()

    return around


def changed_meanwhile(monkeypatch, change):
    """The columns change while a commit is under way, whose answer is lost."""
    monkeypatch.undo()
    change()
    lost(None)


def lost(real):
    message = "connection reset"
    raise RequestsConnectionError(message)


def expired(*_):
    raise AuthorizationExpiredError("the token has expired")


def lands_but_lost(real):
    real()
    lost(real)
