"""The supervisor and what ties a process to it, with small real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import PartFailed
from app.runtime.child import ChildSpec
from app.runtime.part import Pace, PartState
from app.runtime.supervisor import Supervisor
from tests.services.keeper import started_at

ROOT = Path(__file__).parents[3]
QUICK = Pace(first_pause=0.1, longest_pause=0.4, steady=0.5, hung=0.5, look=0.1, ask=0.05, stop=1.0)

READY = "print('ready', flush=True)\n"
SLEEP = "import time\nwhile True: time.sleep(60)\n"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
# A grandchild in a session of its own that does not hear, as a worker's runs are: its pid is said.
GRANDCHILD = f"""
import subprocess, sys
below = subprocess.Popen([sys.executable, '-c', {DEAF + "print(flush=True)" + chr(10) + SLEEP!r}],
                         start_new_session=True, stdout=subprocess.PIPE)
below.stdout.readline()
print('below', below.pid, flush=True)
"""


class World:
    """A supervisor of small parts, and what it told."""

    def __init__(self):
        self.told = []
        self.said = []
        self.supervisor = None

    def supervise(self, *specs, pace=QUICK):
        self.supervisor = Supervisor(specs, self.told.append, lambda *line: self.said.append(line), pace)
        return self.supervisor

    def until(self, condition, seconds=180.0):
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, (self.told, self.said)
            self.supervisor.step()
            time.sleep(0.02)
        return found

    def states(self, name):
        return [one.state for one in self.told if one.name == name]

    def part(self, name="a"):
        return next(part for part in self.supervisor.parts if part.spec.name == name)

    def words(self, name, first):
        return [line.split()[1:] for who, line in self.said if who == name and line.startswith(first)]


@pytest.fixture
def world():
    made = World()
    yield made
    if made.supervisor is not None:
        made.supervisor.stop()


def part(name, code, *, ready=None, alive=None, seconds=180.0):
    return ChildSpec(
        name=name,
        command=(sys.executable, "-u", "-c", code),
        environment={**os.environ, "PYTHONPATH": str(ROOT)},
        ready=ready or (lambda lines: "ready" in lines),
        ready_seconds=seconds,
        alive=alive,
        advice="Read the log.",
    )


def is_gone(pid):
    return not started_at(pid)


def wait_until_gone(*pids, seconds=180.0):
    end = time.monotonic() + seconds
    while not all(map(is_gone, pids)):
        assert time.monotonic() < end, [pid for pid in pids if not is_gone(pid)]
        time.sleep(0.02)


# --- starting


def test_parts_start_one_after_the_other_and_stop_in_reverse_order(world):
    supervisor = world.supervise(part("a", READY + SLEEP), part("b", READY + SLEEP))
    supervisor.start()
    supervisor.stop()

    told = [(one.name, one.state.value) for one in world.told]
    began = [("a", "starting"), ("a", "ready"), ("b", "starting"), ("b", "ready")]
    assert told == [*began, ("b", "ending"), ("b", "stopped"), ("a", "ending"), ("a", "stopped")]


def test_a_part_that_dies_before_it_was_ever_ready_is_given_up_with_its_last_words(world):
    supervisor = world.supervise(part("a", "import sys; print('no such disk'); sys.exit(3)"))

    with pytest.raises(PartFailed) as caught:
        supervisor.start()

    told = "a did not start: it ended with code 3, 3 times before it was ready. Its last lines: no such disk"
    assert (caught.value.message, caught.value.hint) == (told, "Read the log.")


def test_a_part_that_does_not_get_ready_in_time_is_given_up(world):
    supervisor = world.supervise(part("a", "print('still at it')\n" + SLEEP, seconds=1.0))

    with pytest.raises(PartFailed, match=r"it was not ready within 1 s\. Its last lines: still at it") as caught:
        supervisor.start()
    assert caught.value.hint == "Read the log."


def test_a_command_that_does_not_exist_is_told(world):
    spec = part("a", "")
    supervisor = world.supervise(ChildSpec(**{**fields(spec), "command": ("/no/such/command",)}))

    with pytest.raises(PartFailed, match="/no/such/command: No such file or directory"):
        supervisor.start()


def fields(spec):
    return {name: getattr(spec, name) for name in ChildSpec.__slots__}


# --- running


def test_a_part_that_dies_starts_anew_and_the_others_do_not_notice(world):
    supervisor = world.supervise(
        part("a", "import os\nprint('pid', os.getpid())\n" + READY + SLEEP), part("b", READY + SLEEP)
    )
    supervisor.start()
    other = world.part("b").child.pid

    os.kill(int(world.words("a", "pid")[0][0]), signal.SIGKILL)
    world.until(lambda: world.states("a")[-2:] == ["starting", "ready"] and len(world.states("a")) > 2)

    assert world.states("a") == ["starting", "ready", "paused", "starting", "ready"]
    assert world.told[-3].detail == "it was ended by SIGKILL; it starts anew in 0.1 s"
    assert world.part("a").status.restarts == 1
    assert (world.states("b"), world.part("b").child.pid) == (["starting", "ready"], other)


def test_pauses_grow_up_to_the_longest_and_begin_anew_after_a_steady_time(world, tmp_path):
    steady = tmp_path / "steady"
    code = f"import os, sys\nprint('ready')\nif not os.path.exists({str(steady)!r}): sys.exit(1)\n" + SLEEP
    # Ready once, or it would be given up; from then on it dies at once.
    supervisor = world.supervise(part("a", "print('pid')\n" + code, ready=lambda lines: "ready" in lines))
    steady.touch()
    supervisor.start()
    steady.unlink()
    world.part().child.ask_to_end()

    pauses = lambda: [one.detail.rpartition(" in ")[2] for one in world.told if one.state is PartState.PAUSED]  # noqa: E731
    world.until(lambda: len(pauses()) >= 4)
    steady.touch()
    world.until(lambda: world.part().state is PartState.READY)
    ready_at = time.monotonic()
    world.until(lambda: time.monotonic() - ready_at > QUICK.steady)
    world.part().child.ask_to_end()
    grown = len(pauses())
    world.until(lambda: len(pauses()) > grown)

    assert pauses()[:4] == ["0.1 s", "0.2 s", "0.4 s", "0.4 s"]
    assert pauses()[grown] == "0.1 s"


def test_a_part_that_does_not_answer_is_started_anew(world, tmp_path):
    hung = tmp_path / "hung"
    supervisor = world.supervise(part("a", READY + SLEEP, alive=lambda: not hung.exists()))
    supervisor.start()

    hung.touch()
    world.until(lambda: world.part().state is PartState.ENDING)
    hung.unlink()
    world.until(lambda: world.part().state is PartState.READY)

    assert world.states("a") == ["starting", "ready", "ending", "paused", "starting", "ready"]
    assert world.told[2].detail.startswith("it has not answered for ")


def test_a_part_that_is_slow_again_and_again_is_given_ever_more_time_to_answer(world, tmp_path):
    hung = tmp_path / "hung"
    pace = replace(QUICK, hung=0.2, longest_hung=0.8)
    supervisor = world.supervise(part("a", READY + SLEEP, alive=lambda: not hung.exists()), pace=pace)
    supervisor.start()

    hung.touch()
    ended = lambda: [one.detail for one in world.told if one.state is PartState.ENDING]  # noqa: E731
    silent = []
    for count in (1, 2, 3, 4):
        world.until(lambda: world.part().state is PartState.READY)
        ready_at = time.monotonic()
        world.until(lambda count=count: len(ended()) == count)
        silent.append(time.monotonic() - ready_at)

    # Lower bounds alone: a busy machine makes each of them longer.
    assert [bound for bound, took in zip((0.0, 0.3, 0.6, 0.6), silent, strict=True) if took < bound] == []


def test_a_part_that_fails_to_come_back_does_not_end_the_others(world, tmp_path):
    broken = tmp_path / "broken"
    code = f"import os, sys\nif os.path.exists({str(broken)!r}): sys.exit(1)\n" + READY + SLEEP
    supervisor = world.supervise(part("a", code), part("b", READY + SLEEP))
    supervisor.start()

    broken.touch()
    world.part("a").child.ask_to_end()
    world.until(lambda: world.states("a").count("paused") > QUICK.first_tries)
    broken.unlink()
    world.until(supervisor.all_ready)

    assert world.states("b") == ["starting", "ready"]


# --- stopping


def test_what_does_not_hear_sigterm_is_killed_with_all_that_is_below_it(world):
    supervisor = world.supervise(part("a", DEAF + GRANDCHILD + READY + SLEEP))
    supervisor.start()
    pids = [world.part().child.pid, int(world.words("a", "below")[0][0])]

    supervisor.stop()

    assert list(map(is_gone, pids)) == [True, True]


def test_what_a_dead_part_left_behind_is_gone_before_it_starts_anew(world):
    supervisor = world.supervise(part("a", "import os\nprint('pid', os.getpid())\n" + GRANDCHILD + READY + SLEEP))
    supervisor.start()
    below = int(world.words("a", "below")[0][0])

    os.kill(int(world.words("a", "pid")[0][0]), signal.SIGKILL)
    world.until(lambda: "paused" in world.states("a"))

    assert is_gone(below)


def test_a_part_does_not_inherit_ignored_signals(world):
    code = "import signal\nprint('handled', signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        world.supervise(part("a", code + READY + SLEEP)).start()
    finally:
        signal.signal(signal.SIGINT, before)

    assert world.words("a", "handled") == [["True"]]


SUPERVISOR = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.functional.runtime.test_supervisor import DEAF, GRANDCHILD, QUICK, READY, SLEEP, part
from app.runtime.supervisor import Supervisor
code = "import os\\nprint('pid', os.getpid())\\n" + {{before}} + GRANDCHILD + READY + SLEEP
supervisor = Supervisor([part("a", code)], lambda _: None, lambda _, line: print(line, flush=True), QUICK)
supervisor.start()
print("up", supervisor.parts[0].child.pid, flush=True)
supervisor.watch()
"""


@pytest.mark.parametrize("before", ["''", "DEAF"], ids=["that hear", "that do not hear"])
def test_a_supervisor_that_is_killed_leaves_no_process_behind(before):
    command = [sys.executable, "-c", SUPERVISOR.format(before=before)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        pids = {}
        while "up" not in pids:
            word, _, pid = supervisor.stdout.readline().strip().partition(" ")
            pids[word] = int(pid or 0)
        assert not any(is_gone(pids[word]) for word in ("pid", "below", "up"))

        supervisor.kill()

    wait_until_gone(pids["pid"], pids["below"], pids["up"])


def test_a_command_whose_tie_is_killed_dies_at_once_and_starts_anew(world):
    supervisor = world.supervise(part("a", "import os\nprint('pid', os.getpid())\n" + READY + SLEEP))
    supervisor.start()

    os.kill(world.part().child.pid, signal.SIGKILL)
    wait_until_gone(int(world.words("a", "pid")[0][0]))
    world.until(lambda: world.states("a")[-1] == "ready" and len(world.words("a", "pid")) > 1)
