"""Whatever is sent, right or wrong: no fault of the program, and no answer that the document does not name."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.repositories import files as file_rows
from app.repositories.files import NewFile
from app.values import FileState
from tests.fakes.ledger import NOON, add_run, found
from tests.functional.api.calls import put, rows
from tests.functional.api.conftest import serving, settings_of
from tests.functional.api.test_documents import OPERATIONS

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 6
# These read what a path or an address names; what is made up must not send them through the whole machine.
READERS = {"preview_source", "prepare_load", "test_connection"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fuzzed(request, sqlite_template, tmp_path_factory):
    """An API of its own, for what is left behind, with one of each kind of thing."""
    home = tmp_path_factory.mktemp(f"fuzz-{request.param}")
    more = {}
    if request.param == "sqlite":
        shutil.copy(sqlite_template, home / "autoloader.db")
    else:
        port, template = request.getfixturevalue("postgres_port"), request.getfixturevalue("postgresql_template")
        name = f"t_{uuid4().hex[:16]}"
        with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        more["database_url"] = f"postgresql+psycopg://postgres@127.0.0.1:{port}/{name}"
    settings = settings_of(
        home, request_timeout_seconds=2.0, request_retries=0, lease_seconds=5.0, lease_heartbeat_seconds=1.0, **more
    )
    landing = home / "landing"
    put(landing, "a.jsonl", rows(0, 2))
    with serving(settings) as served:
        known = _known(served, landing)
        document = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
        yield served, known, document


def _known(served, landing):
    shape = {
        "name": "known",
        "source": {"url": str(landing)},
        "format": {"type": "jsonl"},
        "destination": {"table": "fuzz.known"},
        "arrival": {"notify": True},
    }
    made = served.post("/v1/ingestions", shape).json()
    ingestion_id = UUID(made["id"])
    run_id = add_run(served.database.engine, ingestion_id)
    with served.database.session_scope() as session:
        file_rows.insert_new(session, ingestion_id, run_id, [NewFile(found("/x"), FileState.QUARANTINED)], NOON)
        file_id = file_rows.known_paths(session, ingestion_id, ["/x"])[0].id
    options = {"endpoint": "http://127.0.0.1:9", "region": "x"}
    served.post("/v1/connections", {"name": "known", "kind": "s3", "options": options})
    return {
        "ingestion_id": made["id"],
        "run_id": str(run_id),
        "file_id": str(file_id),
        "trigger_id": served.post(f"/v1/ingestions/{made['id']}/run").json()["id"],
        "cluster_id": served.post("/v1/clusters", {"name": "known", "url": "sc://127.0.0.1:9"}).json()["id"],
        "name": "known",
        "landing": str(landing),
    }


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_no_call_meets_a_fault_or_an_answer_that_is_not_documented(fuzzed, name, mode):
    served, known, document = fuzzed
    operation = document.find_operation_by_id(name)
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.path_parameters or operation.query):
        return  # nothing of it can be wrong

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
    def call(case, real):
        _aim(case, name, known, real)
        response = case.call(base_url=served.url)
        assert response.status_code not in {500, 503}, response.text
        case.validate_response(response, checks=CHECKS)

    call()


def _aim(case, name, known, real):
    """Half of the calls are for what is there; none deletes it, and none reads where it should not."""
    if real:
        case.query.pop("cursor", None)  # one that is made up is refused before anything else is looked at
    if real and not name.startswith(("delete_", "forget_")):
        for part, value in known.items():
            if part in case.path_parameters:
                case.path_parameters[part] = value
            if part in case.query:
                case.query[part] = value
    if name in READERS and isinstance(case.body, dict):
        _stay_home(case.body, Path(known["landing"]))


def _stay_home(body, landing):
    source = body.get("source", body)
    if isinstance(source, dict) and isinstance(source.get("url"), str):
        source["url"] = str(landing)
