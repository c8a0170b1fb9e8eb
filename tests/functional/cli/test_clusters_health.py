"""`autoloader doctor` looks at each cluster; without the library for Spark each command says how to install it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

BOUND_SECONDS = 60.0
INSTALL = "Install it: pip install 'iomete-autoloader[spark]'"
# As where the extra is not installed: whoever asks for the library learns that there is none.
BLOCKED = (
    "import sys\n"
    "for name in ('pyspark', 'grpc'): sys.modules[name] = None\n"
    "from app.cli.main import main\n"
    "sys.argv = ['autoloader', *sys.argv[1:]]\n"
    "main()\n"
)


def clusters_of(cli):
    """`(state, detail, hint)` of each cluster that the doctor looks at."""
    checks = cli("doctor", "--json").answer["checks"]
    return {
        check["name"].removeprefix("cluster "): (check["state"], check["detail"], check["hint"])
        for check in checks
        if check["name"].startswith("cluster ")
    }


def test_the_doctor_says_of_each_cluster_whether_it_can_be_used(cli, spark_server):
    cli("clusters", "add", "good", spark_server.url, "--catalog", spark_server.catalog)
    cli("clusters", "add", "without", spark_server.url, "--catalog", "nothing")
    seen = clusters_of(cli)
    assert seen["good"][0] == "ok"
    assert seen["good"][1].startswith(f"{spark_server.url}: Spark ")
    assert seen["without"][0] == "broken"
    assert "There is no catalog 'nothing' on the server" in seen["without"][1]
    assert seen["without"][2] == "See each step: autoloader clusters test without"


def test_the_doctor_waits_for_no_cluster_for_ever(cli):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cli("clusters", "add", "silent", f"sc://127.0.0.1:{silent.getsockname()[1]}")
        cli("clusters", "add", "away", "sc://127.0.0.1:9")
        begun = time.monotonic()
        seen = clusters_of(cli)
        assert time.monotonic() - begun < BOUND_SECONDS
    assert [seen[name][0] for name in ("away", "silent")] == ["broken", "broken"]
    assert "cannot be reached" in seen["away"][1]
    assert "not reachable at" in seen["silent"][1]


@pytest.fixture
def without_spark(cli, home, tmp_path):
    """Commands of an installation that has no library for Spark, and knows a cluster."""
    warehouse = tmp_path / "warehouse"
    warehouse.mkdir()
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "1.jsonl").write_text('{"id": 1}\n')
    options = ("type=sql", f"uri=sqlite:///{tmp_path / 'lake.db'}", f"warehouse=file://{warehouse}")
    cli("connections", "add", "lake", "catalog", *[part for option in options for part in ("-o", option)])
    with socket.create_server(("127.0.0.1", 0)) as there:
        cli("clusters", "add", "big", f"sc://127.0.0.1:{there.getsockname()[1]}", "--catalog", "lake")

        def call(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-c", BLOCKED, *arguments],
                cwd=Path(__file__).parents[3],
                check=False,
                capture_output=True,
                text=True,
            )

        yield call


def test_without_the_library_each_command_says_how_to_install_it(without_spark, tmp_path):
    source = str(tmp_path / "landing")
    loading = ("load", source, "lake.demo.rows", "--min-age", "0", "--engine", "big")
    for arguments in (loading, ("clusters", "test", "big"), ("doctor",)):
        ran = without_spark(*arguments)
        said = " ".join((ran.stdout + ran.stderr).split())
        assert ran.returncode == 1, said
        assert "Traceback" not in said
        assert "needs a library that is not installed" in said or "need a library that is not installed" in said
        assert INSTALL in said


def test_without_the_library_what_needs_no_cluster_is_loaded(without_spark, tmp_path):
    ran = without_spark("load", str(tmp_path / "landing"), "lake.demo.rows", "--min-age", "0", "--json")
    assert ran.returncode == 0, ran.stderr
