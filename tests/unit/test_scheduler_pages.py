"""What the pages about scheduling and deployment name is there: settings with their defaults, states, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.config import Settings
from app.services.run_records import ABANDONED, CANCELLED, KILLED
from app.values import RunState
from tools import deploy_known

ROOT = Path(__file__).parents[2]
ARCHITECTURE = ROOT / "docs/scheduler/prefect-architecture-explained.md"
PAGES = [ARCHITECTURE, ROOT / "docs/scheduler/README.md", ROOT / "deploy/README.md"]
PREFECT_STATES = {"SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLING", "CANCELLED"}
_WORDS = {"CANCEL_NEW"} | PREFECT_STATES | {state.value for state in RunState}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name + "-" + page.stem)
def test_a_setting_that_a_page_names_exists(page):
    names = set(re.findall(r"`([A-Z][A-Z0-9_]{3,})(?:=\w+)?`", page.read_text(encoding="utf-8"))) - _WORDS
    ours = {name.upper() for name in Settings.model_fields}

    assert names - ours - deploy_known.prefect_variables() - set(deploy_known.OTHERS) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name + "-" + page.stem)
def test_a_default_that_a_page_tells_is_the_one_of_the_code(page):
    told = re.findall(r"`([A-Z][A-Z0-9_]{3,})` \((\d+)\)", page.read_text(encoding="utf-8"))

    assert [(name, value) for name, value in told if Settings.model_fields[name.lower()].default != int(value)] == []


def test_the_table_of_states_names_each_state_of_both_systems():
    text = ARCHITECTURE.read_text(encoding="utf-8")
    table = text[text.index("| flow run in Prefect |") : text.index("The states of files and batches")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]

    assert {word for row in rows for word in re.findall(r"`([A-Z]+)`", row[0])} == PREFECT_STATES
    assert {word for row in rows for word in re.findall(r"`([A-Z]+)`", row[1])} == {state.value for state in RunState}
    assert {word for row in rows for word in re.findall(r"code `(\w+)`", row[1])} == {KILLED, ABANDONED, CANCELLED}


def test_each_file_in_the_table_of_deployment_files_is_there():
    page = ROOT / "deploy/README.md"
    table = page.read_text(encoding="utf-8").partition("`make check`")[0]
    names = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)

    assert len(names) == 5
    assert [name for name in names if not (page.parent / name).exists()] == []
