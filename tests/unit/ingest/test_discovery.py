from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.errors import InvalidInput
from app.found_files import FoundFiles
from app.ingest.discovery import REASONS, DiscoveryRules, discover, explain, split_source
from app.schemas.ingestion import SourceShape
from app.storage import open_store
from app.values import FoundFile

NOW = datetime(2026, 5, 1, 12, 0, 0, 500_000, tzinfo=UTC)
BASE = "s3://bucket/in"
RULES = DiscoveryRules(url=BASE)


def info(name: str = "a.csv", size: int = 10, age: float = 3600.0) -> FoundFile:
    return FoundFile(f"{BASE}/{name}", "v", size, NOW - timedelta(seconds=age))


def why(found: FoundFile | None = None, created_at: datetime | None = None, **changes: Any) -> str | None:
    return explain(found or info(), replace(RULES, **changes), BASE, now=NOW, created_at=created_at)


def test_a_plain_file_counts():
    assert why() is None


@pytest.mark.parametrize("name", ["_SUCCESS", ".a.csv.crc", "_tmp/a.csv", "x/.hidden/a.csv", "x/_a"])
def test_hidden_files_and_folders_are_left_out_unless_asked_for(name):
    assert why(info(name)) == "hidden"
    assert why(info(name), hidden=True) is None


def test_an_underscore_inside_a_name_hides_nothing():
    assert why(info("a_b/c.d_e")) is None


def test_a_source_below_a_hidden_folder_is_not_hidden():
    found = FoundFile("/data/_raw/.x/a.csv", "v", 1, NOW - timedelta(hours=1))
    assert explain(found, DiscoveryRules(url="/data/_raw/.x"), "/data/_raw/.x", now=NOW) is None


def test_one_file_named_by_its_address_is_neither_hidden_nor_cut():
    found = replace(info(), path=f"{BASE}/_one.csv")
    rules = DiscoveryRules(url=found.path, include=("*.csv",))
    assert explain(found, rules, found.path, now=NOW) is None
    assert explain(found, replace(rules, include=("*.json",)), found.path, now=NOW) == "not-included"


def test_nothing_of_our_own_folder_counts_and_its_neighbours_do():
    assert why(info("home/secret.key"), own="home") == "own"
    assert why(info("home/deep/a.csv"), own="home", include=("**",)) == "own"
    assert why(info("home.csv"), own="home") is None
    assert why(info("x/home/a.csv"), own="home") is None


def test_exclude_wins_over_include():
    assert why(include=("*.csv",), exclude=("a*",)) == "excluded"
    assert why(include=("*.csv", "*.json")) is None
    assert why(include=("*.json",)) == "not-included"


def test_the_pattern_of_the_address_and_include_must_both_match():
    assert why(pattern="*.csv", include=("a*",)) is None
    assert why(pattern="*.csv", include=("b*",)) == "not-included"
    assert why(pattern="*.json", include=("a*",)) == "not-included"


def test_sizes_are_inclusive():
    assert why(info(size=9), min_size=10) == "too-small"
    assert why(info(size=10), min_size=10, max_size=10) is None
    assert why(info(size=11), max_size=10) == "too-large"
    assert why(info(size=0), min_size=10) == "empty"


def test_times_take_the_first_moment_and_not_the_last():
    at = info().modified_at
    assert why(modified_after=at) is None
    assert why(modified_after=at + timedelta(microseconds=1)) == "too-old"
    assert why(modified_before=at) == "too-new"
    assert why(modified_before=at + timedelta(microseconds=1)) is None


def test_the_start_point_and_modified_after_both_hold():
    at = info().modified_at
    assert why(start=at + timedelta(hours=1), modified_after=at) == "too-old"
    assert why(start=at, modified_after=at + timedelta(hours=1)) == "too-old"
    assert why(start=at, modified_after=at) is None


def test_from_now_takes_what_came_in_the_very_second_of_the_creation():
    second = NOW.replace(microsecond=0)
    assert why(replace(info(), modified_at=second), start="now", created_at=NOW) is None
    assert why(replace(info(), modified_at=second - timedelta(seconds=1)), start="now", created_at=NOW) == "too-old"


