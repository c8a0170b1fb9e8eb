from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import Interrupted, InvalidInput, SourceUnavailable
from app.spool import Spool, SpooledFile, SpoolFault
from app.storage import Store, open_store
from app.values import BatchFile
from tests.services.objects import Bucket
from tests.services.shared import free_ports


def seeded(bucket: Bucket, count: int) -> tuple[Store, list[BatchFile]]:
    """A store and `count` files of it, file n holding n."""
    store = open_store(bucket.url, bucket.options, timeout_seconds=60, retries=1)
    infos = [store.stat(bucket.put(f"{n:03d} %", b"%d" % n)) for n in range(count)]
    return store, [BatchFile(1000 + n, info.path, info.version, info.size) for n, info in enumerate(infos)]


@pytest.mark.parametrize("service", ["s3", "azurite", "gcs"])
def test_each_file_arrives_under_its_id_in_the_order_asked_for(service, request, tmp_path):
    store, files = seeded(request.getfixturevalue(service), 12)
    with Spool(tmp_path, 1000, 4) as spool:
        answers = spool.fetch(store, files[::-1])
        assert [answer.file_id for answer in answers] == [file.file_id for file in files[::-1]]
        spooled = [answer for answer in answers if isinstance(answer, SpooledFile)]
        assert [answer.local_path.read_bytes() for answer in spooled] == [b"%d" % n for n in range(11, -1, -1)]
        assert [answer.local_path.name for answer in spooled] == [str(file.file_id) for file in files[::-1]]


def test_changed_missing_denied_and_too_large_files_are_faults_of_their_own(s3, tmp_path):
    store, files = seeded(s3, 5)
    s3.put("001 %", b"other")
    s3.remove("002 %")
    files[3] = BatchFile(files[3].file_id, files[3].path, files[3].version, 10_000)
    with Spool(tmp_path, 100, 3) as spool:
        answers = spool.fetch(store, files)
        assert [getattr(answer, "reason", "") for answer in answers] == ["", "changed", "missing", "too-large", ""]
        assert isinstance(answers[0], SpooledFile)
        assert isinstance(answers[3], SpoolFault)
        assert "SPOOL_MAX_BYTES" in answers[3].error
        assert sorted(path.name for path in next(tmp_path.iterdir()).iterdir()) == ["1000", "1004"]
    denied = open_store(s3.url, {**s3.options, "secret_access_key": "wrong-secret"})
    with Spool(tmp_path, 100, 3) as spool:
        assert [getattr(answer, "reason", "") for answer in spool.fetch(denied, files[:1])] == ["denied"]


def test_more_than_fits_is_refused_until_room_is_made(s3, tmp_path):
    store, files = seeded(s3, 10)
    with Spool(tmp_path, 12, 2) as spool:
        spool.fetch(store, files[:8])
        with pytest.raises(InvalidInput, match=r"2 files of 2 bytes.*12|4 bytes are free"):
            spool.fetch(store, [BatchFile(1, file.path, file.version, 6) for file in files[8:]])
        spool.release(file.file_id for file in files[:8])
        assert len(spool.fetch(store, files[8:])) == 2


def copies(answers):
    """What each answer's copy holds, in a file of its own or in a pack; None for a fault."""
    return [
        None
        if isinstance(answer, SpoolFault)
        else answer.local_path.read_bytes()[answer.offset or 0 :][: 3 if answer.offset is not None else None]
        for answer in answers
    ]


@pytest.mark.parametrize("service", ["s3", "azurite", "gcs"])
def test_small_files_share_one_and_a_fault_among_them_is_its_own(service, request, tmp_path):
    bucket = request.getfixturevalue(service)
    store = open_store(bucket.url, bucket.options, timeout_seconds=60, retries=1)
    large = os.urandom(300 * 1024)
    data = [b"aaa", large, b"bbb", b"ccc", b"ddd", b"eee"]
    infos = [store.stat(bucket.put(f"{n} %", part)) for n, part in enumerate(data)]
    files = [BatchFile(n, info.path, info.version, info.size) for n, info in enumerate(infos, 1)]
    bucket.put("2 %", b"changed")
    bucket.remove("4 %")
    with Spool(tmp_path, 10**6, 4) as spool:
        answers = spool.fetch(store, files, packs=True)
        assert [getattr(answer, "reason", "") for answer in answers] == ["", "", "changed", "", "missing", ""]
        assert copies(answers) == [b"aaa", large, None, b"ccc", None, b"eee"]
        assert sorted(path.name for path in spool.folder.iterdir()) == ["2", "pack-1"]


def test_an_object_of_another_size_than_was_listed_is_changed_and_hurts_no_neighbour(s3, tmp_path):
    store, files = seeded(s3, 3)
    files[1] = BatchFile(files[1].file_id, files[1].path, files[1].version, 2)
    files[2] = BatchFile(files[2].file_id, s3.put("new\nline", b"too long"), "", 1)
    files[2] = BatchFile(files[2].file_id, files[2].path, store.stat(files[2].path).version, 1)
    files.append(BatchFile(1003, files[0].path, files[0].version, 1))
    with Spool(tmp_path, 1000, 4) as spool:
        answers = spool.fetch(store, files, packs=True)
        assert [getattr(answer, "reason", "") for answer in answers] == ["", "changed", "changed", ""]
        assert next(iter(spool.folder.iterdir())).read_bytes() == b"0\0\0\0" + b"0"


