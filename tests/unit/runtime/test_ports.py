from __future__ import annotations

import socket
import threading
from dataclasses import replace

import pytest

from app.errors import InvalidInput, PortTaken
from app.runtime.ports import Listener

API = Listener("The API", "127.0.0.1", "--api-port", "AUTOLOADER_API_PORT", "AUTOLOADER_API_HOST")


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


def test_a_free_port_is_free():
    API.require_free(API.free_port())


def test_a_port_that_is_taken_is_told_with_what_changes_it(taken):
    port = taken.getsockname()[1]

    with pytest.raises(PortTaken) as caught:
        API.require_free(port)

    assert caught.value.message == f"The API cannot listen on port {port} of 127.0.0.1: something else does."
    assert caught.value.hint == (
        "Give another: --api-port PORT (0: a free one), or the setting AUTOLOADER_API_PORT. "
        f"Or stop what listens there: ss -ltnp 'sport = :{port}'"
    )


def test_a_port_that_becomes_free_in_time_is_waited_for(taken):
    released = threading.Timer(0.3, taken.close)
    released.start()

    API.require_free(taken.getsockname()[1], seconds=20)

    assert released.finished.is_set()
    released.join()


@pytest.mark.parametrize("look", [lambda api: api.require_free(4280), Listener.free_port])
def test_an_address_that_is_not_this_machines_is_not_taken_but_wrong(look):
    elsewhere = replace(API, host="192.0.2.1")

    with pytest.raises(
        InvalidInput, match=r"cannot listen on 192\.0\.2\.1, .*: Cannot assign requested address"
    ) as caught:
        look(elsewhere)
    assert caught.value.hint.endswith("or the setting AUTOLOADER_API_PORT, or another address: AUTOLOADER_API_HOST.")
