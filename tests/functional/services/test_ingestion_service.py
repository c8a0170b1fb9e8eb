from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.config import Settings
from app.errors import Conflict, InvalidInput, NotFound
from app.models import Batch
from app.repositories import batches, files, ingestions, runs
from app.repositories.files import NewFile
from app.schemas.ingestion import IngestionShape
from app.services.connection_service import ConnectionService
from app.services.ingestion_service import IngestionService, free_name, full_table_name
from app.values import BatchState, FileState
from tests.fakes.ledger import NOON, add_run, found, shape
from tests.fakes.statements import statements

TABLE = "local.demo.orders"


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(autoloader_home=tmp_path / "home", _env_file=None)


@pytest.fixture
def service(database, settings) -> IngestionService:
    return IngestionService(database, settings)


def loads(name: str, url: str, table: str = TABLE, *, allow_overlap: bool = False, **more) -> IngestionShape:
    config = shape(name, url, table).model_dump() | more
    config["policies"]["allow_overlap"] = allow_overlap
    return IngestionShape.model_validate(config)


def block(database, ingestion_id):
    """An UNKNOWN batch, and the run it is of."""
    run_id = add_run(database.engine, ingestion_id)
    with database.session_scope() as session:
        state, error = BatchState.UNKNOWN.value, "Nobody can tell."
        batch = Batch(id=uuid4(), ingestion_id=ingestion_id, run_id=run_id, state=state, file_count=1, byte_count=1)
        batch.error, batch.created_at = error, NOON
        batches.add(session, batch)
    return run_id


# --- overlap (promise P1)

OVERLAPPING = [
    ("/data/orders", "/data/orders"),
    ("/data/orders", "/data/orders/"),
    ("/data/orders", "/data/orders/2026"),
    ("/data/orders/2026/03", "/data/orders"),
    ("/data/orders", "/"),
    ("/data/orders", "/data/x/../orders"),
    ("/data/orders", "file:///data/orders"),
    ("/data/orders", "/data/orders/*.jsonl"),
    ("/data/orders/a*", "/data/orders/b*"),
    ("/data/orders/2026", "/data/*/2026"),
    ("s3://bucket/orders", "s3://bucket"),
    ("s3://bucket/orders", "s3a://bucket/orders/2026"),
    ("s3://bucket/orders/", "s3://bucket/orders"),
    ("az://lake/orders", "abfss://lake@account.dfs.core.windows.net/orders"),
    ("gs://bucket/a", "gcs://bucket/a/b/c"),
    ("s3://bucket/a b%20c", "s3://bucket/a b%20c/d"),
]
APART = [
    ("/data/orders", "/data/orders2"),
    ("/data/orders/2026", "/data/orders/20265"),
    ("/data/orders", "/data/Orders"),
    ("s3://bucket/orders", "s3://bucket2/orders"),
    ("s3://bucket", "s3://bucket2"),
    ("s3://bucket/orders", "gs://bucket/orders"),
    ("s3://bucket/a%20b", "s3://bucket/a b"),
    ("s3://bucket/data", "/data"),
]


@pytest.mark.parametrize(("one", "other"), OVERLAPPING)
def test_a_source_that_overlaps_another_ones_into_the_same_table_is_refused(service, one, other):
    service.create(loads("one", one))
    with pytest.raises(Conflict, match="'one' \\(active\\) loads") as refused:
        service.create(loads("two", other))
    assert "--allow-overlap" in refused.value.hint
    assert service.names() == ["one"]


@pytest.mark.parametrize(("one", "other"), APART)
def test_sources_that_only_look_alike_are_not_taken_for_overlapping(service, one, other):
    service.create(loads("one", one))
    service.create(loads("two", other))
    assert service.names() == ["one", "two"]


def test_a_link_to_a_folder_overlaps_the_folder(service, tmp_path):
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    service.create(loads("one", str(tmp_path / "real" / "sub")))
    with pytest.raises(Conflict, match="'one'"):
        service.create(loads("two", str(tmp_path / "link")))
    service.create(loads("three", str(tmp_path / "elsewhere")))


