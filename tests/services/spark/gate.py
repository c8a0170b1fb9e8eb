"""A gate before a Spark Connect server, as companies have one: it asks for a token, and speaks TLS where it is told to.

Passes on every call byte by byte, and keeps what it saw of it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_SERVICE = "/spark.connect.SparkConnectService/"
_STREAMS = frozenset({"ExecutePlan", "ReattachExecute"})


@dataclass
class Gate:
    """`calls` are those that were let through: method and headers. While it is `silent` it takes calls and answers
    none.
    """

    port: int = 0
    silent: bool = False
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"sc://127.0.0.1:{self.port}"

    def saw(self, method: str, headers: dict[str, str]) -> None:
        with self.lock:
            self.calls.append((method, headers))


@contextmanager
def gate(to_port: int, *, token: str = "", silent: bool = False, tls: Certificate | None = None) -> Iterator[Gate]:
    """Asks for `authorization: Bearer token` where there is one."""
    made = Gate(silent=silent)
    with grpc.insecure_channel(f"127.0.0.1:{to_port}") as onward, ThreadPoolExecutor(16) as workers:
        server = grpc.server(workers, handlers=[_Handler(made, onward, token)])
        if tls is None:
            made.port = server.add_insecure_port("127.0.0.1:0")
        else:
            made.port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(tls.key, tls.certificate)]))
        server.start()
        try:
            yield made
        finally:
            server.stop(None).wait()


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc] # gRPC ships no types
    def __init__(self, made: Gate, onward: Any, token: str) -> None:
        self.made, self.onward, self.token = made, onward, token

    def service(self, details: Any) -> Any:
        method = details.method.removeprefix(_SERVICE)
        headers = {key: value for key, value in details.invocation_metadata if not key.startswith("grpc-")}

        def check(context: Any) -> None:
            if self.made.silent:
                ended = threading.Event()
                context.add_callback(ended.set)
                ended.wait()
            if self.token and headers.get("authorization") != f"Bearer {self.token}":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, f"not with {headers.get('authorization')}")
            self.made.saw(method, headers)

        def one(request: bytes, context: Any) -> Any:
            check(context)
            return self._passed(self.onward.unary_unary(details.method), request, context)

        def many(request: bytes, context: Any) -> Iterator[bytes]:
            check(context)
            call = self.onward.unary_stream(details.method)(request)
            context.add_callback(call.cancel)
            try:
                yield from call
            except grpc.RpcError as error:
                _hand_on(error, context)

        if method in _STREAMS:
            return grpc.unary_stream_rpc_method_handler(many)
        return grpc.unary_unary_rpc_method_handler(one)

    def _passed(self, call: Any, request: bytes, context: Any) -> Any:
        try:
            return call(request)
        except grpc.RpcError as error:
            _hand_on(error, context)


def _hand_on(error: Any, context: Any) -> None:
    context.set_trailing_metadata(error.trailing_metadata() or ())
    context.abort(error.code(), error.details())


@dataclass(frozen=True)
class Certificate:
    """Of 127.0.0.1, signed by itself; both as PEM."""

    key: bytes
    certificate: bytes


def certificate() -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        made.public_bytes(serialization.Encoding.PEM),
    )
