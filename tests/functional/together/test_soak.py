"""Whatever of `autoloader up` is killed, however often and for however long: nothing is lost, doubled, or left behind.

Run by `make soak`; SOAK_ROUNDS, SOAK_SEED and SOAK_OUTAGE_SECONDS say how much.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import httpx
import pytest

from tests.functional.cli.conftest import put, rows
from tests.functional.cli.test_up import START_SECONDS, Up
from tests.functional.prefect.place import until

pytestmark = pytest.mark.soak

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "100"))
SEED = int(os.environ.get("SOAK_SEED", "20261124"))
OUTAGE_SECONDS = float(os.environ.get("SOAK_OUTAGE_SECONDS", "180"))
OUTAGES_EVERY = 25  # rounds
SETTLES_SECONDS = 1200.0
NAMES = ("scheduled", "polled", "by-hand")
ROWS = 7


class Chaos(Up):
    """Three ingestions, each begun in its own way, and files that come all the time."""

    def __init__(self, folder, chance):
        super().__init__(folder)
        self.chance = chance
        self.files = dict.fromkeys(NAMES, 0)
        self.ids = {}
        self.kills = 0

    def create(self, name, **more):
        source = {"url": str(self.landing(name))}
        shape = {"name": name, "source": source, "format": {"type": "jsonl"}, **more}
        table = {"destination": {"table": f"soak.{name.replace('-', '_')}"}, "columns": {"columns": "id bigint"}}
        self.ids[name] = self.api("POST", "/v1/ingestions", json={**shape, **table})["id"]

    def landing(self, name):
        folder = self.work / "landing" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def deliver(self, name=None):
        name = name or self.chance.choice(NAMES)
        put(self.landing(name), f"{self.files[name]:05d}.jsonl", rows(self.files[name] * ROWS, ROWS))
        self.files[name] += 1

    def asks(self, *call, **given):
        """A call that may find nobody, and is then made by nobody else."""
        with suppress(httpx.TransportError, AssertionError):
            self.api(*call, **given)

    def kill(self, part):
        """One of the part's processes, at random: the part itself, what forks its runs, or a run."""
        known = self.parts().get(part)
        below = self.below(known.pid) if known is not None and known.pid else []
        if below:
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(below), signal.SIGKILL)
                self.kills += 1

    @contextmanager
    def hung(self, part):
        """The part's processes neither die nor answer."""
        below = self.below(self.parts()[part].pid)
        for pid in below:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in below:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    # --- how it stands

    def loaded(self, name):
        """Rows, and different ones."""
        table = name.replace("-", "_")
        statement = f"SELECT count(*) AS n, count(DISTINCT id) AS d FROM {table}"
        command = [sys.executable, "-P", "-m", "app.cli.main", "table", "sql", f"soak.{table}", statement, "--json"]
        done = subprocess.run(command, env=self.environment, cwd=self.work, capture_output=True, text=True, check=False)
        return json.loads(done.stdout)["rows"] if done.returncode == 0 else done.stdout + done.stderr

    def is_whole(self):
        return all(self.loaded(name) == [{"n": count * ROWS, "d": count * ROWS}] for name, count in self.files.items())

    def is_quiet(self):
        """In step with Prefect, and no run goes on in either."""
        states = [self.api("GET", f"/v1/ingestions/{made}")["prefect"]["sync"] for made in self.ids.values()]
        running = self.api("GET", "/v1/runs?state=RUNNING")["items"]
        active = {"flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}}
        return set(states) == {"in_sync"} and not running and self.is_empty("/flow_runs/filter", active)

    def is_empty(self, listed, asked):
        """Prefect says so. It may be on its way up anew, and then says nothing."""
        try:
            return not self.prefect("POST", listed, json=asked)
        except httpx.TransportError:
            return False


@pytest.fixture
def chaos(tmp_path):
    made = Chaos(tmp_path, random.Random(SEED))
    try:
        made.start()
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.stop(signal.SIGTERM)


def test_what_is_killed_at_random_comes_back_and_every_row_is_there_once(chaos, capsys):
    chaos.create("scheduled", schedule={"interval_seconds": 5})
    chaos.create("polled", arrival={"poll_seconds": 1})
    chaos.create("by-hand")
    for name in NAMES:
        chaos.deliver(name)
    for number in range(1, ROUNDS + 1):
        for _ in range(chaos.chance.randrange(3)):
            chaos.deliver()
        chaos.asks("POST", f"/v1/ingestions/{chaos.ids['by-hand']}/run")
        if number % OUTAGES_EVERY == 0:
            _outage(chaos, number)
        else:
            chaos.kill(chaos.chance.choice(["worker", "worker", "prefect", "api"]))
            time.sleep(chaos.chance.uniform(0.0, 6.0))
    until(chaos.is_ready, START_SECONDS, "up")
    for made in chaos.ids.values():
        chaos.api("POST", f"/v1/ingestions/{made}/run")
    until(chaos.is_whole, SETTLES_SECONDS, f"{chaos.files}: {[chaos.loaded(name) for name in NAMES]}")
    chaos.api("POST", f"/v1/ingestions/{chaos.ids['scheduled']}/pause")
    until(chaos.is_quiet, SETTLES_SECONDS, "the end of all runs, in step with Prefect")
    with capsys.disabled():
        told = f"{chaos.kills} kills in {ROUNDS} rounds, {sum(chaos.files.values())} files, seed {SEED}: every row once"
        print(f"\n{told}")  # noqa: T201


def _outage(chaos, number):
    """Prefect is away for minutes: killed again and again, or hung. Ingestions are changed, made, deleted meanwhile."""
    name = f"made-in-{number}"
    until(chaos.is_ready, START_SECONDS, "up")
    end = time.monotonic() + OUTAGE_SECONDS
    if number % (2 * OUTAGES_EVERY):
        with chaos.hung("prefect"):
            _changes(chaos, name, end)
    else:
        _changes(chaos, name, end, lambda: chaos.kill("prefect"))
    until(chaos.is_ready, START_SECONDS, "up")
    chaos.api("DELETE", f"/v1/ingestions/{chaos.ids.pop(name)}?running=cancel")
    gone = chaos.ids.pop(f"{name}-gone")
    deployments = {"deployments": {"name": {"any_": [gone]}}}
    until(lambda: chaos.is_empty("/deployments/filter", deployments), SETTLES_SECONDS, "its deletion")


def _changes(chaos, name, end, again=lambda: None):
    again()
    chaos.create(name, schedule={"cron": "0 6 * * *"})
    chaos.create(f"{name}-gone")
    chaos.api("PATCH", f"/v1/ingestions/{chaos.ids[name]}", json={"schedule": {"cron": "0 7 * * *"}})
    chaos.api("DELETE", f"/v1/ingestions/{chaos.ids[f'{name}-gone']}")
    while time.monotonic() < end:
        again()
        chaos.deliver()
        time.sleep(chaos.chance.uniform(1.0, 5.0))
