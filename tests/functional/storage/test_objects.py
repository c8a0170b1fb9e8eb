from __future__ import annotations

import gzip
import os

import pytest

from app.errors import (
    AutoloaderError,
    FileChanged,
    FileMissing,
    InvalidInput,
    ObjectUnavailable,
    SourceAccessDenied,
    SourceUnavailable,
)
from app.storage import FetchFault, open_store
from app.values import BatchFile
from tests.services.objects import put_gcs_gzip
from tests.services.proxy import refusing

LARGE = os.urandom(9 * 1024 * 1024)


def test_a_fetch_copies_every_byte(place, opened, tmp_path):
    for key, data in (("none", b""), ("one", b"1"), ("large", LARGE)):
        info = opened().stat(place.put(key, data))
        opened().fetch(info.path, info.version, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == data


def test_an_object_that_google_unpacks_on_its_way_arrives_as_it_was_listed(gcs, tmp_path):
    data = gzip.compress(b"unpacked" * 100)
    path = put_gcs_gzip(gcs, "a.gz", data)
    store = open_store(gcs.url, gcs.options)
    (listed,) = next(store.list())
    assert store.stat(path) == listed
    store.fetch(path, listed.version, tmp_path / "copy")
    assert ((tmp_path / "copy").read_bytes(), listed.size) == (data, len(data))
    assert store.read(path, 3, 5) == data[3:8]


def test_a_fetch_of_a_version_that_was_overwritten_fails_and_leaves_nothing(place, opened, tmp_path):
    path = place.put("a", b"old")
    old = opened().stat(path)
    place.put("a", b"new")
    with pytest.raises(FileChanged):
        opened().fetch(path, old.version, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_fetch_of_an_unprintable_key_is_pinned_too(s3, tmp_path):
    path = s3.put("new\nline", b"old")
    store = open_store(s3.url, s3.options)
    old = store.stat(path)
    s3.put("new\nline", b"new")
    with pytest.raises(FileChanged):
        store.fetch(path, old.version, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("key", ["a", "new\nline"])
def test_a_removed_object_is_missing(s3, key, tmp_path):
    path = s3.put(key)
    store = open_store(s3.url, s3.options)
    version = store.stat(path).version
    s3.remove(key)
    for act in (
        lambda: store.stat(path),
        lambda: store.read(path),
        lambda: store.fetch(path, version, tmp_path / "copy"),
    ):
        with pytest.raises(FileMissing):
            act()


def test_an_object_that_was_never_there_is_missing(place, opened, tmp_path):
    path = f"{place.url}/never"
    for act in (opened().stat, opened().read, lambda gone: opened().fetch(gone, "v", tmp_path / "copy")):
        with pytest.raises(FileMissing):
            act(path)


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (3, 4, b"3456"),
        (8, 10, b"89"),
        (10, 5, b""),
        (99, 1, b""),
        (0, 0, b""),
    ],
)
def test_a_read_answers_what_is_there(place, opened, start, length, expected):
    path = place.put("a", b"0123456789")
    assert opened().read(path, start, length) == expected


def test_what_is_there_can_be_read_and_deleted_twice(place, opened):
    path = place.put("deep/er/a b%.json", b"text")
    store = opened()
    assert store.read(path) == b"text"
    if place.kind == "gs":  # the library wants credentials to delete there, also where none are to be sent
        with pytest.raises(AutoloaderError):
            store.delete(path)
        return
    store.delete(path)
    store.delete(path)
    assert not list(store.list())


def test_many_fetches_go_on_beside_those_that_fail(place, opened, tmp_path):
    store = opened()
    infos = [store.stat(place.put(f"{n:02d}", b"%d" % n)) for n in range(20)]
    place.put("03", b"changed")
    place.remove("07")
    jobs = [(BatchFile(n, info.path, info.version, info.size), tmp_path / f"{n}.copy") for n, info in enumerate(infos)]
    answers = list(store.fetch_many(jobs, 4))
    faults = {answer.file_id: type(answer.error) for answer in answers if isinstance(answer, FetchFault)}
    assert faults == {3: FileChanged, 7: FileMissing}
    done = {answer for answer in answers if isinstance(answer, int)}
    assert done == set(range(20)) - {3, 7}
    assert {int(path.stem): path.read_bytes() for path in tmp_path.glob("*.copy")} == {n: b"%d" % n for n in done}


def test_one_denied_object_is_the_fault_of_that_object_alone(s3, tmp_path):
    infos = [open_store(s3.url, s3.options).stat(s3.put(key)) for key in ("a", "b")]
    store = open_store(s3.url, {**s3.options, "secret_access_key": "wrong-secret"})
    jobs = [(BatchFile(n, info.path, info.version, info.size), tmp_path / f"{n}.copy") for n, info in enumerate(infos)]
    assert {type(answer.error) for answer in store.fetch_many(jobs, 2) if isinstance(answer, FetchFault)} == {
        SourceAccessDenied
    }


@pytest.mark.parametrize(("kept", "failing"), [(0, 1), (0, 3), (3, 6)], ids=["the-only-one", "all", "too-many"])
def test_objects_that_a_store_fails_to_give_blame_it_where_others_are_not_given_either(s3, tmp_path, kept, failing):
    keys = [*(f"{n}.good" for n in range(kept)), *(f"{n}.bad" for n in range(failing))]
    infos = [open_store(s3.url, s3.options).stat(s3.put(key)) for key in keys]
    with refusing(s3.endpoint, ".bad", status=500, code="InternalError") as endpoint:
        store = open_store(s3.url, {**s3.options, "endpoint": endpoint}, retries=0)
        jobs = [(BatchFile(n, info.path, info.version, info.size), tmp_path / str(n)) for n, info in enumerate(infos)]
        with pytest.raises(ObjectUnavailable, match=r"\.bad with an error of its own: InternalError"):
            list(store.fetch_many(jobs, 2))


def test_a_store_that_fails_to_give_a_few_objects_time_and_again_is_ill_itself(s3, tmp_path):
    """Each fetch has one that it gives and two that it does not: what is wrong with so many is no object's fault."""
    infos = [open_store(s3.url, s3.options).stat(s3.put(f"{n}.{'bad' if n % 3 else 'good'}")) for n in range(12)]
    jobs = [(BatchFile(n, info.path, info.version, info.size), tmp_path / str(n)) for n, info in enumerate(infos)]
    with refusing(s3.endpoint, ".bad", status=500, code="InternalError") as endpoint:
        store = open_store(s3.url, {**s3.options, "endpoint": endpoint}, retries=0)
        for first in (0, 3):
            answers = list(store.fetch_many(jobs[first : first + 3], 2))
            assert sum(isinstance(answer, FetchFault) for answer in answers) == 2
        with pytest.raises(ObjectUnavailable):
            list(store.fetch_many(jobs[6:9], 2))


def test_a_store_that_asks_to_be_asked_less_blames_no_object(s3, tmp_path):
    infos = [open_store(s3.url, s3.options).stat(s3.put(key)) for key in ("a.good", "b.bad")]
    jobs = [(BatchFile(n, info.path, info.version, info.size), tmp_path / str(n)) for n, info in enumerate(infos)]
    with refusing(s3.endpoint, ".bad", status=503, code="SlowDown") as endpoint:
        store = open_store(s3.url, {**s3.options, "endpoint": endpoint}, retries=0)
        with pytest.raises(SourceUnavailable, match="SlowDown"):
            list(store.fetch_many(jobs, 2))


def test_an_object_that_is_given_when_it_is_asked_for_again_is_nobodys_fault(s3, tmp_path):
    infos = [open_store(s3.url, s3.options).stat(s3.put(key)) for key in ("a", "b.bad")]
    with refusing(s3.endpoint, ".bad", status=500, code="InternalError", times=1) as endpoint:
        store = open_store(s3.url, {**s3.options, "endpoint": endpoint}, retries=0)
        jobs = [(BatchFile(n, info.path, info.version, info.size), tmp_path / str(n)) for n, info in enumerate(infos)]
        assert sorted(map(repr, store.fetch_many(jobs, 2))) == ["0", "1"]


def test_a_path_of_another_bucket_is_refused(s3):
    with pytest.raises(InvalidInput, match="does not lie in"):
        open_store(s3.url, s3.options).read("s3://another/a")


def test_only_a_folder_has_local_paths(place, opened):
    path = place.put("a")
    assert (opened().local_path(path) is not None) == (place.kind == "local")
