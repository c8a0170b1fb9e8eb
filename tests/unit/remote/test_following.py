"""Whoever watches a run from afar is told why nothing happens."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.errors import AutoloaderError, Interrupted
from app.remote import following
from app.remote.backend import Remote
from app.remote.following import Following


class Answers:
    """A server's answers to the question for the wish, one after the other, the last for ever; it knows of no run."""

    def __init__(self, *wishes):
        self.wishes = list(wishes)

    def get(self, path, params=None):
        if path.startswith("/v1/runs"):
            return {"items": []}
        return self.wishes.pop(0) if len(self.wishes) > 1 else self.wishes[0]


class Listening:
    def __init__(self):
        self.notes = []

    def step(self, name):
        pass

    def note(self, text):
        self.notes.append(text)


def wish(**more):
    return {"id": str(uuid4()), "ingestion_id": str(uuid4()), "created_at": "2026-03-01T12:00:00Z", **more}


def test_a_flow_run_that_died_before_it_began_is_told_once(monkeypatch):
    monkeypatch.setattr(following, "_FIRST_PAUSE", 0.001)
    died = wish(state="delivered", flow_run_id="f", flow_state="CRASHED", flow_message="Exited with 137")
    gone = wish(state="delivered", flow_run_id=None, error="The ingestion was deleted.")
    listening = Listening()

    with pytest.raises(AutoloaderError, match="was deleted"):
        Following(Answers(died, died, gone), died, "orders", listening).to_its_end()

    [told] = listening.notes
    assert told.startswith("Prefect ended the flow run f before its run began (CRASHED): Exited with 137.")


@pytest.mark.parametrize(
    ("message", "ended"),
    [
        ("Cancelled by a person", "was cancelled before its run began. Cancelled by a person"),
        ("Deployment concurrency limit reached.", "was not begun"),  # another run is active, and one follows it
    ],
)
def test_a_flow_run_that_somebody_cancelled_is_not_waited_for(monkeypatch, message, ended):
    monkeypatch.setattr(following, "_FIRST_PAUSE", 0.001)
    cancelled = wish(state="delivered", flow_run_id="f", flow_state="CANCELLED", flow_message=message)
    gone = wish(state="delivered", flow_run_id=None)

    with pytest.raises(AutoloaderError, match=ended):
        Following(Answers(cancelled, gone), cancelled, "orders", Listening()).to_its_end()


def test_who_is_stopped_before_the_answer_is_told_that_the_run_may_begin_all_the_same():
    class Silent:
        def post(self, *given, **more):
            raise Interrupted("Stopped by Ctrl-C.", hint="Nothing is half done.")

    remote = Remote("http://127.0.0.1:9", "")
    remote.server = Silent()  # type: ignore[assignment]  # as much of one as it asks
    with pytest.raises(Interrupted) as raised:
        remote.run(uuid4(), "shop.orders", Listening())
    assert raised.value.hint.startswith("A run may have been asked for")
    assert "autoloader runs list shop.orders" in raised.value.hint
