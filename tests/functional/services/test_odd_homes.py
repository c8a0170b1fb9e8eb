"""A home below a folder with an odd name."""

from __future__ import annotations

import dataclasses

import pytest


@pytest.mark.parametrize("name", ["year=2024", "50% of 'it' #1", "a [b] {c} * d"])
def test_a_home_and_a_source_of_any_name_load_every_format(loader, name):
    folder = loader.folder / name
    folder.mkdir()
    here = dataclasses.replace(loader, folder=folder)
    for table, text in (("jsonl", '{"a":1}\n{"b"\n'), ("csv", 'a,b\n1,"x\ny"\n2,"z"w"\n')):
        here.put(f"{table}/good.{table}", text)
        here.put(f"{table}/half.{table}.gz", b"\x1f\x8bno stream")
        here.load(f"shop.{table}", source=here.source / table)
        with here.catalog() as catalog:
            rows = catalog.table(f"shop.{table}").look().loaded.scan().to_arrow().to_pylist()

        assert [row["a"] for row in rows] == [1]
        assert "year" not in rows[0]