def test_the_same_source_may_go_into_another_table(service, database, settings):
    ConnectionService(database, settings).put("lake", "catalog", {"uri": "sqlite:////x.db"})
    service.create(loads("one", "/data/orders", "local.demo.orders"))
    service.create(loads("two", "/data/orders", "local.demo.copy"))
    service.create(loads("three", "/data/orders", "lake.demo.orders"))


def test_a_table_is_the_same_with_and_without_the_name_of_the_local_catalog(service):
    service.create(loads("one", "/data/orders", "demo.orders"))
    with pytest.raises(Conflict, match="loaded twice"):
        service.create(loads("two", "/data/orders/x", "local.demo.orders"))
    assert full_table_name("demo.orders") == "local.demo.orders"


def test_an_overlap_that_the_user_allows_is_allowed(service):
    service.create(loads("one", "/data/orders"))
    service.create(loads("two", "/data/orders/x", allow_overlap=True))
    with pytest.raises(Conflict):
        service.change("two", loads("two", "/data/orders/x"))


def test_two_that_overlap_and_are_made_at_the_same_moment_are_not_both_made(service):
    barrier, ends = threading.Barrier(2), []

    def create(number: int) -> None:
        barrier.wait(180)
        try:
            service.create(loads(f"n{number}", f"/data/orders/{'x' * number}"))
            ends.append("made")
        except Conflict:
            ends.append("refused")

    for _ in range(5):
        threads = [threading.Thread(target=create, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(ends) == ["made", "refused"]
        ends.clear()
        with service.database.session_scope() as session:
            session.execute(text("DELETE FROM ingestions"))


# --- deleted ones


def test_the_rows_of_a_deleted_ingestion_still_refuse_an_overlap(service):
    service.create(loads("one", "/data/orders/2026"))
    service.delete("one")
    with pytest.raises(Conflict, match="'one' \\(deleted, but its rows are in the table\\)"):
        service.create(loads("two", "/data/orders"))


def test_making_a_deleted_ingestion_again_adopts_its_ledger(service, database):
    made = service.create(loads("one", "/data/orders", columns={"columns": "n bigint"}))
    run_id = add_run(database.engine, made.id)
    with database.session_scope() as session:
        new = [NewFile(found("/data/orders/a"), FileState.SUCCESS)]
        files.insert_new(session, made.id, run_id, new, NOON)
        uuid = uuid4()
        ingestions.by_id(session, made.id).table_uuid = uuid
    service.delete("one")
    adopted = service.create(loads("two", "/data/orders/"))

    assert adopted.id == made.id
    assert adopted.name == "two"
    assert (adopted.table_uuid, str(adopted.schema)) == (uuid, "n bigint")
    assert adopted.created_at > made.created_at, "`start: now` means the making anew"
    assert service.show("two").files == {"SUCCESS": 1}
    with database.session_scope() as session:
        row = ingestions.by_id(session, made.id)
        assert (row.revision, row.deleted_at) == (3, None)  # made, deleted, made
    with pytest.raises(NotFound):
        service.find("one")


def test_a_deleted_ingestion_of_another_source_or_table_is_not_adopted(service):
    made = service.create(loads("one", "/data/orders"))
    service.delete("one")
    other_table = service.create(loads("one", "/data/orders", "local.demo.other"))
    other_source = service.create(loads("two", "/data/elsewhere"))
    assert len({made.id, other_table.id, other_source.id}) == 3


def test_adopting_is_refused_while_another_one_overlaps(service):
    service.create(loads("one", "/data/orders"))
    service.delete("one")
    service.create(loads("two", "/data/orders/x", allow_overlap=True))
    with pytest.raises(Conflict, match="'two'"):
        service.create(loads("three", "/data/orders"))


def test_deleting_keeps_ledger_and_name_free(service, database):
    made = service.create(loads("one", "/data/orders"))
    add_run(database.engine, made.id)
    service.delete("one")
    assert service.names() == []
    for use in (service.find, service.show, service.delete):
        with pytest.raises(NotFound, match="'one'"):
            use("one")
    with pytest.raises(NotFound):
        service.find(str(made.id))
    with database.session_scope() as session:
        assert session.execute(text("SELECT count(*) FROM runs")).scalar() == 1
    assert service.create(loads("one", "/data/elsewhere")).id != made.id


# --- changing


def test_source_and_table_stay_as_they_are(service):
    service.create(loads("one", "/data/orders"))
    for other in (loads("one", "/data/other"), loads("one", "/data/orders", "local.demo.other"), loads("one", "/data")):
        with pytest.raises(Conflict, match="neither can be changed"):
            service.change("one", other)
    assert service.show("one").source_url == "/data/orders"


def test_everything_else_changes_and_the_revision_grows(service, database):
    made = service.create(loads("one", "/data/orders"))
    changed = service.change("one", loads("uno", "/data/orders/*.gz", paused=True, columns={"columns": "a string"}))
    assert (changed.id, changed.name, changed.paused, str(changed.schema)) == (made.id, "uno", True, "a string")
    assert changed.shape.source.url == "/data/orders/*.gz"
    with database.session_scope() as session:
        assert ingestions.by_id(session, made.id).revision == 2


def test_columns_that_are_not_given_any_more_are_inferred_again_unless_the_table_has_them(service, database):
    made = service.create(loads("one", "/data/orders", columns={"columns": "n bigint"}))
    assert service.change("one", loads("one", "/data/orders")).schema is None
    service.change("one", loads("one", "/data/orders", columns={"columns": "n bigint"}))
    with database.session_scope() as session:
        ingestions.by_id(session, made.id).table_uuid = uuid4()
    assert str(service.change("one", loads("one", "/data/orders")).schema) == "n bigint"


def test_columns_that_were_inferred_stay_when_something_else_changes(service, database):
    made = service.create(loads("one", "/data/orders"))
    with database.session_scope() as session:
        ingestions.by_id(session, made.id).schema_text = "n bigint"
    assert str(service.change("one", loads("one", "/data/orders/*.gz")).schema) == "n bigint"


def test_an_ingestion_that_overlaps_nobody_does_not_overlap_itself(service):
    service.create(loads("one", "/data/orders"))
    assert service.change("one", loads("one", "/data/orders")).name == "one"


def test_a_name_is_taken_once_by_creating_or_by_changing(service):
    service.create(loads("one", "/data/orders"))
    service.create(loads("two", "/data/other"))
    with pytest.raises(Conflict, match="'one' already"):
        service.create(loads("one", "/data/third"))
    with pytest.raises(Conflict, match="'one' already"):
        service.change("two", loads("one", "/data/other"))
    assert service.names() == ["one", "two"]


def test_a_name_taken_at_the_same_moment_is_a_conflict_not_a_crash(database, service):
    service.create(loads("one", "/data/orders"))
    row = service.find("one")
    with pytest.raises(Conflict, match="'one' already"), database.session_scope() as session:  # noqa: PT012 - whole
        twin = ingestions.by_id(session, row.id)
        assert twin is not None
        values = {c.name: getattr(twin, c.name) for c in twin.__table__.columns} | {"id": uuid4()}
        ingestions.add(session, type(twin)(**values))


# --- the rest


def test_a_paused_ingestion_says_so_and_so_does_its_configuration(service):
    service.create(loads("one", "/data/orders"))
    assert service.pause("one", paused=True).paused
    assert service.find("one").shape.paused
    assert service.show("one").config["paused"]
    assert not service.pause("one", paused=False).paused


def test_pausing_and_resuming_are_changes_that_others_can_see(service, database):
    made = service.create(loads("one", "/data/orders"))
    service.pause("one", paused=True)
    service.pause("one", paused=False)
    with database.session_scope() as session:
        assert ingestions.by_id(session, made.id).revision == 3


def test_a_pause_at_the_moment_of_a_change_undoes_nothing_of_it_and_is_not_undone(service, database):
    made = service.create(loads("one", "/data/orders"))
    with database.session_scope() as session:
        row = ingestions.by_id(session, made.id)
        ingestions.lock(session, row)
        pause = threading.Thread(target=lambda: service.pause("one", paused=True))
        pause.start()
        pause.join(0.5)  # it has read the ingestion, or waits for us
        row.config = loads("one", "/data/orders/*.gz").model_dump(mode="json", exclude={"paused"})
        row.revision += 1
    pause.join(180)
    found = service.find("one")
    assert (found.shape.source.url, found.paused) == ("/data/orders/*.gz", True)
    with database.session_scope() as session:
        assert ingestions.by_id(session, made.id).revision == 3


def test_a_change_that_does_not_speak_of_pausing_leaves_a_pause_that_came_before_it(service):
    service.create(loads("one", "/data/orders"))
    written = IngestionShape.model_validate(
        {"name": "one", "source": {"url": "/data/orders/*.gz"}, "format": {"type": "jsonl"}}
        | {"destination": {"table": TABLE}}
    )
    service.pause("one", paused=True)
    assert service.change("one", written).paused


@pytest.mark.parametrize("how", ["resume", "change"])
@pytest.mark.parametrize(("arrival", "wanted"), [({"notify": True}, True), (None, False)])
def test_however_it_is_resumed_it_wants_a_run_for_the_events_that_were_dropped(service, database, how, arrival, wanted):
    made = service.create(loads("one", "/data/orders", arrival=arrival, paused=True))
    if how == "resume":
        service.pause("one", paused=False)
    else:
        service.change("one", loads("one", "/data/orders", arrival=arrival, paused=False))

    with database.session_scope() as session:
        row = ingestions.by_id(session, made.id)
        assert (row.paused, row.rerun_wanted) == (False, wanted)


def test_an_ingestion_deleted_at_the_moment_of_a_pause_is_gone(service, database):
    made = service.create(loads("one", "/data/orders"))
    ended = []

    def pause() -> None:
        with pytest.raises(NotFound):
            service.pause("one", paused=True)
        ended.append(True)

    with database.session_scope() as session:
        row = ingestions.by_id(session, made.id)
        ingestions.lock(session, row)
        thread = threading.Thread(target=pause)
        thread.start()
        thread.join(0.5)
        row.deleted_at = NOON
    thread.join(180)
    assert ended


def test_an_ingestion_is_found_by_name_by_id_and_by_what_it_loads(service):
    made = service.create(loads("one", "/data/orders/*.gz"))
    assert service.find("one") == service.find(str(made.id)) == service.into("/data/orders/*.gz", "demo.orders")
    assert service.into("/data/orders", "demo.orders") is None
    assert service.into("/data/orders/*.gz", "demo.other") is None
    with pytest.raises(NotFound, match="'nobody'"):
        service.find("nobody")


def test_another_tenant_finds_nothing_but_cannot_load_the_same_files_into_the_table(database, settings, service):
    made = service.create(loads("one", "/data/orders"))
    other = IngestionService(database, settings, tenant_id="other")
    assert other.names() == []
    with pytest.raises(NotFound):
        other.find(str(made.id))
    service.delete("one")
    with pytest.raises(Conflict):
        other.create(loads("one", "/data/orders"))


def test_a_blocked_ingestion_shows_the_evidence(database, service):
    made = service.create(loads("one", "/data/orders"))
    run_id = block(database, made.id)
    view = service.show("one")
    assert view.blocked == "Nobody can tell."
    assert view.last_run_id == run_id
    assert [v.name for v in service.listed()] == ["one"]


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "s3://", "", "s3://KEY:SECRET@bucket/x", "s3://KEY:SEC/RET@bucket/x", "s3://KEY:SECRET/x"]
)
def test_an_address_that_cannot_be_right_or_holds_a_password_is_refused(service, url):
    with pytest.raises(InvalidInput) as refused:
        service.create(loads("one", url))
    assert "SEC" not in str(refused.value)


