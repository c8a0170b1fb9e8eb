"""What waits for a person on a server is asked for once."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.remote.decisions import RemoteDecisions


class Asked:
    def __init__(self, answer):
        self.answer = answer
        self.posts = []

    def post(self, path, body=None, **_):
        self.posts.append(path)
        return self.answer

    def read(self, kind, data):
        return kind(data)


@pytest.mark.parametrize("answer", [{"items": [], "table_changed": "It was dropped."}, {"items": []}])
def test_a_look_at_what_is_to_be_decided_asks_the_server_once(monkeypatch, answer):
    server = Asked(answer)
    decisions = RemoteDecisions(server)
    monkeypatch.setattr(decisions, "_path", lambda name: f"/v1/ingestions/{name}")

    found = decisions.undecided(str(uuid4()))

    assert (found.batches, found.table_changed) == ([], answer.get("table_changed"))
    assert [path.rpartition("/")[2] for path in server.posts] == ["evidence"]
