"""The socket that the API listens on."""

from __future__ import annotations

import asyncio
import socket

import pytest

from app.runtime.serving import _listening


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_first_part(host):
    seen = []

    async def answer(_, writer):
        seen.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def ask(listener):
        async with await asyncio.start_server(answer, sock=listener):
            reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            assert await reader.read() == b""
            writer.close()

    with _listening(host, 0) as listener:
        asyncio.run(ask(listener))

    assert seen == [1]
