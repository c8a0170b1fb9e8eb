from __future__ import annotations

import logging
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import inspect, text

from app import log
from app.config import Settings
from app.errors import AutoloaderError, Conflict, InvalidInput, NotFound, SecretUnreadable
from app.models import Connection
from app.repositories import connections
from app.schemas.ingestion import IngestionShape
from app.services.connection_service import ConnectionService, split_secrets
from app.services.ingestion_service import IngestionService
from app.storage.options import _SECRETS as STORE_SECRETS
from tests.fakes.ledger import NOON, shape

CANARY = "c4nary-Pässwort+/=&"
SECRETS = {
    "s3": {"secret_access_key": CANARY, "session_token": CANARY},
    "az": {"account_key": CANARY, "sas_token": f"sv=2024&sig={CANARY}", "client_secret": CANARY},
    "gs": {"service_account_json": f'{{"private_key": "{CANARY}"}}'},
    "catalog": {
        "uri": f"postgresql://lake:{CANARY}@db.example/lake",
        "credential": f"client:{CANARY}",
        "token": CANARY,
        "s3.secret-access-key": CANARY,
    },
}
OPEN = {"region": "eu-central-1", "endpoint": "https://store.example:9000", "access_key_id": "AKIAEXAMPLE"}


@pytest.fixture
def logging_to_stderr():
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    log.configure()
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(autoloader_home=tmp_path / "home", _env_file=None)


@pytest.fixture
def service(database, settings) -> ConnectionService:
    return ConnectionService(database, settings)


def dump(database) -> str:
    """Everything that the database holds, and where it is a file, the file's bytes."""
    parts = []
    with database.session_scope() as session:
        for table in inspect(session.connection()).get_table_names():
            parts += [str(row) for row in session.execute(text(f'SELECT * FROM "{table}"'))]
    if database.kind == "sqlite":
        path = Path(database.engine.url.database)
        for file in path.parent.glob(path.name + "*"):
            parts.append(file.read_bytes().decode("latin-1"))
            parts.append(file.read_bytes().decode("utf-8", "replace"))
    return "\n".join(parts)


# --- no secret gets out


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_in_no_row_view_or_file_and_comes_back_whole(database, service, kind):
    view = service.put("lake", kind, {**OPEN, **SECRETS[kind]})

    assert CANARY not in dump(database)
    assert CANARY.encode() not in dump(database).encode("latin-1", "replace")
    for shown in (view, *service.listed()):
        assert CANARY not in repr(shown)
        assert shown.secret_names == tuple(sorted(SECRETS[kind]))
        assert shown.options == OPEN
    assert service.options("lake") == {**OPEN, **SECRETS[kind]}


def test_a_secret_that_was_replaced_or_removed_leaves_nothing_behind(database, service):
    service.put("lake", "s3", SECRETS["s3"])
    service.put("lake", "s3", {"secret_access_key": "another one"}, replace=True)
    assert service.options("lake") == {"secret_access_key": "another one"}
    service.remove("lake")
    with database.session_scope() as session:
        assert session.execute(text("SELECT count(*) FROM connections")).scalar() == 0
    assert CANARY not in dump(database)


def test_no_error_tells_a_secret(database, service, settings):
    service.put("lake", "s3", {**OPEN, **SECRETS["s3"]})
    reading = shape().model_dump()
    reading["source"] |= {"url": "s3://bucket/x", "connection": "lake"}
    IngestionService(database, settings).create(IngestionShape.model_validate(reading))
    stranger = ConnectionService(database, settings.model_copy(update={"autoloader_home": settings.home / "other"}))
    wrong_uses = [
        lambda: service.put("lake", "s3", SECRETS["s3"]),
        lambda: service.put("la ke", "s3", SECRETS["s3"]),
        lambda: service.put("other", "ftp", SECRETS["s3"]),
        lambda: service.put("has-a-dash", "catalog", SECRETS["catalog"]),
        lambda: service.options("lake", ("catalog",)),
        lambda: service.options("nobody"),
        lambda: service.remove("lake"),
        lambda: service.remove("nobody"),
        lambda: stranger.options("lake"),
        lambda: IngestionService(database, settings).create(shape("x", f"s3://KEY:{CANARY}@bucket/x")),
    ]
    for use in wrong_uses:
        with pytest.raises(AutoloaderError) as caught:
            use()
        told = f"{caught.value} {caught.value.hint} {caught.value!r}"
        assert CANARY not in told
        assert "c4nary" not in told
    assert CANARY not in f"{stranger.listed()}"
    assert CANARY not in dump(database)


def test_a_secret_that_was_stored_is_hidden_in_the_log(service, logging_to_stderr, capsys):
    service.put("lake", "s3", {"secret_access_key": "hunter2-hunter2"})
    log.get_logger("x").error("it broke near hunter2-hunter2")
    logging.getLogger("some.library").error("header hunter2-hunter2")
    assert "hunter2" not in capsys.readouterr().err


