"""The servers that other tests rest on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from pyiceberg.catalog import load_catalog
from pyspark.sql.connect.session import SparkSession

from tests.services import install, keeper
from tests.services.recipes import POSTGRES
from tests.services.shared import Recipe, StartFailed, _start
from tests.services.spark import jars
from tests.services.spark import server as spark


def test_each_test_has_a_database_of_its_own(postgres):
    with psycopg.connect(postgres.dsn) as session:
        session.execute("CREATE TABLE mine (n int)")
        assert session.execute("SELECT current_database()").fetchone() == (postgres.name,)
        assert session.execute("SHOW server_encoding").fetchone() == ("UTF8",)


def test_a_server_ends_with_its_test_run_and_leaves_no_files(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as run:
        serve = [sys.executable, "-c", "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"]
        command = [sys.executable, keeper.__file__, str(run.pid), str(folder), "SIGKILL", "--", *serve]
        with subprocess.Popen(command) as keeping:
            until = time.monotonic() + 180
            while not (folder / "pid").exists() or not (folder / "pid").read_text():
                assert time.monotonic() < until
                time.sleep(0.02)
            server = int((folder / "pid").read_text())
            assert keeper.started_at(server)
            run.kill()
            keeping.wait(180)
    assert not keeper.started_at(server)
    assert not folder.exists()


def test_a_server_that_is_not_installed_says_what_to_install(tmp_path):
    def command(folder: Path, ports: object) -> list[str]:
        raise FileNotFoundError("the program")

    recipe = Recipe("nothing", 1, command, POSTGRES.ready, "Install it.")
    with pytest.raises(StartFailed, match=r"nothing is not installed \(the program\)\. Install it\."):
        _start(recipe, tmp_path)


def test_the_prefect_server_answers_the_questions_of_prefects_own_commands(prefect_server):
    """They send nulls for what is not asked for, which not every release of the web framework lets through."""
    for question in (["work-pool", "ls"], ["deployment", "ls"], ["flow-run", "ls", "--limit", "1"]):
        asked = subprocess.run(
            [sys.executable, "-m", "prefect", *question], capture_output=True, text=True, timeout=120, check=False
        )
        assert asked.returncode == 0, asked.stdout + asked.stderr


def test_spark_and_pyiceberg_write_to_one_table_in_turn(spark_server):
    session = SparkSession(spark_server.url)
    catalog = load_catalog(spark_server.catalog, **spark_server.catalog_options)
    table = spark_server.table("orders")

    session.sql(f"CREATE NAMESPACE {spark_server.catalog}.{spark_server.namespace}").collect()
    session.sql(f"CREATE TABLE {table} (id BIGINT)").collect()
    session.sql(f"INSERT INTO {table} VALUES (1)").collect()
    seen = catalog.load_table((spark_server.namespace, "orders"))
    seen.append(seen.scan().to_arrow())
    after = session.sql(f"SELECT id FROM {table}").collect()  # at once: the catalog of the tests keeps nothing back
    session.client._channel.close()
    catalog.close()

    assert [row.id for row in after] == [1, 1]


def test_without_java_a_test_says_in_one_line_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(spark, "_make_database", lambda database: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(StartFailed) as failed:
        _start(spark.recipe("postgresql://nobody@127.0.0.1:9/x", tmp_path / "lake"), tmp_path)

    assert str(failed.value) == f"spark is not installed (java). {jars.JAVA} Then run `make setup`."


def test_setup_goes_on_without_java_and_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(jars, "_CACHE", tmp_path)  # where no jars are
    monkeypatch.setenv("PATH", str(tmp_path))

    assert install._spark() == 0
    assert capsys.readouterr().err == f"{jars.JAVA}\n"


def test_whatever_rests_on_the_spark_server_is_marked(request):
    named = [item for item in request.session.items if "spark_server" in getattr(item, "fixturenames", ())]

    assert [item.name for item in named if item.get_closest_marker("spark") is None] == []
