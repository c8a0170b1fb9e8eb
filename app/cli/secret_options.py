"""Secrets on the command line: asked for, or read from standard input, so that they need not stand there."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.errors import InvalidInput

Secrets = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="KEY[=VALUE]",
        help="A secret, such as secret_access_key or token; without a value it is asked for, or read as a line of"
        " standard input. May be repeated; stored encrypted, never shown.",
    ),
]


def secret_pair(text: str) -> tuple[str, str]:
    """Key and value; a value that is not given is asked for, unseen. Raises InvalidInput when there is none."""
    key, given, value = text.partition("=")
    if not given:
        if sys.stdin.isatty():
            value = typer.prompt(key, hide_input=True, err=True)
        else:
            value = sys.stdin.readline().rstrip("\r\n")
    if not key.strip() or not value:
        raise InvalidInput(
            f"The secret {key!r} has no value.",
            hint=f"Type it when asked, or send it on standard input: --secret {key}",
        )
    return key.strip(), value
