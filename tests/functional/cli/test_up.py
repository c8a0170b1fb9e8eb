"""`autoloader up` as one meets it: a real Prefect server, API and worker below one process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.runtime.running import seen
from tests.functional.cli.conftest import put, rows
from tests.functional.prefect.place import until
from tests.functional.prefect.workers import are_gone
from tests.services.keeper import started_at
from tests.services.shared import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[3]
START_SECONDS = 400.0  # 30 on a quiet machine
ANSWER_SECONDS = 240.0  # a machine whose disk is busy with other tests keeps a server from its database for long
TABLE = "shop.orders"


class Up:
    """One home, and the `up` that runs for it; several tests share it, in any order."""

    def __init__(self, folder):
        self.home = folder / "home"
        self.work = folder / "work"
        self.user = folder / "user"
        self.foreign = folder / "foreign.db"
        self.delivered = 0
        self.output = folder / "output"
        self.api_port, self.prefect_port = free_ports(2)
        for each in (self.work, self.user, self.work / "landing", self.work / "app"):
            each.mkdir()
        # What must not be met: another server of the same person, and a package of the same name.
        foreign = f"sqlite+aiosqlite:///{self.foreign}"
        (self.work / ".env").write_text(f"PARSER_THREADS=1\nPREFECT_SERVER_DATABASE_CONNECTION_URL={foreign}\n")
        (self.work / "app" / "__init__.py").write_text("raise RuntimeError('the wrong app')\n")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            "HOME": str(self.user),
            "AUTOLOADER_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "PREFECT_API_URL": "http://127.0.0.1:9/api",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": foreign,
            "PREFECT_PROFILE": "production",
            "PREFECT_API_KEY": "pnu_of_another_server",
        }
        self.process = None

    # --- the command

    def command(self, *arguments, **environment):
        """The command to its end: code, output, errors."""
        process = self.begin(arguments, environment, subprocess.PIPE, subprocess.PIPE)
        out, err = process.communicate(timeout=180)
        return process.returncode, out, err

    def begin(self, arguments, environment, out, err):
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "app.cli.main", "up", *arguments],
            env={**self.environment, **environment},
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            text=True,
            start_new_session=True,
        )

    def start(self):
        self.begin_in_background()
        until(self.is_ready, START_SECONDS, "up")

    def begin_in_background(self):
        ports = ["--api-port", str(self.api_port), "--prefect-port", str(self.prefect_port)]
        with self.output.open("ab") as output:
            self.process = self.begin(ports, {}, output, output)

    def stop(self, number=signal.SIGINT):
        """Answers the exit code, and the processes that were below it."""
        below = self.below()
        self.process.send_signal(number)
        return self.process.wait(120), below

    # --- what is seen of it

    def is_ready(self):
        if self.process.poll() is not None:
            pytest.fail(f"up ended: {self.output.read_text()}")
        parts = self.parts()
        return len(parts) == 3 and all(part.state == "ready" for part in parts.values())

    def parts(self):
        found = seen(self.home)
        return {part.name: part for part in found.parts} if found is not None else {}

    def below(self, pid=None):
        pid = pid or self.process.pid
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        children = [int(one) for task in tasks for one in task.read_text("ascii").split()]
        return [*children, *(found for child in children for found in self.below(child))]

    def log(self):
        return "".join(path.read_text(encoding="utf-8") for path in self.home.glob("up.log*"))

    # --- API and Prefect

    def api(self, method, path, **given):
        return self.answer(method, f"http://127.0.0.1:{self.api_port}{path}", **given)

    def prefect(self, method, path, **given):
        user, _, password = (self.home / "prefect.auth").read_text().strip().partition(":")
        url = f"http://127.0.0.1:{self.prefect_port}/api{path}"
        return self.answer(method, url, auth=(user, password), **given)

    def answer(self, method, url, **given):
        answer = httpx.request(method, url, timeout=ANSWER_SECONDS, trust_env=False, **given)
        assert answer.is_success, answer.text
        return answer.json()

    def ingestion(self):
        """Made once; its deployment is in Prefect."""
        found = self.api("GET", "/v1/ingestions")["items"]
        if not found:
            landing = str(self.work / "landing")
            shape = {"name": TABLE, "source": {"url": landing}, "format": {"type": "jsonl"}}
            found = [self.api("POST", "/v1/ingestions", json={**shape, "destination": {"table": TABLE}})]
        made = found[0]["id"]
        until(lambda: self.api("GET", f"/v1/ingestions/{made}")["prefect"]["sync"] == "in_sync", 90)
        return made

    def load_one_more(self):
        """A file is delivered, a run triggered over HTTP, and the worker has loaded it; answers the newest run."""
        made = self.ingestion()
        known = {run["id"] for run in self.runs()}
        put(self.work / "landing", f"{self.delivered}.jsonl", rows(self.delivered * 3, 3))
        self.delivered += 1
        self.api("POST", f"/v1/ingestions/{made}/run")
        return until(
            lambda: [run for run in self.runs() if run["id"] not in known and run["finished_at"]], 180, "a run"
        )[0]

    def runs(self):
        return self.api("GET", "/v1/runs")["items"]


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    made = Up(tmp_path_factory.mktemp("up"))
    try:
        made.start()
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.stop(signal.SIGTERM)


def test_what_is_created_over_http_is_loaded_by_the_worker(up):
    run = up.load_one_more()

    assert (run["state"], run["metrics"]["rows"]) == ("SUCCESS", 3)
    assert up.api("GET", "/health/ready")["ready"]
    code, out, _ = up.command("--status", "--json")
    told = json.loads(out)
    assert (code, told["ready"], told["pid"]) == (0, True, up.process.pid)
    assert {part["name"]: part["state"] for part in told["parts"]} == dict.fromkeys(
        ("prefect", "api", "worker"), "ready"
    )


@pytest.mark.parametrize("name", ["worker", "api", "prefect"])
def test_a_part_that_is_killed_comes_back_and_the_next_run_loads(up, name):
    before = up.parts()
    (part,) = up.below(before[name].pid)[:1]  # below what ties it to `up`

    os.kill(part, signal.SIGKILL)
    until(lambda: up.parts()[name].restarts > before[name].restarts and up.is_ready(), START_SECONDS, name)

    others = {one for one in before if one != name}
    assert {one: up.parts()[one].pid for one in others} == {one: before[one].pid for one in others}
    assert f"{name} is paused (it was ended by SIGKILL; it starts anew in " in up.log()
    assert up.load_one_more()["state"] == "SUCCESS"


def test_it_stops_without_leaving_a_process_and_the_next_start_goes_on(up):
    up.load_one_more()
    made, runs = up.ingestion(), up.runs()
    deployment = up.api("GET", f"/v1/ingestions/{made}")["prefect"]["deployment_id"]
    flow_runs = {one["id"] for one in up.prefect("POST", "/flow_runs/filter", json={})}

    code, below = up.stop(signal.SIGINT)

    assert code == 0
    assert len(below) >= 7  # three parts, what ties each of them, and what forks runs
    assert are_gone(below)
    assert up.command("--status")[0] == 1
    up.start()
    assert (up.ingestion(), up.runs()) == (made, runs)
    assert up.api("GET", f"/v1/ingestions/{made}")["prefect"]["deployment_id"] == deployment
    assert flow_runs <= {one["id"] for one in up.prefect("POST", "/flow_runs/filter", json={})}
    assert up.load_one_more()["metrics"]["rows"] == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_end_in_the_midst_of_the_start_leaves_no_process(tmp_path, number, code):
    fresh = Up(tmp_path)
    fresh.begin_in_background()
    until(lambda: "prefect is starting" in fresh.log() and len(fresh.below()) == 2)

    ended, below = fresh.stop(number)

    assert ended == code, fresh.output.read_text()
    assert are_gone(below) or number == signal.SIGKILL
    until(lambda: are_gone(below), 40)  # nobody is there to wait for them: they end by themselves


def test_a_second_up_for_the_same_home_is_refused_and_says_who_runs(up):
    code, out, err = up.command("--json")

    told = json.loads(out)
    assert (code, err, told["error"]) == (1, "", "already-up")
    assert told["message"] == (
        f"`autoloader up` runs already for {up.home} (process {up.process.pid}: "
        f"API http://127.0.0.1:{up.api_port}, Prefect http://127.0.0.1:{up.prefect_port})."
    )
    assert told["hint"].startswith("See it: autoloader up --status.")
    assert up.is_ready()


def test_no_secret_is_in_the_log_or_on_a_command_line(up):
    password = (up.home / "prefect.auth").read_text().strip().partition(":")[2]
    assert len(password) > 30
    assert (up.home / "prefect.auth").stat().st_mode & 0o777 == 0o600

    shown = up.log() + up.output.read_text()
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if started_at(int(path.parent.name))]

    assert "prefect is ready" in shown
    assert password not in shown
    assert not any(password.encode() in line for line in lines)


def test_the_prefect_server_is_safe_and_a_persons_own_prefect_is_not_touched(up):
    settings = up.prefect("GET", "/admin/settings")["server"]
    url = f"http://127.0.0.1:{up.prefect_port}/api/deployments/filter"

    assert settings["concurrency"]["lease_storage"] == "prefect.server.concurrency.lease_storage.filesystem"
    assert (settings["analytics_enabled"], settings["ui"]["enabled"]) == (False, True)
    assert httpx.post(url, json={}, trust_env=False).status_code == 401
    assert httpx.get(f"http://127.0.0.1:{up.prefect_port}/", trust_env=False, follow_redirects=True).is_success
    assert listening(up.prefect_port) == listening(up.api_port) == {"0100007F"}
    assert (up.home / "prefect" / "prefect.db").exists()
    assert (list(up.user.iterdir()), up.foreign.exists()) == ([], False)


def listening(port):
    """Addresses, as the kernel writes them, at which the port is listened on."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return {line[1].partition(":")[0] for line in lines if line[1].endswith(f":{port:04X}") and line[3] == "0A"}


@pytest.mark.parametrize(
    ("option", "setting", "who"),
    [
        ("--api-port", "AUTOLOADER_API_PORT", "The API"),
        ("--prefect-port", "AUTOLOADER_PREFECT_PORT", "The Prefect server"),
    ],
)
def test_a_port_that_is_taken_is_told_before_anything_starts(tmp_path, option, setting, who):
    fresh = Up(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, out, err = fresh.command("--api-port", "0", "--prefect-port", "0", option, str(port))

    assert (code, out) == (1, "")
    assert err == (
        f"Error: {who} cannot listen on port {port} of 127.0.0.1: something else does.\n"
        f"Next: Give another: {option} PORT (0: a free one), or the setting {setting}. "
        f"Or stop what listens there: ss -ltnp 'sport = :{port}'\n"
    )