def test_an_engine_that_is_not_there_is_refused(service):
    with pytest.raises(InvalidInput, match="'big'"):
        service.create(loads("one", "/data/orders", engine="big"))


def test_a_free_name_is_the_wanted_one_or_the_next_number():
    assert free_name("a", []) == "a"
    assert free_name("a", ["a", "a-2"]) == "a-3"


# --- many of them


def test_listing_many_ingestions_takes_as_many_statements_as_listing_one(service, database):
    for number in range(5):
        made = service.create(loads(f"n{number}", f"/data/{number}"))
        add_run(database.engine, made.id)
        run_id = add_run(database.engine, made.id)
        with database.session_scope() as session:
            runs.by_id(session, run_id).started_at = NOON + timedelta(seconds=number + 1)
            new = [NewFile(found(f"/data/{number}/{n}"), FileState.SUCCESS) for n in range(number)]
            new.append(NewFile(found(f"/data/{number}/bad"), FileState.QUARANTINED))
            files.insert_new(session, made.id, run_id, new, NOON)
    with statements(database) as sent:
        views = service.listed()
    assert len(sent) == 5, "the fifth: the leases of runs that are RUNNING"
    assert [view.files.get("SUCCESS", 0) for view in views] == [0, 1, 2, 3, 4]
    assert {view.files["QUARANTINED"] for view in views} == {1}
    assert [(view.last_run_at - NOON).seconds for view in views] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "part",
    [
        {"source": {"connection": "lake", "url": "s3://bucket/a"}},
        {"destination": {"table": "lake.demo.orders"}},
    ],
)
def test_a_connection_that_is_not_there_is_told_before_anything_is_stored(service, part):
    config = shape("one").model_dump() | part
    with pytest.raises(NotFound, match="no connection 'lake'"):
        service.create(IngestionShape.model_validate(config))
    assert service.names() == []


