"""Pages that are written from the code: `python -m tools.docs` writes them, `--check` fails when one is stale."""

from __future__ import annotations

import argparse
import difflib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from app import errors
from app.config import Settings
from app.schemas.ingestion import IngestionShape
from tools import api_page, cli_page, spark_page
from tools.markdown import page, table

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description="Write the generated pages anew.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    check = parser.parse_args().check
    stale = 0
    for name, make in PAGES.items():
        path = ROOT / "docs" / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        after = make()
        if before == after:
            continue
        stale += 1
        if check:
            lines = difflib.unified_diff(
                before.splitlines(), after.splitlines(), f"docs/{name}", "the code", lineterm=""
            )
            print("\n".join(list(lines)[:40]))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(after, encoding="utf-8")
            print(f"Written: docs/{name}")
    if check and stale:
        print("The docs are stale. Run: make docs", file=sys.stderr)
    return 1 if check and stale else 0


# --- configuration ---------------------------------------------------------------------------


def configuration() -> str:
    """Every setting, with its default, in the order of the code."""
    rows = [
        [f"`{name.upper()}`", _default(field.get_default(call_default_factory=True)), str(field.description)]
        for name, field in Settings.model_fields.items()
    ]
    return page(
        "Configuration",
        "Settings are read from the environment, then from a file `.env` in the working folder; names have no prefix,"
        "\nand their case does not matter. Sizes are bytes, durations seconds, unless a name says otherwise.",
        table(["setting", "default", "what it does"], rows),
    )


def _default(value: object) -> str:
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if value is PydanticUndefined:
        return "needed"
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int) and value >= 2**20 and value % 2**20 == 0:
        return f"`{value}` ({value // 2**30} GiB)" if value % 2**30 == 0 else f"`{value}` ({value // 2**20} MiB)"
    return f"`{value}`"


# --- the shape of an ingestion ---------------------------------------------------------------


def ingestion() -> str:
    """What may stand in the YAML of `autoloader apply`."""
    schema = IngestionShape.model_json_schema()
    parts = [_shape("", schema)]
    for name, field in schema["properties"].items():
        if reference := _reference(field):
            parts.append(f"## `{name}`\n\n{_shape(name, schema['$defs'][reference])}")
    return page(
        "The shape of an ingestion",
        "What `autoloader apply -f ingestion.yaml` reads. A field that is not listed is refused.",
        "\n\n".join(parts),
    )


def _shape(part: str, schema: dict[str, Any]) -> str:
    needed = set(schema.get("required", ()))
    rows = [
        [f"`{name}`", _type(field), "needed" if name in needed else _json_default(field), field.get("description", "")]
        for name, field in schema["properties"].items()
        if not (part == "" and _reference(field))
    ]
    text = str(schema.get("description", "")).split("\n\n", maxsplit=1)[0].replace("\n", " ")
    return f"{text}\n\n{table(['field', 'type', 'default', 'what it says'], rows)}".strip()


