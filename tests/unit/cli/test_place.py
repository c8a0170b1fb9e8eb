from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.cli import place
from app.cli.faults import report
from app.errors import AutoloaderError

URL = "http://far:4280"
TEXT = "Run it: autoloader ingestions run shop.orders; the page: autoloader docs up"
HERE = "See them: autoloader table head a.b; go on: autoloader up; autoloader db upgrade; autoloader demo"


@pytest.fixture(autouse=True)
def _unchosen() -> Iterator[None]:
    yield
    place.choose(None)


@pytest.mark.parametrize(
    ("given", "setting", "server", "typed"),
    [
        (None, "", "", ""),
        (None, URL, URL, ""),
        (URL, "", URL, f"--server {URL} "),
        (URL, URL, URL, ""),
        (URL, "http://other:1", URL, f"--server {URL} "),
        ("", URL, "", "--embedded "),
        ("", "", "", ""),
    ],
)
def test_what_is_to_be_typed_next_works_where_this_command_worked(given, setting, server, typed):
    place.choose(given)

    assert place.chosen(setting) == server
    assert place.repeated(TEXT) == TEXT.replace("autoloader ingestions", f"autoloader {typed}ingestions")


def test_a_command_that_refuses_a_server_is_given_what_keeps_the_server_away():
    place.choose("")
    place.chosen(URL)

    assert place.repeated(HERE) == HERE.replace("autoloader ", "autoloader --embedded ")


def test_a_command_that_refuses_a_server_is_given_none():
    place.choose(URL)
    place.chosen("")

    assert place.repeated(HERE) == HERE


def test_a_password_with_a_quote_in_it_is_not_repeated():
    place.choose("http://u:p'wSECRET@h")
    place.chosen("")

    assert place.repeated("autoloader runs list") == "autoloader --server 'http://***@h' runs list"


def test_a_command_that_says_where_it_works_is_left_as_it_is():
    place.choose(URL)
    place.chosen("")

    for text in ("autoloader --embedded ingestions run a", "autoloader --help", "the autoloader loads"):
        assert place.repeated(text) == text


def test_an_address_that_a_shell_would_part_is_quoted():
    place.choose("http://far:4280/a b")
    place.chosen("")

    assert place.repeated("autoloader runs list") == "autoloader --server 'http://far:4280/a b' runs list"


def test_the_way_on_that_a_run_of_a_server_ended_with_goes_to_the_server_too(capsys):
    place.choose(URL)
    place.chosen("")
    report(
        AutoloaderError("It is gone. Test it: autoloader clusters test big", hint="See: autoloader runs show 1"),
        as_json=False,
    )

    assert f"Test it: autoloader --server {URL} clusters test big" in capsys.readouterr().err
