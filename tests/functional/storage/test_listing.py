from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.errors import SourceAccessDenied, SourceNotFound, SourceUnavailable
from app.ingest.discovery import DiscoveryRules, discover
from app.storage import ObjectInfo, Store, check, open_store
from tests.services.shared import free_ports

ODD_KEYS = [
    "odd/a b",
    "odd/a%20b",
    "odd/a%2Fb",
    "odd/x#y",
    "odd/p+q",
    "odd/q?x=1&y=2",
    "odd/'single' \"double\"",
    "odd/üñí/日本/🦆",
    "odd/e\u0301 and \u00e9",
    "odd/[x]{y}*~^`<>|",
    "odd/;:@=,$!()",
]
UNPRINTABLE_KEYS = ["odd/new\nline", "odd/tab\there", "odd/return\rhere", "odd/\x01"]


def listed(store: Store, prefix: str = "") -> tuple[list[ObjectInfo], Counter[str]]:
    counts: Counter[str] = Counter()
    pages = list(store.list(prefix, left_out=counts))
    return sorted((info for page in pages for info in page), key=lambda info: info.path), counts


def test_a_listing_shows_path_version_size_and_time(place, opened):
    before = datetime.now(UTC) - timedelta(seconds=2)
    path = place.put("in/a.csv", b"12345")
    found, counts = listed(opened("in"))
    assert [(info.path, info.size) for info in found] == [(path, 5)]
    assert before < found[0].modified_at < datetime.now(UTC) + timedelta(seconds=2)
    assert found[0].version
    assert '"' not in found[0].version
    assert not counts


def test_the_version_of_a_listing_is_that_of_a_look(place, opened):
    path = place.put("a", b"1")
    found, _ = listed(opened())
    seen = opened().stat(path)
    assert (seen.path, seen.version, seen.size) == (path, found[0].version, 1)
    assert seen.modified_at.replace(microsecond=0) == found[0].modified_at.replace(microsecond=0)


def test_only_what_lies_below_the_prefix_is_listed(place, opened):
    inside = [place.put(key) for key in ("in/a", "in/b/c")]
    place.put("in-side/x")
    place.put("other/in/x")
    assert [info.path for info in listed(opened("in"))[0]] == sorted(inside)
    assert [info.path for info in listed(opened(), "in")[0]] == sorted(inside)


def test_the_address_of_one_object_lists_that_object(place, opened):
    path = place.put("in/a b.csv")
    place.put("in/a b.csvx")
    assert [info.path for info in listed(opened("in/a b.csv"))[0]] == [path]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_no_key_is_lost_or_doubled_where_pages_meet(place, opened, concurrency):
    keys = {f"in/{n % 7}/{n:04d}" for n in range(1001)} | {"in/0", "in/zz"} - (
        {"in/0"} if place.kind == "local" else set()
    )
    paths = {place.put(key, b"%d" % len(key)) for key in keys}
    pages = list(opened("in", page_size=100, list_concurrency=concurrency).list())
    found = [info.path for page in pages for info in page]
    assert len(found) == len(paths)
    assert set(found) == paths
    assert len(pages) > 1
    for page in pages:
        assert [info.path for info in page] == sorted(info.path for info in page)


def test_a_reader_that_stops_early_leaves_no_thread_waiting(place, opened):
    for n in range(60):
        place.put(f"{n % 6}/{n}")
    pages = opened(page_size=5, list_concurrency=3).list()
    assert next(pages)
    pages.close()


