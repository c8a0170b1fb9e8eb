"""What a test of a cluster says, on a real server and on what is none."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest

from app.config import Settings
from app.errors import Conflict, InvalidInput, NotFound
from app.repositories import ingestions
from app.services.cluster_service import ClusterService
from app.spark import connect, endpoint_of
from tests.fakes.ledger import Pipeline
from tests.services.spark import jars
from tests.services.spark.gate import gate
from tests.services.spark.server import BROKEN, CACHED, READ_ONLY

CANARY = "canary-7f3a9c2e5b"
PRIVATE = "No token is asked for: keep the endpoint private, or behind a proxy that asks for one."
DEFINED = "broken, cached, far, lake, read_only"
STORES = {
    "3.5": "It reads folders, s3://, az://, gs://.",
    "4.0": "It reads folders; it lacks the library for s3:// (hadoop-aws), az:// (hadoop-azure),"
    " gs:// (gcs-connector).",
}[jars.VERSION]
EXTENSIONS = "Iceberg's extensions are loaded: staging and publishing can be called."


@pytest.fixture
def service(sqlite_database, tmp_path):
    return ClusterService(sqlite_database, Settings(autoloader_home=tmp_path / "home", _env_file=None))


@pytest.fixture
def tried(service):
    """Stores a cluster and tests it; answers step → (ok, detail)."""

    def try_it(url, catalog, *, options=None, token=None, **how):
        view = service.create(f"c{uuid4().hex[:8]}", url, catalog=catalog, options=options or {}, token=token)
        return {step.name: (step.ok, step.detail) for step in service.test(view.id, **how)}

    return try_it


def left_over(spark_server):
    session = connect(endpoint_of(spark_server.url, {}))
    names = [row.namespace for row in session.rows(f"SHOW NAMESPACES IN {spark_server.catalog}")]
    session.close()
    return [name for name in names if name.startswith("autoloader_test_")]


def test_a_good_cluster_is_good_at_each_step_and_left_as_it_was(tried, spark_server):
    steps = tried(spark_server.url, spark_server.catalog)

    assert steps.pop("reach")[0]
    namespaces = steps.pop("catalog")
    assert namespaces[0]
    assert namespaces[1].startswith("The catalog 'lake' answers (")
    assert steps == {
        "connect": (True, f"Spark {jars.SPARK} answers as Spark Connect does."),
        "login": (True, PRIVATE),
        "functions": (True, "The functions that we read with are there."),
        "extensions": (True, EXTENSIONS),
        "stores": (True, STORES),
        "iceberg": (True, "Iceberg 1.10.1."),
        "cache": (True, "Tables are read fresh."),
        "write": (True, "A table can be made in a namespace of its own."),
        "publish": (True, "A batch can be staged, and published as one snapshot."),
        "clean up": (True, "What the test made is removed."),
    }
    assert left_over(spark_server) == []


def test_who_wants_nothing_written_has_nothing_written(tried, spark_server):
    steps = tried(spark_server.url, READ_ONLY, write=False)

    assert list(steps) == [
        "reach",
        "connect",
        "login",
        "functions",
        "extensions",
        "stores",
        "catalog",
        "iceberg",
        "cache",
    ]
    assert all(ok for ok, _ in steps.values())


def test_a_catalog_that_may_only_be_read_says_so(tried, spark_server):
    steps = tried(spark_server.url, READ_ONLY)

    assert [name for name, (ok, _) in steps.items() if not ok] == ["write"]
    assert "INSERT INTO iceberg_namespace_properties" in steps["write"][1]


def test_a_namespace_that_is_there_can_be_given(tried, spark_server):
    session = connect(endpoint_of(spark_server.url, {}))
    session.rows(f"CREATE NAMESPACE {spark_server.catalog}.{spark_server.namespace}")
    steps = tried(spark_server.url, spark_server.catalog, namespace=spark_server.namespace)
    tables = session.rows(f"SHOW TABLES IN {spark_server.catalog}.{spark_server.namespace}")
    session.close()

    assert steps["write"] == (True, f"A table can be made in {spark_server.namespace}.")
    assert steps["publish"][0]
    assert tables == []


def test_a_catalog_that_keeps_tables_is_told_of_but_does_not_harm_us(tried, spark_server):
    ok, detail = tried(spark_server.url, CACHED, write=False)["cache"]

    assert ok
    assert detail == (
        "Loads read tables fresh: nothing must be done for them. Other sessions on this server see what the embedded"
        " engine loads up to 30 s late, as Spark keeps tables; start it with"
        " spark.sql.catalog.cached.cache-enabled=false to end that."
    )


def test_a_catalog_that_is_not_there_is_told_with_those_that_are(tried, spark_server):
    steps = tried(spark_server.url, "nowhere")

    assert list(steps)[-1] == "catalog"
    assert steps["catalog"] == (
        False,
        f"There is no catalog 'nowhere' on the server; it defines {DEFINED}. The settings: autoloader docs clusters",
    )


def test_a_catalog_whose_database_is_away_is_told_as_that(tried, spark_server):
    ok, detail = tried(spark_server.url, BROKEN)["catalog"]

    assert not ok
    assert "Failed to connect: jdbc:postgresql://127.0.0.1:9/nothing" in detail


def test_a_cluster_without_a_catalog_is_told_which_there_are(tried, spark_server):
    steps = tried(spark_server.url, None)

    assert steps["catalog"] == (
        True,
        f"No catalog is named. The server defines {DEFINED}; name one with --catalog.",
    )


def test_a_token_that_is_asked_for_is_told_right_and_wrong(tried, spark_server):
    with gate(spark_server.port, token=CANARY) as asking:
        right = tried(asking.url, None, options={"tls": "false"}, token=CANARY)
        wrong = tried(asking.url, None, options={"tls": "false"}, token="wrong-one")

    assert right["login"] == (True, "A token is asked for, and ours is taken.")
    assert list(wrong) == ["reach", "connect"]
    assert not wrong["connect"][0]
    assert re.fullmatch(
        re.escape(
            f"{asking.url} refuses us (UNAUTHENTICATED). Store it with its token and all else: autoloader clusters"
        )
        + rf" add \w+ {re.escape(asking.url)} --replace -o tls=false --secret token",
        wrong["connect"][1],
    )


def test_a_token_for_a_server_without_tls_is_told_as_that_with_all_that_the_cluster_was_stored_with(
    tried, spark_server
):
    wrong = tried(spark_server.url, "lake", options={"user": "etl", "header.cookie": "session=1"}, token=CANARY)

    assert list(wrong) == ["reach", "connect"]
    assert wrong["connect"][1].startswith(
        f"Spark Connect service not reachable at {spark_server.url}: it does not speak TLS. TLS is asked for, as a"
    )
    assert wrong["connect"][1].endswith(
        f" {spark_server.url} --replace --catalog lake -o user=etl --secret header.cookie --secret token -o tls=false"
    )


def test_a_token_that_nobody_asks_for_is_told(tried, spark_server):
    steps = tried(spark_server.url, None, options={"tls": "false"}, token=CANARY)

    assert steps["login"] == (True, f"{PRIVATE} Ours is not looked at.")


def test_a_secret_is_kept_and_shown_by_its_name_alone(service):
    url, secrets = "sc://spark.example.com:15002", {"header.x-api-key": CANARY, "token": CANARY}
    view = service.create("big", url, catalog="lake", options={"user": "etl"}, secrets=secrets)

    assert service.named("big") == service.read(view.id) == service.listed()[0] == view
    assert (view.secret_names, view.has_token, CANARY in repr(view)) == (("header.x-api-key", "token"), True, False)
    assert service.get_spark_connect_credentials(view.id) == (url, CANARY)
    assert service.endpoint(view.id).headers == (("authorization", f"Bearer {CANARY}"), ("x-api-key", CANARY))


def test_replacing_leaves_nothing_of_before(service):
    made = service.create("big", "sc://a:1", catalog="lake", options={"user": "etl"}, token=CANARY)

    view = service.replace(made.id, "sc://b:2", catalog=None, options={})

    assert (view.id, view.name, view.url, view.catalog, view.options) == (made.id, "big", "sc://b:2", None, {})
    assert (view.has_token, view.secret_names) == (False, ())
    assert service.get_spark_connect_credentials(made.id) == ("sc://b:2", None)


@pytest.mark.parametrize(
    "wrong",
    [{"options": {"colour": "red"}}, {"options": {"header.authorization": CANARY}}, {"catalog": "a.b"}, {"token": ""}],
)
def test_what_cannot_be_a_cluster_is_refused_without_repeating_a_secret(service, wrong):
    with pytest.raises(InvalidInput) as refused:
        service.create("big", "sc://a:1", **{"catalog": None, "options": {}, **wrong})

    assert CANARY not in str(refused.value)
    assert service.listed() == []


@pytest.mark.parametrize("engine", ["embedded", None, "other"])
def test_a_cluster_that_is_left_over_beside_another_engine_keeps_no_cluster_from_being_removed(service, engine):
    ingestion_id = Pipeline.new(service.database, "orders").ingestion_id
    big = service.create("big", "sc://a:1", catalog=None, options={})
    with service.database.session_scope() as session:
        row = ingestions.by_id(session, ingestion_id)
        row.config = {**row.config, "engine": "auto", "cluster": "big"}
    with pytest.raises(Conflict, match="is used by orders"):
        service.remove(big.id)
    with service.database.session_scope() as session:
        row = ingestions.by_id(session, ingestion_id)
        row.config = {**row.config, "engine": engine, "cluster": "big"}

    service.remove(big.id)

    assert service.listed() == []


def test_a_name_is_taken_once_and_nobody_is_nobody(service):
    service.create("big", "sc://a:1", catalog=None, options={})

    with pytest.raises(Conflict, match="There is a cluster 'big' already"):
        service.create("big", "sc://a:1", catalog=None, options={})
    with pytest.raises(NotFound, match=r"There is no cluster 'small'\. See: autoloader clusters list"):
        service.named("small")
    with pytest.raises(InvalidInput, match="is not a namespace"):
        service.test(service.named("big").id, namespace="a`b")
