"""What holds for the project as a whole: its files agree with each other, and what is built can be used."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(name):
    """name → version of a compiled or a written list."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = [Requirement(line.partition(" #")[0]) for line in lines if line and not line.startswith(("#", "-"))]
    return {canonicalize_name(item.name): str(item.specifier).removeprefix("==") for item in found}


def test_what_is_pinned_is_what_the_package_asks_for_and_within_its_ranges():
    asked = {canonicalize_name(item.name): item for item in map(Requirement, PROJECT["project"]["dependencies"])}
    tested = pins("requirements.in")

    assert asked.keys() == tested.keys()
    assert [name for name, item in asked.items() if tested[name] not in item.specifier] == []


def test_what_is_pinned_for_an_extra_is_within_its_range():
    extras = [Requirement(one) for some in PROJECT["project"]["optional-dependencies"].values() for one in some]
    tested = pins("requirements-dev.txt")

    assert extras
    assert [item.name for item in extras if tested[canonicalize_name(item.name)] not in item.specifier] == []


def test_what_is_shipped_is_what_was_tested():
    tested = pins("requirements-dev.txt")

    for name in ("requirements.txt", "requirements-extras.txt"):
        assert [name for name, version in pins(name).items() if tested[name] != version] == []


def test_the_image_with_extras_has_all_that_the_product_and_its_extras_ask_for():
    extras = [Requirement(one) for some in PROJECT["project"]["optional-dependencies"].values() for one in some]
    installed = pins("requirements-extras.txt").keys()

    assert {canonicalize_name(item.name) for item in extras} <= installed
    assert pins("requirements.txt").keys() <= installed


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-extras.txt", "requirements-dev.txt", "requirements-bench.txt"]
)
def test_a_compiled_list_names_no_place_it_came_from(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    versions = re.compile(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!]*")

    assert [line for line in lines if not line.startswith("#") and not versions.fullmatch(line)] == []


def test_every_exception_from_a_lint_rule_gives_its_reason():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.flake8-annotations]")]
    rules = [line for line in section.splitlines() if re.search(r'"[A-Z]{1,4}\d*"', line) and "select" not in line]

    assert rules
    assert [line for line in rules if "#" not in line] == []


def test_the_folder_of_the_migrations_does_not_hide_the_library():
    assert not (ROOT / "alembic" / "__init__.py").exists()


# They hand their environment on to processes below them, and read no setting from it.
HANDED_ON = {"app/prefect/environment.py", "app/prefect/worker.py", "app/prefect/zygote.py"}


def test_only_the_settings_read_the_environment():
    reads = re.compile(r"os\.environ|os\.getenv|from os import .*(environ|getenv)")
    guilty = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "app").rglob("*.py")
        if path.name != "config.py"
        and str(path.relative_to(ROOT)) not in HANDED_ON
        and reads.search(path.read_text(encoding="utf-8"))
    ]

    assert guilty == []


def test_the_client_of_spark_is_imported_by_nobody_before_a_session_is_opened():
    modules = [
        str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
        for path in (ROOT / "app").rglob("*.py")
    ]
    ours = [name for name in modules if name != "app.spark.client"]
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(sorted({'pyspark', 'py4j'} & sys.modules.keys()))"
    )
    command = [sys.executable, "-c", code, *ours]

    assert subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout == "[]\n"


def test_every_decision_stands_in_the_index():
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")

    assert [path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md") if path.name not in index] == []


def test_the_changelog_begins_with_this_version():
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert versions[0] == PROJECT["project"]["version"]


def test_make_help_names_every_target_a_person_may_call():
    printed = subprocess.run(["/usr/bin/make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    for name in ("setup", "demo", "test", "test-fast", "check", "format", "bench", "soak", "clean"):
        assert re.search(rf"make {name} +\S", printed), name


def test_links_between_pages_lead_somewhere():
    folders = ("docs", "benchmarks", "deploy", "app", "tests")
    pages = [*ROOT.glob("*.md"), *(page for name in folders for page in (ROOT / name).rglob("*.md"))]
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target
    ]

    missing = [(page, target) for page, target in links if not (page.parent / target).exists()]
    assert missing == []


def test_links_into_a_page_meet_a_heading():
    pages = [*ROOT.glob("*.md"), *(page for name in ("docs", "deploy", "app") for page in (ROOT / name).rglob("*.md"))]
    links = [
        (page, (page.parent / target).resolve() if target else page, anchor)
        for page in pages
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
        if "://" not in target
    ]

    assert [(page, anchor) for page, target, anchor in links if anchor not in anchors(target)] == []


def anchors(page):
    """Of a page's headings, as they are linked to."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel, unpacked away from the checkout as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    target = folder / "installed"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return target


def test_an_installed_package_brings_its_migrations_and_pages(installed, tmp_path):
    code = "import sys, app; from app.database import upgrade; print(upgrade(sys.argv[1]), app.__file__)"
    command = [sys.executable, "-P", "-c", code, f"sqlite:///{tmp_path}/ledger.db"]
    environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"}
    printed = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    assert (installed / "app" / "_migrations" / "env.py").exists()
    assert (installed / "app" / "_pages" / "reference" / "ingestion.md").exists()
    assert str(installed) in printed
    assert (tmp_path / "ledger.db").stat().st_size > 0


def test_an_installed_package_brings_the_command_and_nothing_beside_it(installed):
    names = {path.name for path in installed.iterdir()}
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")

    assert "autoloader = app.cli.main:script" in entry_points.read_text(encoding="utf-8")
    assert {name for name in names if not name.endswith(".dist-info")} <= {"app", "bin"}
