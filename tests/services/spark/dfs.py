"""The other face of an Azure account, which Azurite lacks: what ABFS asks for files, answered from Azurite's blobs.

Reads and their signatures are passed on as they are, and judged there. Only what lists is answered here.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from tests.services.objects import AZURE_ACCOUNT, AZURE_KEY, Bucket, azure_headers


@contextmanager
def dfs(container: Bucket) -> Iterator[dict[str, str]]:
    """The options of a connection to the container's account by its other face."""
    blobs = container.endpoint.removesuffix(f"/{AZURE_ACCOUNT}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Face", (_Face,), {"blobs": blobs}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_address[1]}/{AZURE_ACCOUNT}"
        yield {"endpoint": endpoint, "account_name": AZURE_ACCOUNT, "account_key": AZURE_KEY}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Face(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    blobs = ""

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "resource" in query:
            self._list(query["directory"][0])
        else:
            self._pass_on()

    def do_HEAD(self) -> None:
        if "action=getAccessControl" in self.path:  # an account without folders says that it has none
            self._answer(400, {}, b"")
        else:
            self._pass_on()

    def _list(self, name: str) -> None:
        """ABFS asks for what lies below a path; of a file it is the file itself."""
        path = f"{urlsplit(self.path).path}/{quote(name.lstrip('/'))}"
        status, headers, _ = self._asked("HEAD", path, azure_headers("HEAD", f"{self.blobs}{path}"))
        told = {"name": name.lstrip("/"), "contentLength": headers.get("content-length")}
        told |= {"lastModified": headers.get("last-modified"), "etag": headers.get("etag")}
        body = {"paths": [told]} if status < 300 else {"error": {"code": "PathNotFound", "message": "no such path"}}
        self._answer(status, {"content-type": "application/json"}, json.dumps(body).encode())

    def _pass_on(self) -> None:
        kept = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
        self._answer(*self._asked(self.command, self.path, kept))

    def _asked(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        request = urllib.request.Request(f"{self.blobs}{path}", method=method, headers=headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=180) as answer:  # noqa: S310 - our own server
                return answer.status, _lowered(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _lowered(error.headers), error.read()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name not in {"connection", "transfer-encoding", "content-length", "keep-alive"}:
                self.send_header(name, value)
        size = headers.get("content-length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("content-length", size)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _lowered(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
