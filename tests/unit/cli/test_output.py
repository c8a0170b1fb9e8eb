from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from app.cli import text
from app.cli.exits import Exit
from app.cli.faults import report
from app.cli.output import Output, error_line
from app.cli.plain import plain
from app.cli.progress import Watcher, _Step
from app.errors import LeaseHeld
from app.values import RunState

ID = UUID("6e44879f-f473-4ad3-ad6f-5f142a7dcba8")


@dataclass(frozen=True)
class Thing:
    id: UUID
    state: RunState
    at: datetime
    parts: tuple[Decimal, ...]


def test_values_become_what_json_has():
    thing = Thing(ID, RunState.PARTIAL, datetime(2026, 1, 2, tzinfo=UTC), (Decimal("1.10"),))

    assert json.loads(json.dumps(plain({"a": thing, "b": date(2026, 1, 2), "c": b"\x01\xff"}))) == {
        "a": {"id": str(ID), "state": "PARTIAL", "at": "2026-01-02T00:00:00+00:00", "parts": ["1.10"]},
        "b": "2026-01-02",
        "c": "01ff",
    }


def test_numbers_json_lacks_and_names_that_are_not_utf_8_are_still_valid_json():
    document = plain([float("nan"), float("inf"), "a\udcffb"])

    assert document == ["nan", "inf", "a\\udcffb"]
    assert json.dumps(document, allow_nan=False, ensure_ascii=False).encode()


def test_integers_that_jq_and_javascript_would_round_are_texts():
    assert plain([2**53 - 1, 2**53, -(2**53), 6_074_204_838_013_452_288]) == [
        2**53 - 1,
        "9007199254740992",
        "-9007199254740992",
        "6074204838013452288",
    ]


def test_nested_values_of_a_table_are_json_that_can_be_copied(capsys):
    nested = {"zip": "1", "at": datetime(2026, 1, 2, tzinfo=UTC), "parts": [Decimal("1.10"), None, "é"]}
    Output(as_json=False).table(("a", "b"), [(nested, [("k", 1)])])

    shown = '{"zip": "1", "at": "2026-01-02T00:00:00+00:00", "parts": ["1.10", null, "é"]}'
    assert capsys.readouterr().out.splitlines()[1] == f'{shown}  [["k", 1]]'


def test_a_map_with_keys_of_any_type_and_what_json_lacks_are_shown_as_json_has_them(capsys):
    nested = {date(2026, 1, 1): float("nan"), 2: [b"\x01\xff", 2**60]}
    Output(as_json=False).table(("a", "b"), [(nested, b"\x01\xff")])

    assert capsys.readouterr().out.splitlines()[1] == (
        '{"2026-01-01": "nan", "2": ["01ff", "1152921504606846976"]}  01ff'
    )


def test_a_table_cuts_nothing_and_aligns_wide_letters(capsys):
    Output(as_json=False).table(("name", "n"), [("x" * 200, 1), ("日本", 20)], right=(1,))

    first, second, third = capsys.readouterr().out.splitlines()
    assert first == f"name{' ' * 196}   n"
    assert second == f"{'x' * 200}   1"
    assert third == f"日本{' ' * 196}  20"


@pytest.mark.parametrize("hostile", ["a\x1b[31mb", "[bold]x[/bold]", "a\nb", "a\u202eb", ":smile:"])
def test_strangers_texts_neither_steer_the_terminal_nor_are_read_as_markup(capsys, hostile):
    out = Output(as_json=False)
    out.table(("path",), [(hostile,)])
    out.fields([("path", hostile)])
    error_line(hostile, hostile)

    captured = capsys.readouterr()
    shown = captured.out + captured.err
    assert shown.count(text.safe(hostile)) == 4
    assert not {"\x1b", "\u202e"} & set(shown)


def test_json_is_one_document_and_notes_are_not_said(capsys):
    out = Output(as_json=True)
    out.note("on the way")
    out.answer({"a": 1}, lambda: out.line("text"))

    captured = capsys.readouterr()
    assert (json.loads(captured.out), captured.err) == ({"a": 1}, "")


def test_an_error_of_the_database_is_told_without_the_statement(capsys):
    report(IntegrityError("INSERT INTO canary VALUES (1)", {}, Exception("UNIQUE failed")), as_json=False)

    told = capsys.readouterr().err
    assert "IntegrityError: (builtins.Exception) UNIQUE failed\n" in told
    assert "canary" not in told


def test_an_error_carries_its_exit_code_and_no_secret(capsys):
    error = LeaseHeld("Active: password=hunter22", hint="Wait.")

    assert report(error, as_json=True) == Exit.LEASE_HELD
    assert json.loads(capsys.readouterr().out) == {
        "error": "lease-held",
        "message": "Active: password=***",
        "hint": "Wait.",
    }


def test_notes_are_told_where_there_is_no_terminal(capsys):
    with Watcher(Output(as_json=False)) as progress:
        progress.step("load")
        progress.advance("load", 1, 10, 2, 20)
        progress.note("New columns.")

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "New columns.\n")


def test_a_step_tells_files_bytes_rates_and_what_is_left(monkeypatch):
    step = _Step(0)
    monkeypatch.setattr("time.monotonic", lambda: step.begun + 10)
    step.add(0, 0, 4, 4_000_000)
    step.add(1, 1_000_000, None, None)

    assert step.told() == "1/4 files, 1.0 MB, 0/s, 100.0 KB/s, 30 s left"


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (text.size(0), "0 B"),
        (text.size(999), "999 B"),
        (text.size(38_100_000), "38.1 MB"),
        (text.seconds(0.44), "0.4 s"),
        (text.seconds(200), "3 min 20 s"),
        (text.seconds(7500), "2 h 5 min"),
        (text.plural(1, "file"), "1 file"),
        (text.plural(2000, "file"), "2,000 files"),
        (text.listed({"a": 1, "b": 2}), "2 b, 1 a"),
    ],
)
def test_amounts_are_readable(made, shown):
    assert made == shown


class HungUp(StringIO):
    """A terminal that is gone."""

    def isatty(self):
        return True

    def write(self, text):
        raise OSError(errno.EIO, "Input/output error")


def test_a_terminal_that_hangs_up_ends_no_run(monkeypatch):
    monkeypatch.setattr("sys.stderr", HungUp())

    with Watcher(Output(as_json=False)) as progress:
        progress.step("discover")
        progress.advance("load", 1, 10, 2, 20)
        progress.note("New columns.")


def test_on_a_terminal_there_are_bars_and_a_step_ends_with_the_next(monkeypatch):
    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)

    with Watcher(Output(as_json=False)) as progress:
        progress.step("discover")
        progress.advance("discover", 3, 300)
        progress.step("load")
        progress.advance("load", 0, 0, 2, 20)
        progress.advance("load", 1, 10)
        progress.note("[red]New columns.\x1b[2J")
        tasks = [(task.description, task.finished, task.completed, task.total) for task in progress._bars.tasks]

    assert tasks == [("Looking for files", True, 3, 3), ("Loading", False, 10, 20)]
    assert "[red]New columns.\\x1b[2J" in terminal.getvalue()


def test_beside_json_there_are_no_bars(monkeypatch):
    monkeypatch.setattr("sys.stderr", StringIO())
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)

    assert Watcher(Output(as_json=True))._bars is None
