"""Which deleted ledger is adopted, and that no file is loaded twice into a table because of it (promise P1)."""

from __future__ import annotations

import pytest

from app.config import Settings
from app.errors import Conflict
from app.repositories import files
from app.repositories.files import NewFile
from app.schemas.ingestion import IngestionShape
from app.services.ingestion_service import IngestionService
from app.values import FileState
from tests.fakes.ledger import NOON, add_run, found, shape


@pytest.fixture
def service(database, tmp_path) -> IngestionService:
    return IngestionService(database, Settings(autoloader_home=tmp_path / "home", _env_file=None))


def loads(name: str, url: str, *, allowed: bool = False, **source: object) -> IngestionShape:
    config = shape(name, url, "local.shop.t").model_dump()
    config["source"] |= source
    config["policies"]["allow_overlap"] = allowed
    return IngestionShape.model_validate(config)


def loaded(service: IngestionService, name: str, *paths: str) -> None:
    """The ingestion has loaded these."""
    made = service.find(name)
    run_id = add_run(service.database.engine, made.id)
    with service.database.session_scope() as session:
        new = [NewFile(found(path), FileState.SUCCESS) for path in paths]
        files.insert_new(session, made.id, run_id, new, NOON)


@pytest.fixture
def two_deleted(service):
    """Two ingestions of one folder with different patterns, each with a file, both deleted."""
    lines = service.create(loads("lines", "/d/*.jsonl"))
    newlines = service.create(loads("newlines", "/d/*.ndjson", allowed=True))
    loaded(service, "lines", "/d/a.jsonl")
    loaded(service, "newlines", "/d/b.ndjson")
    service.delete("lines")
    service.delete("newlines")
    return lines, newlines


def test_of_two_deleted_ledgers_none_is_adopted_without_a_word(service, two_deleted):
    with pytest.raises(Conflict, match=r"\(deleted, but its rows are in the table\) loads /d/\*\.\w+ into"):
        service.create(loads("all", "/d"))
    assert service.names() == []


def test_to_allow_an_overlap_does_not_load_again_what_the_other_ledger_shows(service, two_deleted):
    with pytest.raises(Conflict, match=r"has loaded /d/\w+\.\w+ into local\.shop\.t, and /d takes it too") as refused:
        service.create(loads("all", "/d", allowed=True))
    assert refused.value.hint == "Narrow the source with a pattern or --exclude, or use another table."


@pytest.mark.parametrize("number", [0, 1])
def test_the_ledger_of_the_very_same_address_is_adopted_before_any_other(service, two_deleted, number):
    deleted = two_deleted[number]
    again = service.create(loads("again", deleted.shape.source.url, allowed=True))
    assert again.id == deleted.id
    assert service.show("again").files == {"SUCCESS": 1}


def test_a_source_that_leaves_out_what_the_other_ledger_shows_is_allowed_where_the_user_says_so(service, two_deleted):
    made = service.create(loads("rest", "/d", allowed=True, exclude=["*.jsonl"]))
    assert made.id == two_deleted[1].id, "the last one deleted; what the other one loaded is excluded"


def test_what_the_own_ledger_knows_is_not_loaded_twice(service):
    service.create(loads("one", "/d/*.jsonl"))
    service.create(loads("two", "/d", allowed=True))
    loaded(service, "one", "/d/a.jsonl")
    loaded(service, "two", "/d/a.jsonl")
    service.delete("two")
    service.create(loads("two", "/d", allowed=True))


# --- changing


def test_a_pattern_that_is_widened_over_a_deleted_ledger_is_refused(service):
    service.create(loads("lines", "/d/*.jsonl"))
    service.create(loads("newlines", "/d/*.ndjson", allowed=True))
    loaded(service, "newlines", "/d/b.ndjson")
    service.delete("newlines")
    with pytest.raises(Conflict, match="'newlines' \\(deleted"):
        service.change("lines", loads("lines", "/d/*"))
    with pytest.raises(Conflict, match=r"has loaded /d/b\.ndjson"):
        service.change("lines", loads("lines", "/d/*", allowed=True))
    service.change("lines", loads("lines", "/d/*.js*", allowed=True))
    assert service.show("lines").source_url == "/d/*.js*"


def test_a_change_of_something_else_is_not_refused_for_an_overlap_that_was_allowed_before(service):
    service.create(loads("one", "/d"))
    service.create(loads("two", "/d/x", allowed=True))
    loaded(service, "one", "/d/x/late")
    changed = loads("two", "/d/x", allowed=True).model_copy(update={"name": "three"})
    assert service.change("two", changed).name == "three"


def test_an_active_ingestion_that_loaded_a_file_stops_another_one_from_taking_it(service):
    service.create(loads("one", "/d"))
    loaded(service, "one", "/d/x/a")
    with pytest.raises(Conflict, match=r"'one' \(active\) has loaded /d/x/a"):
        service.create(loads("two", "/d/x", allowed=True))
    service.create(loads("three", "/d/y", allowed=True))
    service.create(loads("four", "/d/x", allowed=True, start="now"))
