"""The commands against a server: a run goes over Prefect to a worker, and is told as if it had run here."""

from __future__ import annotations

import json
import re
import signal

import pytest

from app.cli.main import run
from app.config import get_settings
from app.values import RunState
from tests.functional.cli.conftest import Ran, start
from tests.functional.prefect.place import TABLE, until
from tests.functional.prefect.workers import warm_worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
_SECONDS = 240.0


@pytest.fixture
def cli(place, capsys):
    def call(*arguments):
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


def without_times(ran):
    """Code and answer, but for times and ids."""
    text = re.sub(r"\d+(\.\d+)? (s|min)\b", "… s", placeless(ran.out))
    return ran.code, re.sub(r"\b\d{10,}\b|[0-9a-f]{8}-[0-9a-f-]{27}", "…", text)


def placeless(text):
    """Without what sends the commands that are to be typed next to the server as well."""
    return re.sub(r"autoloader --server \S+ ", "autoloader ", text)


def counts(ran):
    """What a run came to, but for times and ids."""
    metrics = {key: value for key, value in ran.answer["metrics"].items() if key not in {"seconds", "snapshots"}}
    return ran.code, ran.answer["state"], metrics, sorted(ran.answer)


def test_loads_and_runs_are_told_as_without_a_server(place, api, cli, monkeypatch):
    there = ("--server", api.url)
    place.deliver("a.jsonl", 3)
    load = ("load", str(place.source), TABLE, "--max-attempts", "1")

    # Stopped while it waits for a worker: what was asked for goes on without the command.
    waiting = start(*there, *load)
    until(lambda: [one for one in place.triggers() if one.delivered_at], _SECONDS, "the wish for a run")
    waiting.send_signal(signal.SIGINT)
    _, told = waiting.communicate(timeout=180)
    assert waiting.returncode == 130
    assert re.search(
        "The run is asked for all the same|A run may have been asked for", told
    )  # before, or after the answer
    with warm_worker(api.settings.prefect_work_pool, place.folder / "worker.log"):
        until(lambda: [one.state for one in place.runs()] == [RunState.SUCCESS], _SECONDS, "the run without us")
        assert place.rows() == place.expected()
        (place.folder / "here").mkdir()

        # The same again in both ways, each with a ledger of its own.
        place.deliver("b.jsonl", 2)
        server = [cli(*there, *load)]
        place.deliver("c.jsonl", 1, text="{broken\n")
        name = cli(*there, "ingestions", "list", "--json").answer["ingestions"][0]["name"]
        server += [cli(*there, "ingestions", "run", name, "--json"), cli(*there, "ingestions", "run", name)]
        assert len(place.rows()) == len(place.expected()) == 6

        (place.source / "d.jsonl").write_bytes(b"\x80\x81\n")
        server += [cli(*there, *load, "--on-error", "skip_file")]
        shown = cli(*there, "runs", "show")
        assert placeless(shown.out) == cli("--embedded", "runs", "show").out
        (place.source / "d.jsonl").unlink()

        asked = cli(*there, "ingestions", "run", name, "--no-wait", "--json").answer
        until(lambda: api.get(f"/v1/triggers/{asked['trigger_id']}").json()["run_id"], _SECONDS, "its run")

    for left in place.source.iterdir():
        left.unlink()
    monkeypatch.setenv("AUTOLOADER_HOME", str(place.folder / "here"))
    get_settings.cache_clear()
    place.deliver("a.jsonl", 3)
    assert cli("--embedded", *load).code == 0
    place.deliver("b.jsonl", 2)
    here = [cli("--embedded", *load)]
    place.deliver("c.jsonl", 1, text="{broken\n")
    here += [cli("--embedded", "ingestions", "run", name, "--json"), cli("--embedded", "ingestions", "run", name)]
    (place.source / "d.jsonl").write_bytes(b"\x80\x81\n")
    here += [cli("--embedded", *load, "--on-error", "skip_file")]

    assert counts(server[1]) == counts(here[1]), json.dumps(server[1].answer, indent=1)
    for ours, theirs in ((0, 0), (2, 2), (3, 3)):
        assert without_times(server[ours]) == without_times(here[theirs])
    assert [ran.code for ran in server] == [0, 0, 0, 3]