@pytest.mark.parametrize("key", ODD_KEYS)
def test_an_odd_key_comes_through_raw(place, opened, key, tmp_path):
    if place.kind == "gs" and key == "odd/a%2Fb":
        key = "odd/a%2fb%"
    path = place.put(key, b"odd")
    found, counts = listed(opened("odd"))
    assert [info.path for info in found] == [path]
    assert not counts
    store = opened("odd")
    assert store.read(path) == b"odd"
    store.fetch(path, found[0].version, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"odd"


@pytest.mark.parametrize("key", UNPRINTABLE_KEYS)
def test_an_unprintable_key_comes_through_raw_beside_plain_ones(key, s3, tmp_path):
    paths = [s3.put(each, b"0123456789") for each in ("odd/a", key, "odd/z", "zz/plain")]
    store = open_store(s3.url, s3.options, page_size=1)
    found, _ = listed(store)
    assert [info.path for info in found] == sorted(paths)
    odd = next(info for info in found if info.path == paths[1])
    assert store.stat(odd.path) == odd
    assert store.read(odd.path, 2, 3) == b"234"
    store.fetch(odd.path, odd.version, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"0123456789"


def test_an_unprintable_key_on_disk_comes_through_raw(tmp_path):
    for name in ("new\nline", "tab\there", "\x01"):
        (tmp_path / name).write_text("x")
    found, _ = listed(open_store(str(tmp_path)))
    assert {info.path for info in found} == {f"{tmp_path}/{name}" for name in ("new\nline", "tab\there", "\x01")}


def test_an_object_that_only_shows_a_folder_is_counted_and_left_out(s3):
    s3.put("in/", b"")
    s3.put("in/sub/", b"")
    path = s3.put("in/sub/a")
    empty = s3.put("in/empty.csv", b"")
    found, counts = listed(open_store(f"{s3.url}/in", s3.options))
    assert [info.path for info in found] == [empty, path]
    assert set(counts) <= {"not-a-file"}


def test_side_by_side_every_object_is_counted_that_a_plain_listing_counts(s3):
    for n in range(24):
        s3.put(f"in/{n:02d}/sub/", b"")
        s3.put(f"in/{n:02d}/a.csv")
    s3.put("in/empty/", b"")

    def counted(concurrency):
        store = open_store(f"{s3.url}/in", s3.options, page_size=3, list_concurrency=concurrency)
        seen, skipped = 0, Counter()
        for page in discover(store, DiscoveryRules(url=store.base), now=datetime.now(UTC)):
            time.sleep(0.005)  # while a page is recorded, the threads go on
            seen += page.seen
            skipped.update(page.skipped)
        return seen, skipped

    assert counted(8) == counted(1)


def test_a_prefix_with_nothing_below_is_empty(s3):
    assert listed(open_store(f"{s3.url}/nothing", s3.options)) == ([], Counter())


@pytest.mark.parametrize("service", ["s3", "azurite"])  # fake-gcs-server answers 500 where Google answers 404
def test_a_bucket_that_does_not_exist_is_told_of(service, request):
    place = request.getfixturevalue(service)
    address = place.url.replace("t-", "gone-")
    with pytest.raises(SourceNotFound, match="gone-"):
        list(open_store(address, place.options, retries=0).list())


def test_a_folder_that_does_not_exist_is_told_of(tmp_path):
    with pytest.raises(SourceNotFound, match="no folder"):
        list(open_store(str(tmp_path / "gone")).list())


@pytest.mark.parametrize(("service", "name"), [("s3", "secret_access_key"), ("azurite", "account_key")])
def test_a_wrong_key_is_denied_and_not_shown(service, name, request):
    place = request.getfixturevalue(service)
    place.put("a")
    wrong = "d3JvbmctY2FuYXJ5LXNlY3JldA=="
    store = open_store(place.url, {**place.options, name: wrong}, retries=0)
    for act in (lambda: list(store.list()), lambda: store.stat(f"{place.url}/a"), lambda: store.read(f"{place.url}/a")):
        with pytest.raises(SourceAccessDenied) as denied:
            act()
        assert wrong not in f"{denied.value} {denied.value.__cause__!r}"


def test_a_key_that_may_only_read_cannot_delete(s3):
    path = s3.put("a", b"1")
    store = open_store(s3.url, s3.reader_options)
    assert store.read(path) == b"1"
    with pytest.raises(SourceAccessDenied):
        store.delete(path)


def test_a_session_token_of_the_environment_does_not_mix_with_a_connections_key(s3, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "somebody-elses")
    path = s3.put("a")
    assert [info.path for info in listed(open_store(s3.url, s3.options))[0]] == [path]


def test_a_store_that_is_not_there_is_unavailable():
    options = {"endpoint": f"http://127.0.0.1:{free_ports(1)[0]}", "access_key_id": "k", "secret_access_key": "s"}
    with pytest.raises(SourceUnavailable, match="could not be reached"):
        list(open_store("s3://bucket", options, timeout_seconds=2, retries=0).list())


def test_a_check_goes_as_far_as_it_can(place):
    place.put("a")
    assert [(step.name, step.ok) for step in check(place.url, place.options)] == [
        ("open", True),
        ("list", True),
        ("read", True),
    ]
    steps = check(f"{place.url}-gone", place.options)
    assert [(step.name, step.ok) for step in steps] == [("open", True), ("list", False)]
    assert [(step.name, step.ok) for step in check(place.url, {"colour": "red"})] == [("open", False)]


def test_a_listing_imports_none_of_arrows_functions(s3):
    s3.put("a")
    code = (
        "import json, sys; from app.storage import open_store; url, options = map(json.loads, sys.argv[1:]);"
        " assert [path for page in open_store(url, options).list() for path in page.paths] == [url + '/a'];"
        " sys.exit('pyarrow.compute' in sys.modules)"
    )
    command = [sys.executable, "-c", code, json.dumps(s3.url), json.dumps(s3.options)]
    subprocess.run(command, cwd=Path(__file__).parents[3], check=True)
