from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import InvalidInput
from app.storage import join, parse_address


@pytest.mark.parametrize(
    ("url", "kind", "base", "root"),
    [
        ("s3://b", "s3", "s3://b", "s3://b/"),
        ("s3://b/", "s3", "s3://b", "s3://b/"),
        ("S3A://b/x/y/", "s3", "s3://b/x/y", "s3://b/"),
        ("s3://b/a b%20#?x", "s3", "s3://b/a b%20#?x", "s3://b/"),
        ("gcs://b/x", "gs", "gs://b/x", "gs://b/"),
        ("azure://c/x", "az", "az://c/x", "az://c/"),
        ("abfss://c@acc.dfs.core.windows.net/x", "az", "az://c/x", "az://c/"),
        ("/abs/folder/", "local", "/abs/folder", ""),
        ("/abs/../x/./y", "local", "/x/y", ""),
        ("/", "local", "/", ""),
        ("file:///abs/a%20b", "local", "/abs/a b", ""),
        ("file://localhost/abs", "local", "/abs", ""),
    ],
)
def test_an_address_is_taken_apart(url, kind, base, root):
    address = parse_address(url)
    assert (address.kind, address.base, address.root) == (kind, base, root)


def test_a_relative_folder_and_a_home_become_absolute():
    assert parse_address("./rel").base == str(Path.cwd() / "rel")
    assert parse_address("~/x").base == str(Path.home() / "x")


def test_the_account_of_an_azure_address_is_kept():
    assert parse_address("abfs://c@acc.dfs.core.windows.net/x").account == "acc"


@pytest.mark.parametrize(
    "url", ["", " ", "a\0b", "ftp://host/x", "s3://", "s3:///x", "file://host/x", "s3://key:secret@b/x", "az://u:p@h/x"]
)
def test_what_is_no_address_is_refused_with_a_next_step(url):
    with pytest.raises(InvalidInput) as refused:
        parse_address(url)
    assert refused.value.hint or refused.value.message
    assert "secret" not in str(refused.value)


def test_join_puts_one_slash_between():
    assert [join("a", "b"), join("a/", "b"), join("", "b"), join("a", "")] == ["a/b", "a/b", "b", "a"]