def test_a_young_file_waits_and_one_of_the_far_future_does_not():
    assert why(info(age=0.5), min_age_seconds=1.0) == "too-young"
    assert why(info(age=1.5), min_age_seconds=1.0) is None
    assert why(info(age=-2), min_age_seconds=1.0) == "too-young"
    assert why(info(age=-86400), min_age_seconds=1.0) is None
    assert why(info(age=0), min_age_seconds=0.0) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://b/x", ("s3://b/x", "")),
        ("s3://b/x/*.csv", ("s3://b/x", "*.csv")),
        ("s3://b/x/d=*/y/*.csv", ("s3://b/x", "d=*/y/*.csv")),
        ("s3://b/*.csv", ("s3://b", "*.csv")),
        ("az://c/{a,b}/x", ("az://c", "{a,b}/x")),
        ("/data/in/**/x.json", ("/data/in", "**/x.json")),
        ("/*.csv", ("/", "*.csv")),
        ("*.csv", (".", "*.csv")),
        ("in/*.csv", ("in", "*.csv")),
        ("file:///data/*.csv", ("file:///data", "*.csv")),
    ],
)
def test_an_address_is_split_where_its_pattern_begins(url, expected):
    assert split_source(url) == expected


def test_a_file_whose_name_looks_like_a_pattern_is_taken_by_its_name(tmp_path):
    path = tmp_path / "data [2026].csv"
    path.touch()
    assert split_source(str(path)) == (str(path), "")


def test_a_pattern_in_place_of_a_bucket_is_refused():
    with pytest.raises(InvalidInput, match="bucket"):
        split_source("s3://b*/x")


def test_a_bad_pattern_is_refused_when_the_rules_are_made():
    with pytest.raises(InvalidInput, match="without its }"):
        DiscoveryRules.of(SourceShape(url="s3://b", exclude=("{a",)), local_min_age_seconds=1)


def test_only_a_folder_has_a_minimum_age_of_its_own():
    def age(**source: Any) -> float:
        return DiscoveryRules.of(SourceShape(**source), local_min_age_seconds=7).min_age_seconds

    assert age(url="/data") == 7
    assert age(url="s3://b/x") == 0
    assert age(url="s3://b/x", min_age_seconds=3) == 3
    assert age(url="/data", min_age_seconds=0) == 0


