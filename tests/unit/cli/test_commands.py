"""What holds for every command: help, options that match the shape, a fast start, errors in one form."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import typer.main

from app.cli import shape_options, shape_texts
from app.cli.exits import MEANING, Exit
from app.cli.main import app, run
from app.ingest import discovery, ledger
from app.schemas.ingestion import FormatShape, IngestionShape, PolicyShape, SchemaShape
from app.services.reasons import REASONS
from tools import docs

ROOT = Path(__file__).parents[3]


def commands(path="autoloader", command=None):
    command = command or typer.main.get_command(app)
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(f"{path} {name}", child)


ALL = dict(commands())
LEAVES = {path: command for path, command in ALL.items() if not getattr(command, "commands", None)}


@pytest.mark.parametrize("path", ALL)
def test_every_command_and_every_option_says_what_it_is_for(path):
    assert (ALL[path].help or "").strip()
    assert [item.name for item in ALL[path].params if not (item.help or "").strip()] == []


SERVERS = {"autoloader api", "autoloader worker", "autoloader up"}  # they log, and answer nothing


@pytest.mark.parametrize("path", sorted(LEAVES.keys() - SERVERS))
def test_every_command_answers_in_json(path):
    assert "--json" in [name for item in LEAVES[path].params for name in item.opts]


def test_the_written_pages_are_fresh():
    stale = [name for name, make in docs.PAGES.items() if (ROOT / "docs" / name).read_text(encoding="utf-8") != make()]

    assert stale == []


def test_every_exit_code_has_a_meaning():
    assert set(MEANING) == set(Exit)


def test_every_field_of_an_ingestion_has_an_option():
    fields = set()
    for name, field in IngestionShape.model_fields.items():
        parts = getattr(field.annotation, "model_fields", None)
        fields |= {f"{name}.{part}" for part in parts} if parts and name != "row_columns" else {name}

    # `load` has its own arguments for the first two, an ingestion is paused by `ingestions pause`, and what is to run
    # by itself is said in a file or a call of the API: a load is made by hand.
    missing = fields - {option.field for option in shape_options.OPTIONS}
    assert missing == {"source.url", "destination.table", "paused", "schedule", "arrival", "work_queue"}


@pytest.mark.parametrize(
    ("enum", "field"),
    [
        (shape_options.FormatName, FormatShape.model_fields["type"]),
        (shape_options.Compression, FormatShape.model_fields["compression"]),
        (shape_options.OnNewColumns, SchemaShape.model_fields["on_new_columns"]),
        (shape_options.OnChange, PolicyShape.model_fields["on_change"]),
        (shape_options.OnError, PolicyShape.model_fields["on_error"]),
    ],
)
def test_choices_are_those_of_the_shape(enum, field):
    assert tuple(item.value for item in enum) == get_args(field.annotation)


def test_every_reason_of_the_ledger_is_explained():
    places = (r"BadFile\(", r"\.fail\(\w+, ", r"SpoolFault\([\w.]+, ", "reason=", r"(?:Missing|Changed|Denied): ")
    given = re.compile(f'(?:{"|".join(places)})"([a-z-]+)"')
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "app").rglob("*.py"))
    words = set(given.findall(re.sub(r"\(\s+", "(", source)))

    assert {"truncated", "denied", "too-many-errors", "undecodable", "too-large"} <= words
    assert words | ledger.HOPELESS | ledger.REVIVABLE <= set(REASONS)
    assert not set(discovery.REASONS) & set(REASONS) - {"empty", "too-large"}


def test_whoever_is_told_to_load_embedded_is_told_the_option_of_the_command_line_too():
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "app").rglob("*.py"))
    told = re.findall(r"oad it with engine: embedded(?: \(of load: --engine embedded\))?", source)

    assert len(told) > 4
    assert {one.endswith("(of load: --engine embedded)") for one in told} == {True}


def test_help_starts_without_the_heavy_libraries():
    heavy = "pydantic|sqlalchemy|duckdb|pyarrow|pyiceberg|obstore|structlog|cryptography|rich|yaml"
    code = f"""
import re, sys
from app.cli.main import run
code = run(["--help"])
print([name for name in sys.modules if re.fullmatch({heavy!r}, name)], code)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[] 0"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["loda"], "No such command 'loda'. Did you mean 'load'?", "See: autoloader --help"),
        (["load"], "Missing argument 'SOURCE'.", "See: autoloader load --help"),
        (["load", "a", "b.c", "--bogus"], "No such option: --bogus", "See: autoloader load --help"),
        (
            ["load", "a", "b.c", "--format", "xml"],
            "Invalid value for '--format': 'xml' is not one of 'jsonl', 'json', 'csv', 'tsv', 'parquet'.",
            "See: autoloader load --help",
        ),
    ],
)
def test_a_wrong_command_line_is_told_in_text_and_in_json(capsys, arguments, message, hint):
    assert run(arguments) == Exit.USAGE
    text = capsys.readouterr()
    assert run([*arguments, "--json"]) == Exit.USAGE
    told = capsys.readouterr()

    assert (text.out, text.err) == ("", f"Error: {message}\nNext: {hint}\n")
    assert (json.loads(told.out), told.err) == ({"error": "usage", "message": message, "hint": hint}, "")


def test_a_group_alone_shows_its_help(capsys):
    assert run(["runs"]) == Exit.USAGE
    assert "show  " in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    assert run(["--version"]) == Exit.OK
    assert re.fullmatch(r"autoloader \S.*\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("given", "parted"),
    [(["day(at), bucket(16, id)"], ["day(at)", "bucket(16, id)"]), (["a", "b"], ["a", "b"]), ([" , a,"], ["a"])],
)
def test_partition_fields_are_parted_at_commas_outside_brackets(given, parted):
    assert shape_texts.parted(given) == parted
