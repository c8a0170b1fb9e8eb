from __future__ import annotations

import re

import pytest

from app import log as app_log
from app.runtime.uplog import UpLog


@pytest.fixture
def path(tmp_path):
    return tmp_path / "up.log"


def test_each_line_has_its_time_and_the_name_of_its_part(path):
    with UpLog(path) as log:
        log.write("api", "it begins")
        log.write("worker-1", "so do I")

    first, second = path.read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z api      it begins", first)
    assert second.endswith("Z worker-1 so do I")
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_line_forges_another_steers_a_terminal_or_shows_a_secret(path, monkeypatch):
    monkeypatch.setattr(app_log, "_secrets", set())
    app_log.register_secret("autoloader:s3cret-of-the-server")
    with UpLog(path) as log:
        log.write("prefect", "\x1b[31mred\n2026 up all is well")
        log.write("prefect", "auth is autoloader:s3cret-of-the-server")

    first, second = path.read_text().splitlines()
    assert first.endswith(r"\x1b[31mred\n2026 up all is well")
    assert second.endswith("auth is ***")


def test_past_its_size_it_goes_on_in_a_new_file_and_keeps_three_older_ones(path):
    with UpLog(path, most_bytes=200) as log:
        for number in range(30):
            log.write("api", f"line {number:02} {'x' * 30}")

    files = [path, *(path.with_name(f"up.log.{number}") for number in (1, 2, 3))]
    kept = [int(line.split()[3]) for file in reversed(files) for line in file.read_text().splitlines()]
    assert sorted(path.parent.iterdir()) == files
    assert all(file.stat().st_size <= 200 for file in files)
    assert kept == list(range(kept[0], 30))


def test_a_second_start_writes_behind_what_is_there(path):
    for text in ("first", "second"):
        with UpLog(path) as log:
            log.write("up", text)

    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["first", "second"]


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path):
    with UpLog(tmp_path / "no such folder" / "up.log") as log:
        log.write("up", "unheard")