def test_every_object_of_a_folder_is_a_file_or_counted_with_its_reason(tmp_path):
    for name, data in {
        "a.csv": "1",
        "b/c.csv": "22",
        "empty.csv": "",
        "x.json": "1",
        "_hidden": "1",
        "huge.csv": "1" * 99,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(data)
    (tmp_path / "link").symlink_to(tmp_path / "b")
    rules = DiscoveryRules(url=str(tmp_path), include=("**/*.csv",), max_size=50)
    pages = list(discover(open_store(str(tmp_path), page_size=2), rules, now=NOW))
    files = [found for page in pages for found in page.files]
    assert [found.path for found in files] == [f"{tmp_path}/a.csv", f"{tmp_path}/b/c.csv"]
    assert [found.path for page in pages for found in page.empty] == [f"{tmp_path}/empty.csv"]
    skipped: Counter[str] = sum((Counter(page.skipped) for page in pages), Counter())
    assert skipped == {"empty": 1, "not-included": 1, "hidden": 1, "too-large": 1, "symlink": 1}
    assert set(skipped) <= set(REASONS)
    assert sum(page.seen for page in pages) == len(files) + skipped.total()
    assert sum(page.bytes for page in pages) == 3


def test_what_a_thread_of_the_listing_counts_while_a_page_is_worked_on_is_not_lost():
    class Listing:
        base = BASE

        def list(self, prefix="", *, left_out):
            self.left_out = left_out
            for name in ("a.csv", "b.csv"):
                left_out["not-a-file"] += 1
                yield FoundFiles.of([info(name)])

    store = Listing()
    skipped: Counter[str] = Counter()
    seen = 0
    for page in discover(store, RULES, now=NOW):
        store.left_out["not-a-file"] += 10
        skipped.update(page.skipped)
        seen += page.seen
        if not page.files:
            break

    assert (seen, skipped) == (2 + 22, {"not-a-file": 22})


AGES = (-3600.0, 0.0, 10.0, 3600.0, 90_000.0)
RULE_SETS = (
    {},
    {"hidden": True, "min_size": 5},
    {"exclude": ("*.json",), "max_size": 50, "min_age_seconds": 60.0},
    {"include": ("a*",), "modified_after": NOW - timedelta(days=1)},
    {"pattern": "x/*", "modified_before": NOW - timedelta(seconds=5), "min_age_seconds": 5.0},
)


@pytest.mark.parametrize("changes", RULE_SETS)
@pytest.mark.parametrize("names", [["a.csv", "b.csv"], ["a.csv", "_b.csv", "x/a.json", "x/.y/a.csv"]])
@pytest.mark.parametrize("sizes", [(10, 20), (0, 3, 10, 100)])
def test_a_page_is_sorted_out_as_its_files_are_one_by_one(names, sizes, changes):
    rules = replace(RULES, **changes)
    files = [info(name, size, age) for name in names for size in sizes for age in AGES]

    class Listing:
        base = BASE

        def list(self, prefix="", *, left_out):
            yield FoundFiles.of(files)

    (page,) = discover(Listing(), rules, now=NOW)
    reasons = [explain(one, rules, BASE, now=NOW) for one in files]

    count = sorted([one for one, reason in zip(files, reasons, strict=True) if reason is None], key=lambda f: f.path)
    assert list(page.files) == count
    assert page.skipped == Counter(filter(None, reasons))
    assert sorted(f.path for f in page.empty) == sorted(
        one.path for one, reason in zip(files, reasons, strict=True) if reason == "empty"
    )
    assert (page.seen, page.bytes) == (len(files), sum(one.size for one in count))


def test_the_pattern_of_an_address_reaches_the_files(tmp_path):
    for name in ("a.csv", "b.json"):
        (tmp_path / name).write_text("1")
    rules = DiscoveryRules.of(SourceShape(url=f"{tmp_path}/*.csv"), local_min_age_seconds=0)
    (page,) = discover(open_store(rules.url), rules, now=NOW)
    assert [found.path for found in page.files] == [f"{tmp_path}/a.csv"]
    assert page.skipped == {"not-included": 1}


def _patiently(folder, meanwhile=lambda: None, **changes):
    """All pages of a listing of files written just now, by a run that waits; `meanwhile` happens as it waits."""
    moments: list[datetime] = []

    def wait(until: datetime) -> datetime:
        moments.append(until)
        meanwhile()
        return until

    now = datetime.now(UTC)
    rules = replace(DiscoveryRules(url=str(folder), min_age_seconds=1.0), **changes)
    pages = list(discover(open_store(str(folder), page_size=2), rules, now=now, wait=wait))
    skipped: Counter[str] = sum((Counter(page.skipped) for page in pages), Counter())
    paths = sorted(found.path.rpartition("/")[2] for page in pages for found in page.files)
    assert all(until < now + timedelta(seconds=3) for until in moments)
    assert len(moments) <= 1
    return paths, skipped, sum(page.seen for page in pages)


def test_a_file_written_a_moment_ago_is_looked_at_once_more_and_counts(tmp_path):
    for name in ("a", "b", "c", "d", "e"):
        (tmp_path / name).write_text("1")
    os.utime(tmp_path / "b", (1.7e9, 1.7e9))
    assert _patiently(tmp_path) == (["a", "b", "c", "d", "e"], {}, 5)


def test_what_is_still_written_at_the_second_look_waits_and_what_is_gone_is_not_loaded(tmp_path):
    for name in ("grows", "goes", "stays"):
        (tmp_path / name).write_text("1")

    def meanwhile() -> None:
        later = time.time() + 1.5
        os.utime(tmp_path / "grows", (later, later))
        (tmp_path / "goes").unlink()

    assert _patiently(tmp_path, meanwhile) == (["stays"], {"too-young": 1}, 3)


def test_a_longer_minimum_age_is_left_to_the_next_run(tmp_path):
    (tmp_path / "a").write_text("1")
    assert _patiently(tmp_path, min_age_seconds=60.0) == ([], {"too-young": 1}, 1)
