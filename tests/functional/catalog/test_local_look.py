"""A table of this machine's catalog that is gone is seen without the Iceberg library."""

from __future__ import annotations

import subprocess
import sys

from app.catalog.local_look import is_missing
from app.catalog.names import parse_table_name
from app.catalog.open import local_options, open_catalog
from app.datatypes import parse_schema

NAME = parse_table_name("shop.orders")


def test_a_table_is_missing_only_while_the_catalog_has_none_of_its_name(tmp_path):
    home = tmp_path / "a home?"
    with open_catalog("local", local_options(home)) as catalog:
        assert is_missing(home, NAME)
        catalog.table(NAME).create(parse_schema("id bigint"), (), {})
        assert not is_missing(home, NAME)
        assert is_missing(home, parse_table_name("shop.others"))
        catalog.library.drop_table(NAME.identifier)
        assert is_missing(home, NAME)


def test_with_the_whole_catalog_its_tables_are_missing_and_looking_makes_none(tmp_path):
    assert is_missing(tmp_path, NAME)
    assert is_missing(tmp_path / "nowhere", NAME)
    assert not (tmp_path / "catalog.db").exists()


def test_of_what_cannot_be_seen_nothing_is_said(tmp_path):
    (tmp_path / "catalog.db").write_text("no database")
    assert not is_missing(tmp_path, NAME)
    with open_catalog("local", local_options(tmp_path / "home")):
        assert not is_missing(tmp_path / "home", parse_table_name("lake.shop.orders"))


def test_the_look_imports_no_iceberg():
    code = "import app.services.table_checks, sys; sys.exit('pyiceberg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
