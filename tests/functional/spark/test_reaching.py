"""What stands between us and a server: nothing, something else, a gate that asks for a token, TLS, silence."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.errors import InvalidInput, SparkRefused, SparkUnavailable
from app.spark import connect, endpoint_of
from app.spark.hints import NO_TLS
from tests.services.spark.gate import certificate, gate

CANARY = "canary-7f3a9c2e5b"
NEXT = "Look whether it runs, and whether address, port and TLS are right: autoloader clusters test NAME"


def refused(url, hint=NEXT, **options):
    """What a connection to it is refused with; every one of these ends by itself."""
    with pytest.raises(SparkUnavailable) as raised:
        connect(endpoint_of(url, options), connect_seconds=1.0, answer_seconds=2.0)
    assert raised.value.hint == hint
    assert raised.value.retryable
    return raised.value.message


def test_a_port_where_nobody_listens():
    said = refused("sc://127.0.0.1:9")

    assert said.startswith("Spark Connect service not reachable at sc://127.0.0.1:9: ")
    assert said.endswith("Connection refused.")


def test_a_host_that_nobody_knows():
    assert refused("sc://no.such.host.invalid:15002").startswith(
        "Spark Connect service not reachable at sc://no.such.host.invalid:15002: "
    )


def test_something_that_takes_connections_and_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"sc://127.0.0.1:{server.getsockname()[1]}"

        assert refused(url) == (
            f"Spark Connect service not reachable at {url}: no answer as Spark Connect gives it (with no TLS)."
        )


@contextmanager
def web_server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Quiet", (BaseHTTPRequestHandler,), {"log_message": _quiet}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"sc://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _quiet(*_: object) -> None:
    """Says nothing."""


def test_a_web_server():
    with web_server() as url:
        assert refused(url).startswith(f"Spark Connect service not reachable at {url}: ")


def test_tls_where_the_server_speaks_none(spark_server):
    said = refused(spark_server.url, NO_TLS, tls="true")

    assert said == f"Spark Connect service not reachable at {spark_server.url}: it does not speak TLS."


def test_grpc_writes_no_lines_of_its_own(spark_server):
    code = "import sys; from app.spark import connect, endpoint_of; connect(endpoint_of(sys.argv[1], {'tls': 'true'}))"
    command = [sys.executable, "-c", code, spark_server.url]

    said = subprocess.run(command, cwd=Path(__file__).parents[3], check=False, capture_output=True, text=True).stderr

    assert "app.errors.spark.SparkUnavailable: " in said
    assert "ssl_transport_security" not in said


def test_a_server_that_takes_calls_and_never_answers(spark_server):
    with gate(spark_server.port, silent=True) as silent:
        assert refused(silent.url) == f"Spark Connect service not reachable at {silent.url}: Deadline Exceeded."


def test_a_server_that_falls_silent_is_left_when_the_time_is_over(spark_server, opened):
    with gate(spark_server.port) as falling:
        session = opened(endpoint_of(falling.url, {}))
        falling.silent = True

        with pytest.raises(SparkUnavailable, match=r"did not come to an end within 0\.5 s"), session.within(0.5):
            session.rows("SELECT 1")


@pytest.mark.parametrize("token", [None, "wrong-one"])
def test_a_gate_that_wants_another_token_is_told_apart_from_a_dead_server(spark_server, token):
    with gate(spark_server.port, token=CANARY) as asking, pytest.raises(SparkRefused) as raised:
        connect(endpoint_of(asking.url, {"tls": "false"}, token))

    assert str(raised.value) == (
        f"{asking.url} refuses us (UNAUTHENTICATED). Store it with its token and all else:"
        " autoloader clusters add NAME URL --replace --secret token"
    )


def test_a_token_and_headers_go_with_every_call(spark_server, opened):
    with gate(spark_server.port, token=CANARY) as asking:
        session = opened(endpoint_of(asking.url, {"tls": "false", "header.X-Tenant": "a"}, CANARY), "run 7")
        session.rows("SELECT 1")
        session.set({"spark.wap.id": "b"})
        session.interrupt("nothing")

    assert {"AnalyzePlan", "ExecutePlan", "Config", "Interrupt"} <= {method for method, _ in asking.calls}
    assert {headers.get("x-tenant") for _, headers in asking.calls} == {"a"}


def test_tls_with_certificates_of_ones_own(spark_server, opened, tmp_path):
    ours = certificate()
    (tmp_path / "ca.pem").write_bytes(ours.certificate)
    with gate(spark_server.port, token=CANARY, tls=ours) as asking:
        session = opened(endpoint_of(asking.url, {"ca_file": str(tmp_path / "ca.pem")}, CANARY))

        assert session.rows("SELECT 1 AS one")[0].one == 1
        assert "CERTIFICATE_VERIFY_FAILED" in refused(asking.url, tls="true")


def test_certificates_that_cannot_be_read_are_told_by_their_file(tmp_path):
    with pytest.raises(InvalidInput, match=r"ca_file cannot be read \(.*nothing\.pem: No such file or directory\)"):
        connect(endpoint_of("sc://127.0.0.1:9", {"tls": "true", "ca_file": str(tmp_path / "nothing.pem")}))


def test_without_the_extra_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "app.spark.client", raising=False)
    monkeypatch.setitem(sys.modules, "pyspark.sql.connect.client", None)  # as where it is not installed

    with pytest.raises(SparkRefused) as raised:
        connect(endpoint_of("sc://127.0.0.1:9", {}))

    assert raised.value.hint == "Install it: pip install 'iomete-autoloader[spark]'"