def test_a_pack_goes_and_gives_its_room_back_with_the_last_of_its_files(s3, tmp_path):
    store, files = seeded(s3, 10)
    with Spool(tmp_path, 12, 2) as spool:
        spool.fetch(store, files[:8], packs=True)
        spool.release(file.file_id for file in files[1:8])
        assert [path.name for path in spool.folder.iterdir()] == ["pack-1"]
        with pytest.raises(InvalidInput, match="4 bytes are free"):
            spool.fetch(store, [BatchFile(1, file.path, file.version, 6) for file in files[8:]])
        spool.release([files[0].file_id])
        assert not list(spool.folder.iterdir())
        assert len(spool.fetch(store, files, packs=True)) == 10


def test_a_fetch_of_a_pack_that_is_stopped_leaves_nothing(s3, tmp_path):
    store, files = seeded(s3, 20)
    asked = itertools.count(1)
    with Spool(tmp_path, 30, 2) as spool:
        with pytest.raises(Interrupted):
            spool.fetch(store, files, lambda: next(asked) == 3, packs=True)
        assert not list(spool.folder.iterdir())
        assert len(spool.fetch(store, files, packs=True)) == 20, "its room is free again"


def test_a_store_that_does_not_answer_stops_the_fetch_and_leaves_nothing(tmp_path):
    options = {"endpoint": f"http://127.0.0.1:{free_ports(1)[0]}", "access_key_id": "k", "secret_access_key": "s"}
    store = open_store("s3://bucket", options, timeout_seconds=2, retries=0)
    with Spool(tmp_path, 1000, 4) as spool:
        with pytest.raises(SourceUnavailable):
            spool.fetch(store, [BatchFile(n, f"s3://bucket/{n}", "v", 1) for n in range(50)])
        assert not list(next(tmp_path.iterdir()).iterdir())


def test_a_full_disk_is_told_of(s3, tmp_path):
    # /dev/full is the kernel's own full disk.
    store, files = seeded(s3, 3)
    with Spool(tmp_path, 1000, 1) as spool:
        (spool.folder / str(files[0].file_id)).symlink_to("/dev/full")
        with pytest.raises(SourceUnavailable, match="is full"):
            spool.fetch(store, files[:1])
        (spool.folder / "pack-1").symlink_to("/dev/full")
        with pytest.raises(SourceUnavailable, match="is full"):
            spool.fetch(store, files, packs=True)


def test_closing_removes_the_files(s3, tmp_path):
    store, files = seeded(s3, 2)
    with Spool(tmp_path, 1000, 2) as spool:
        spool.fetch(store, files)
    assert not list(tmp_path.iterdir())


def test_what_a_dead_process_left_is_removed_and_nothing_else(tmp_path):
    left = "import os, pathlib, sys; from app.spool import Spool; Spool(pathlib.Path(sys.argv[1]), 1, 1); os._exit(1)"
    subprocess.run([sys.executable, "-c", left, str(tmp_path)], cwd=Path(__file__).parents[2], check=False)
    dead = list(tmp_path.iterdir())
    assert len(dead) == 1
    (tmp_path / "spool-notes").mkdir()
    (tmp_path / "other").mkdir()
    with Spool(tmp_path, 1, 1), Spool(tmp_path, 1, 1):
        names = [path.name for path in tmp_path.iterdir()]
        assert dead[0].name not in names
        assert {"spool-notes", "other"} < set(names)
        assert sum(name.startswith(f"spool-{os.getpid()}-") for name in names) == 2


def test_what_a_process_has_that_cannot_be_seen_from_here_is_left_alone_until_it_is_dead(tmp_path):
    """In a container that shares the folder."""
    holds = (
        "import os, pathlib, sys; from app import spool; spool._started_at = lambda pid: '1';"
        "held = spool.Spool(pathlib.Path(sys.argv[1]), 1, 1); print(held.folder, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holds, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        folder = Path(other.stdout.readline().strip())
        with Spool(tmp_path, 1, 1):
            assert folder.is_dir()
        other.kill()
    with Spool(tmp_path, 1, 1) as spool:
        assert list(tmp_path.iterdir()) == [spool.folder]


def test_a_fetch_that_is_stopped_ends_soon_and_leaves_nothing(s3, tmp_path):
    store, files = seeded(s3, 60)
    asked: list[bool] = []

    def after_the_third() -> bool:
        asked.append(True)
        return len(asked) == 3

    with Spool(tmp_path, 1000, 2) as spool:
        with pytest.raises(Interrupted):
            spool.fetch(store, files, after_the_third)
        assert not list(next(tmp_path.iterdir()).iterdir())
        assert len(spool.fetch(store, files)) == 60, "its room is free again"
    assert len(asked) == 3


def test_a_pack_stays_open_as_long_as_somebody_may_write_into_it_and_no_longer(s3, tmp_path):
    """A number that was given back would be another file's by then."""
    store, files = seeded(s3, 3)
    slots = []

    class Watched:
        def fetch_many(self, jobs, concurrency):
            slots.extend(slot for _, slot in jobs)
            return store.fetch_many(jobs, concurrency)

    with Spool(tmp_path, 1000, 2) as spool:
        spool.fetch(Watched(), files, packs=True)
        number = slots[0].handle.fileno()
        assert os.fstat(number).st_size == 3
        slots.clear()
        gc.collect()
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(number)