def test_a_row_copied_to_another_name_does_not_open_there(database, service):
    service.put("mine", "s3", SECRETS["s3"])
    service.put("yours", "s3", {"secret_access_key": "theirs-4712"})
    with database.session_scope() as session:
        session.execute(text("UPDATE connections SET secret = (SELECT secret FROM connections WHERE name = 'mine')"))
    with pytest.raises(SecretUnreadable):
        service.options("yours")


# --- what is a secret


@pytest.mark.parametrize("name", sorted(STORE_SECRETS))
def test_every_secret_option_of_a_store_is_taken_for_one(name):
    assert split_secrets({name: "x"}) == ({}, {name: "x"})


@pytest.mark.parametrize(
    "name",
    [
        "s3.secret-access-key",
        "s3.session-token",
        "adls.account-key",
        "adls.sas-token",
        "adls.connection-string",
        "adls.client-secret",
        "gcs.oauth2.token",
        "credential",
        "token",
        "header.Authorization",
        "PASSWORD",
        "azure_storage_access_key",
        "master_key",
        "sse_customer_key_base64",
        "api_key",
        "key",
    ],
)
def test_an_option_with_a_telling_name_is_a_secret(name):
    assert split_secrets({name: "x"}) == ({}, {name: "x"})


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://user:pass@host/db",
        "postgresql://user:pa/ss@host/db",
        "postgresql://user:p@ss@host/db",
        "redis://:pass@host",
        "postgresql://host/db?user=u&password=pass",
        "postgresql://host/db?sslpassword=pass",
        "https://x.blob.core.windows.net/c?sv=1&sig=abc",
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=abc",
        "BlobEndpoint=https://x;SharedAccessSignature=abc",
        "Bearer abc",
        "-----BEGIN PRIVATE KEY-----\nabc",
    ],
)
def test_a_value_that_holds_a_password_is_a_secret_whatever_its_name(value):
    assert split_secrets({"uri": value}) == ({}, {"uri": value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("access_key_id", "AKIA"),
        ("s3.access-key-id", "AKIA"),
        ("sse_kms_key_id", "arn:aws:kms:eu:1:key/2"),
        ("region", "eu-central-1"),
        ("endpoint", "http://127.0.0.1:9000"),
        ("uri", "sqlite:////data/catalog.db?timeout=30"),
        ("uri", "https://catalog.example:8181/api"),
        ("warehouse", "s3://bucket/warehouse"),
        ("warehouse", "abfss://container@account.dfs.core.windows.net/x"),
        ("account_name", "lake"),
        ("service_account_file", "/etc/sa.json"),
        ("allow_http", "true"),
    ],
)
def test_what_a_person_needs_to_see_stays_in_the_open(name, value):
    assert split_secrets({name: value}) == ({name: value}, {})


# --- names and kinds


def test_a_name_is_taken_once_unless_it_is_to_be_replaced(service):
    service.put("lake", "s3", {"region": "a"})
    with pytest.raises(Conflict, match="'lake' already"):
        service.put("lake", "s3", {"region": "b"})
    service.put("lake", "s3", {"region": "c"}, replace=True)
    assert service.options("lake") == {"region": "c"}
    assert service.kind("lake") == "s3"
    assert service.kind("nobody") is None


def test_a_name_taken_at_the_same_moment_is_a_conflict_not_a_crash(service):
    def add():
        row = Connection(id=uuid4(), name="lake", kind="s3", options={}, created_at=NOON, updated_at=NOON)
        with service.database.session_scope() as session:
            connections.add(session, row)

    add()
    with pytest.raises(Conflict, match="connection 'lake' already"):
        add()


@pytest.mark.parametrize("name", ["", "1st", "a b", "a.b", "ä", "x" * 101, "a/b"])
def test_a_name_that_could_not_stand_in_a_table_name_or_a_command_is_refused(service, name):
    with pytest.raises(InvalidInput, match="not a name"):
        service.put(name, "s3", {})


def test_a_connection_that_an_ingestion_uses_cannot_be_removed(database, service, settings):
    service.put("lake", "catalog", {"uri": "sqlite:////x.db"})
    service.put("landing", "s3", {"region": "a"})
    ingestions = IngestionService(database, settings)
    into_lake = shape("into", table="lake.demo.orders")
    source = into_lake.source.model_copy(update={"url": "s3://b/x", "connection": "landing"})
    ingestions.create(into_lake.model_copy(update={"source": source}))
    for name in ("lake", "landing"):
        with pytest.raises(Conflict, match="used by into"):
            service.remove(name)
    ingestions.delete("into")
    service.remove("lake")
    service.remove("landing")
    with pytest.raises(NotFound):
        service.remove("lake")


def test_another_tenant_sees_nothing_and_opens_nothing(database, service, settings):
    service.put("lake", "s3", SECRETS["s3"])
    other = ConnectionService(database, settings, tenant_id="other")
    assert other.listed() == []
    with pytest.raises(NotFound):
        other.options("lake")
    other.put("lake", "s3", {"secret_access_key": "of the other"})
    with database.session_scope() as session:
        session.execute(text("UPDATE connections SET secret = (SELECT max(secret) FROM connections)"))
    opened = 0
    for one in (service, other):
        try:
            one.options("lake")
            opened += 1
        except SecretUnreadable:
            pass
    assert opened == 1