@pytest.mark.parametrize("name", ["a/b", " a", "a ", "a\nb", "a\x1b[31mb"])
def test_a_name_that_cannot_be_typed_is_refused(service, name):
    service.create(loads("good", "/data/orders"))
    for use in (
        lambda: service.create(loads(name, "/data/other")),
        lambda: service.change("good", loads(name, "/data/orders")),
    ):
        with pytest.raises(InvalidInput, match="is not a name for an ingestion"):
            use()


@pytest.mark.parametrize(
    "other",
    [
        {"destination": {"table": TABLE, "partition_by": ["n"]}},
        {"destination": {"table": TABLE, "properties": {"owner": "me"}}},
        {"columns": {"columns": "n string"}},
    ],
)
def test_what_only_a_new_table_takes_is_refused_once_there_is_the_table(service, database, other):
    made = service.create(loads("one", "/data/orders"))
    with database.session_scope() as session:
        row = ingestions.by_id(session, made.id)
        row.table_uuid, row.schema_text = uuid4(), "n bigint"
    with pytest.raises(Conflict, match=f"The table {TABLE} is there already"):
        service.change("one", loads("one", "/data/orders", **other))
    assert service.find("one").shape == made.shape
    assert service.change("one", loads("one", "/data/orders", columns={"columns": "n bigint"})).name == "one"


def test_the_sources_of_a_connection_are_listed_once_each(service, database, settings):
    ConnectionService(database, settings).put("lake", "s3", {})
    with_connection = {"source": {"url": "s3://bucket/a", "connection": "lake"}}
    for number, table in enumerate(("local.demo.a", "local.demo.b")):
        service.create(IngestionShape.model_validate(shape(f"n{number}", table=table).model_dump() | with_connection))
    service.create(loads("one", "/data/orders"))
    assert service.sources() == {"lake": ["s3://bucket/a"]}


def test_a_blocked_one_is_found_without_counting_anything(service, database):
    made = service.create(loads("one", "/data/orders"))
    service.create(loads("two", "/data/other"))
    block(database, made.id)
    assert service.blocked() == {"one": "Nobody can tell."}
