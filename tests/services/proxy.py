"""Between the product and a store: refuses what a test says, and passes on the rest byte by byte."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from urllib.parse import unquote, urlsplit

_NONE_LEFT = object()
_REFUSAL = "<?xml version='1.0'?><Error><Code>{}</Code><Message>Because.</Message></Error>"


@contextmanager
def refusing(
    endpoint: str, *endings: str, status: int = 403, code: str = "AccessDenied", times: int | None = None
) -> Iterator[str]:
    """An endpoint that refuses to read objects whose keys end so, always or so many `times`.

    Its host stays part of signatures.
    """
    left = repeat(None) if times is None else repeat(None, times)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if path.endswith(endings) and next(left, _NONE_LEFT) is None:
                self._answer(status, {"Content-Type": "application/xml"}, _REFUSAL.format(code).encode())
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            upstream = HTTPConnection(urlsplit(endpoint).netloc, timeout=180)
            try:
                upstream.request(self.command, self.path, body or None, dict(self.headers.items()))
                answer = upstream.getresponse()
                self._answer(answer.status, dict(answer.getheaders()), answer.read())
            finally:
                upstream.close()

        do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the library's names

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
            dropped = {"transfer-encoding", "content-length", "connection", "date", "server"}
            for name, value in {k: v for k, v in headers.items() if k.lower() not in dropped}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