def _reference(field: dict[str, Any]) -> str:
    """The name of the shape that the field holds, whether or not it may be left out; empty for a plain value."""
    held = [item for item in field.get("anyOf", ()) if item.get("type") != "null"]
    return str((held[0] if len(held) == 1 else field).get("$ref", "")).rpartition("/")[2]


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(item) for item in field["anyOf"] if item.get("type") != "null"))
    if "enum" in field:
        return ", ".join(f"`{item}`" for item in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("format") == "date-time":
        return "time"
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    words = {"string": "text", "integer": "number", "number": "number", "boolean": "true or false", "object": "mapping"}
    return words.get(str(field.get("type")), "text or number")


def _json_default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if value is None or value in ([], "", {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


# --- errors ----------------------------------------------------------------------------------


def errors_page() -> str:
    """Every code that a program may match."""
    classes = [
        item
        for _, item in inspect.getmembers(errors, inspect.isclass)
        if issubclass(item, errors.AutoloaderError | errors.Interrupted)
    ]
    rows = [
        [f"`{item.code}`", str(item.status_code), "yes" if item.retryable else "", _meaning(item)]
        for item in sorted(classes, key=lambda item: item.code)
    ]
    tree = inspect.cleandoc(errors.__doc__ or "").partition("\n\n")[2]
    return page(
        "Errors",
        "Each error has a message (what happened), a hint (the next step) and a code that stays the same. With `--json`"
        "\nall three are in the answer.",
        f"```text\n{tree}\n```\n\n{table(['code', 'HTTP', 'trying again can help', ''], rows)}",
    )


def _meaning(error: type[errors.AutoloaderError | errors.Interrupted]) -> str:
    """What the tree says behind the name."""
    for line in (errors.__doc__ or "").splitlines():
        found = re.search(rf"\b{error.__name__}\b\s*(.*?)\s*(?:\b\d{{3}})?$", line)
        if found:
            return found.group(1)
    return ""


# --- why a file is not loaded ---------------------------------------------------------------


def reasons() -> str:
    """Every reason of a file in the ledger, and of an object that discovery leaves out."""
    from app.ingest import discovery
    from app.services.reasons import REASONS

    ledger = [[f"`{name}`", reason.meaning, reason.next_step] for name, reason in REASONS.items()]
    left_out = [[f"`{name}`", meaning] for name, meaning in discovery.REASONS.items()]
    return page(
        "Why a file is not loaded",
        "`autoloader files show FILE` tells the reason of one file; `autoloader runs show` counts them.",
        f"## Files of the ledger\n\n{table(['reason', 'what happened', 'what to do'], ledger)}\n\n"
        "## Left out by a rule\n\nSuch objects are counted in each run. Only empty ones are in the ledger; when a rule"
        f"\nchanges, the others are simply new.\n\n{table(['reason', 'what it says'], left_out)}",
    )


# --- states ----------------------------------------------------------------------------------


def states() -> str:
    """The tables of transitions, drawn."""
    from app.values import BATCH_TRANSITIONS, FILE_TRANSITIONS

    return page(
        "States",
        "What a file and a batch may become. Every other move is refused: by the ledger's SQL for files, before the"
        "\nledger is written for batches. What the states mean stands in [concepts](../concepts.md).",
        f"## A file\n\n{_diagram('DISCOVERED', FILE_TRANSITIONS)}\n\n"
        "A version that a rule leaves out begins as `SKIPPED` (as `QUARANTINED` under `on_change: fail`). A file goes"
        "\nback from `PROCESSING` to `DISCOVERED` when its batch is split or released; the attempt does not count then."
        "\n`QUARANTINED` is left by hand (`autoloader files retry`) or for a newer version, `SKIPPED` by hand or when"
        f"\nthe version is listed again.\n\n## A batch\n\n{_diagram('PLANNED', BATCH_TRANSITIONS)}\n\n"
        "`CLAIMED` again: a later run finishes what an earlier one began. `UNKNOWN` is left by a person alone"
        "\n(`autoloader ingestions resolve`).",
    )


def _diagram(first: str, transitions: Mapping[Any, frozenset[Any]]) -> str:
    """A Mermaid diagram, in the order of the code; states without a way on are ends."""
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    for state, targets in transitions.items():
        lines += [f"    {state} --> {target}" for target in transitions if target in targets]
        lines += [] if targets else [f"    {state} --> [*]"]
    return "\n".join(["```mermaid", *lines, "```"])


def rest_api() -> str:
    """Every call of the REST API, with what it takes and answers."""
    return page("REST API", api_page.INTRODUCTION, api_page.body())


def spark_engine() -> str:
    """What the engines do otherwise; the rest of the page is written by hand."""
    return spark_page.page(ROOT / "docs" / "spark-engine.md")


PAGES: dict[str, Callable[[], str]] = {
    "reference/api.md": rest_api,
    "reference/cli.md": cli_page.command_line,
    "reference/configuration.md": configuration,
    "reference/errors.md": errors_page,
    "reference/ingestion.md": ingestion,
    "reference/reasons.md": reasons,
    "reference/states.md": states,
    "spark-engine.md": spark_engine,
}


if __name__ == "__main__":
    sys.exit(main())
