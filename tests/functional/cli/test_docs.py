"""The pages that hints name are there for whoever has installed the package alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NAMED = sorted(
    {
        name
        for path in (ROOT / "app").rglob("*.py")
        for name in re.findall(r"autoloader docs ([a-z/-]+)", path.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize("name", NAMED)
def test_a_page_that_a_message_names_can_be_printed(cli, name):
    ran = cli("docs", name)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def test_no_message_names_a_file_that_only_a_checkout_has():
    named = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "app").rglob("*.py")
        if re.search(r"docs/[a-z/-]+\.md", path.read_text(encoding="utf-8"))
    ]

    assert named == []


def test_a_page_may_be_named_as_the_links_name_it(cli):
    assert cli("docs", "docs/quickstart.md").out == cli("docs", "quickstart").out


def test_without_a_name_all_pages_are_listed_and_a_wrong_one_says_so(cli):
    assert "reference/ingestion" in cli("docs").out.splitlines()

    ran = cli("docs", "quickstrat")
    assert (ran.code, ran.err) == (
        1,
        "Error: There is no page 'quickstrat'.\nNext: See their names: autoloader docs\n",
    )
