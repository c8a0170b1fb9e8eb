"""pyspark's client, with what it lacks: headers without a URL, deadlines, and an end that ends nobody else's work.

Imported with the first session: it brings pandas and gRPC.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
from pyspark.sql.connect.client import ChannelBuilder, SparkConnectClient
from pyspark.sql.connect.session import SparkSession

from app.errors import InvalidInput
from app.spark.endpoint import Endpoint

# Its default is ten minutes of silence. These take five seconds.
_RETRIES = {"max_retries": 4, "initial_backoff": 200, "max_backoff": 2000, "backoff_multiplier": 4.0, "jitter": 200}
_INTERRUPT_SECONDS = 5.0  # who interrupts is in a hurry
_MOST_BYTES = 128 * 1024 * 1024  # of one message, as its own default
# A server written in Java hangs up on who pings more often than every five minutes. With it goes how long bytes may
# stay unacknowledged: a cut connection is noticed with the next call, and not after a quarter of an hour.
_PING_MILLISECONDS, _PONG_MILLISECONDS = 310_000, 20_000
_OPTIONS = [
    ("grpc.max_send_message_length", _MOST_BYTES),
    ("grpc.max_receive_message_length", _MOST_BYTES),
    ("grpc.keepalive_time_ms", _PING_MILLISECONDS),
    ("grpc.keepalive_timeout_ms", _PONG_MILLISECONDS),
    ("grpc.enable_http_proxy", 0),  # a proxy of the environment leads to the internet, and not to a cluster
]

# Giving back what a finished operation holds is the server's business too; it is no news to anybody.
warnings.filterwarnings("ignore", message="ReleaseExecute failed", module=r"pyspark\.")


class Deadlines(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc] # gRPC ships no types
    """Bounds every call that is one question and one answer and has no bound; pyspark gives them none. Seconds, and
    may be changed.

    `analyze` is for questions that list files or plan a query. An operation's answers are a stream: it is bounded by
    whoever started it.
    """

    def __init__(self, plain: float, analyze: float) -> None:
        self.plain = plain
        self.analyze = analyze

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        seconds = details.timeout or {"AnalyzePlan": self.analyze, "Interrupt": _INTERRUPT_SECONDS}.get(
            details.method.rpartition("/")[2], self.plain
        )
        return continuation(details._replace(timeout=seconds), request)  # noqa: SLF001 - a named tuple's


class Builder(ChannelBuilder):
    """The channel to an endpoint. `name` may be changed; the server shows it beside each operation."""

    def __init__(self, endpoint: Endpoint, session_id: str | None, name: str, deadlines: Deadlines) -> None:
        super().__init__("sc://unused:1")
        self.host, self.port = endpoint.host, endpoint.port
        self.name = name
        self._endpoint = endpoint
        self._id = session_id
        self._deadlines = deadlines

    def metadata(self) -> list[tuple[str, str]]:
        return list(self._endpoint.headers)

    @property
    def userId(self) -> str:  # noqa: N802 - pyspark's name
        return self._endpoint.user

    @property
    def session_id(self) -> str | None:
        return self._id

    @property
    def userAgent(self) -> str:  # noqa: N802 - pyspark's name
        return f"iomete-autoloader/{_version()} {self.name}"[:500]

    def toChannel(self) -> Any:  # noqa: N802 - pyspark's name
        if self._endpoint.tls:
            credentials = grpc.ssl_channel_credentials(root_certificates=_certificates(self._endpoint.ca_file))
            channel = grpc.secure_channel(self._endpoint.address, credentials, options=_OPTIONS)
        else:
            channel = grpc.insecure_channel(self._endpoint.address, options=_OPTIONS)
        return grpc.intercept_channel(channel, self._deadlines)


class Client(SparkConnectClient):
    def close(self) -> None:
        """Close this channel. The library's own way also ends the threads that all sessions of the process share:
        another session's query would fail.
        """
        self._channel.close()
        self._closed = True


class ConnectSession(SparkSession):
    """Registers itself nowhere: the library's active session would be whichever came first."""

    def __init__(self, builder: Builder) -> None:
        self.operator = builder
        self._client = Client(connection=builder, retry_policy=_RETRIES)
        self._session_id = self._client._session_id  # noqa: SLF001 - as the base class does


def ready(session: ConnectSession, seconds: float) -> bool:
    """Whether the other side has become a gRPC server's, within so many seconds."""
    future = grpc.channel_ready_future(session.client._channel)  # noqa: SLF001 - it shows it nowhere
    try:
        future.result(timeout=seconds)
    except grpc.FutureTimeoutError:
        return False
    finally:
        future.cancel()
    return True


def answers(session: ConnectSession, seconds: float) -> bool:
    """Whether the server answers anything at all over this very connection, within so many seconds. Asked once."""
    client = session.client
    question = client._interrupt_request("tag", "nobody-has-this-tag")  # noqa: SLF001 - the cheapest that there is
    try:
        client._stub.Interrupt(question, metadata=session.operator.metadata(), timeout=seconds)  # noqa: SLF001 - it has no way to ask once
    except grpc.RpcError as error:
        return error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    except ValueError:  # the channel was closed meanwhile
        return False
    return True


def _certificates(ca_file: str) -> bytes | None:
    if not ca_file:
        return None
    try:
        return Path(ca_file).read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"The certificates of the option ca_file cannot be read ({ca_file}: {error.strerror}).",
            hint="Name a PEM file that this process may read.",
        ) from error


def _version() -> str:
    return version("iomete-autoloader")
