from __future__ import annotations

import inspect
import re
from contextlib import suppress

import pytest

from app import errors
from app.errors import AutoloaderError, Interrupted, LeaseHeld

ROOTS = (AutoloaderError, Interrupted)
CLASSES = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, ROOTS)]


@pytest.mark.parametrize("error", CLASSES, ids=lambda item: item.__name__)
def test_every_error_stands_in_the_tree_below_its_parent(error):
    lines = (errors.__doc__ or "").splitlines()
    depth = {match.group(): match.start() for line in lines if (match := re.search(r"[A-Z][A-Za-z]+", line))}
    order = list(depth)

    assert error.__name__ in depth
    if error not in ROOTS:
        above = [name for name in order[: order.index(error.__name__)] if depth[name] < depth[error.__name__]]
        assert above[-1] == error.__mro__[1].__name__


@pytest.mark.parametrize("error", CLASSES, ids=lambda item: item.__name__)
def test_the_tree_names_the_http_status(error):
    line = next(line for line in (errors.__doc__ or "").splitlines() if re.search(rf"\b{error.__name__}\b", line))
    if stated := re.search(r"\b(\d{3})$", line):
        assert error.status_code == int(stated.group(1))


def test_codes_are_words_and_belong_to_one_error_each():
    codes = [item.code for item in CLASSES]

    assert sorted(set(codes)) == sorted(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


def test_the_text_is_what_happened_and_the_next_step():
    assert str(AutoloaderError("The file is gone.", hint="Look again.")) == "The file is gone. Look again."
    assert str(AutoloaderError("The file is gone.")) == "The file is gone."


def test_an_interrupt_is_no_error_that_a_handler_could_swallow():
    with pytest.raises(Interrupted, match=r"Stopped\. Again\."), suppress(Exception):
        raise Interrupted("Stopped.", hint="Again.")


def test_a_held_lease_says_how_long():
    error = LeaseHeld("Another run is active.", hint="Wait.", seconds_left=12.5)

    assert (error.seconds_left, error.retryable, error.status_code) == (12.5, True, 409)


@pytest.mark.parametrize("name", ["CommitUnknown", "TableChanged", "LeaseLost", "IngestionBlocked"])
def test_what_must_not_be_tried_again_blindly_is_not_retryable(name):
    assert not getattr(errors, name).retryable
