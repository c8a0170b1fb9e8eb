from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from app import failpoints


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    failpoints.arm("")


def run(spec: str, *names: str) -> subprocess.Popen[bytes]:
    """A process of its own that is armed with `spec` and passes the points in turn, saying so."""
    code = (
        "import sys; from app import failpoints; failpoints.arm(sys.argv[1])\n"
        "for name in sys.argv[2:]: print(name, flush=True); failpoints.hit(name)\n"
        "print('end', flush=True)"
    )
    return subprocess.Popen([sys.executable, "-c", code, spec, *names], stdout=subprocess.PIPE)


def test_a_point_that_is_not_armed_does_nothing():
    for name in failpoints.NAMES:
        failpoints.hit(name)


def test_an_unknown_name_can_neither_be_armed_nor_hit():
    with pytest.raises(ValueError, match="no failpoint 'commited'"):
        failpoints.arm("commited=kill")
    with pytest.raises(ValueError, match="no failpoint 'commited'"):
        failpoints.hit("commited")


def test_kill_ends_the_process_with_sigkill_at_the_point():
    process = run("written=kill", "claimed", "written", "settled")
    output, _ = process.communicate(timeout=180)

    assert process.returncode == -signal.SIGKILL
    assert output.split() == [b"claimed", b"written"]


def test_kill_can_wait_for_the_third_time():
    process = run("claimed=kill@3", *["claimed"] * 5)
    output, _ = process.communicate(timeout=180)

    assert process.returncode == -signal.SIGKILL
    assert output.split() == [b"claimed"] * 3


def test_stop_holds_the_process_until_it_is_continued():
    process = run("claimed=stop", "claimed", "written")
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        output, _ = process.communicate(timeout=180)
        assert output.split() == [b"claimed", b"written", b"end"]
    finally:
        process.kill()


def test_error_raises():
    failpoints.arm("planned=error")

    with pytest.raises(RuntimeError, match="failpoint planned"):
        failpoints.hit("planned")


def test_wait_says_that_it_is_there_and_goes_on_when_the_gate_opens(tmp_path):
    gate = tmp_path / "gate"
    failpoints.arm(f"before-commit=wait:{gate}")
    thread = threading.Thread(target=failpoints.hit, args=("before-commit",), daemon=True)
    thread.start()

    until = time.monotonic() + 180
    while not (tmp_path / "gate.reached").exists():
        assert time.monotonic() < until
        time.sleep(0.005)
    assert thread.is_alive()
    gate.touch()
    thread.join(timeout=180)

    assert not thread.is_alive()


def test_several_points_can_be_armed_and_an_empty_text_disarms_all():
    failpoints.arm("planned=error;settled=error")
    with pytest.raises(RuntimeError):
        failpoints.hit("settled")

    failpoints.arm("")
    failpoints.hit("settled")
    failpoints.hit("planned")
