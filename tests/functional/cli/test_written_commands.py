"""The commands that README and docs tell: all can be parsed, and those of the quickstart that need no server work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import typer.main

from app.cli.main import app
from tests.functional.cli.conftest import put

ROOT = Path(__file__).parents[3]
PAGES = [
    "README.md",
    "app/prefect/README.md",
    "deploy/README.md",
    *sorted(
        str(path.relative_to(ROOT)) for folder in ("docs", "docs/scheduler") for path in (ROOT / folder).glob("*.md")
    ),
]
_BLOCK = re.compile(r"^```(?:bash|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_ELSEWHERE = (
    "--watch",
    "s3://",
    "connections",
    "prod.",
    "clusters",
    "lake.",
)  # need a person, a store, a catalog, Spark


def commands(page):
    """The words of each command of a page; a redirection ends one."""
    for block in _BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.removeprefix("$ ").split("&&"):
                if part.split()[:1] == ["autoloader"]:  # other programs' words go over several lines
                    yield shlex.split(part, comments=True)[1:]


def examples(path="", command=None):
    """Of each command its words, and those of the examples in its help."""
    command = command or typer.main.get_command(app)
    for name, child in getattr(command, "commands", {}).items():
        yield from examples(f"{path} {name}".strip(), child)
    if not hasattr(command, "commands"):
        yield (
            path,
            [shlex.split(line) for line in re.findall("^ *Example: autoloader (.+)$", command.help, re.MULTILINE)],
        )


EXAMPLES = dict(examples())


@pytest.mark.parametrize("path", EXAMPLES)
def test_every_command_has_an_example_in_its_help_that_can_be_typed(path):
    assert EXAMPLES[path]
    for example in EXAMPLES[path]:
        command: Any = typer.main.get_command(app)
        typed, words = [], example
        while hasattr(command, "commands"):
            name, command, words = command.resolve_command(None, words)
            typed.append(name)
        assert " ".join(typed) == path
        command.make_context("command", list(words))


WRITTEN = {f"{page}: {shlex.join(words)}": words for page in PAGES for words in commands(page)}


@pytest.mark.parametrize("words", WRITTEN.values(), ids=WRITTEN)
def test_a_command_that_is_written_down_exists_with_its_options(words):
    words = words[: words.index(">")] if ">" in words else words
    words = [str(UUID(int=0)) if word == "BATCH" else word for word in words]
    command: Any = typer.main.get_command(app)
    words = words[{"--server": 2, "--embedded": 1}.get(words[0], 0) :]  # stand before the command
    while hasattr(command, "commands"):
        _, command, words = command.resolve_command(None, words)

    assert command.make_context("command", list(words)).params


def test_the_quickstart_works_as_it_is_written(cli, tmp_path):
    for folder in ("orders", "visits"):
        (tmp_path / folder).mkdir()
        put(tmp_path / folder, f"{folder}-2026-01-31.csv", "id,at,note\n1,2026-01-31T00:00:00Z,NA\n")
    ran = {}
    for words in commands("docs/quickstart.md"):
        if any(mark in word for mark in _ELSEWHERE for word in words):
            continue
        kept = words[words.index(">") + 1] if ">" in words else None
        told = cli(*(words[: words.index(">")] if kept else words))
        ran[" ".join(words)] = (told.code, told.err)
        if kept:
            (tmp_path / kept).write_text(told.out)

    assert {words: told for words, told in ran.items() if told[0]} == {}
    assert len(ran) > 8
