"""Each name of the document that the product was asked for with: files, functions, settings, columns, index, queues.

The document's comparison of `BatchOrchestrator` and the flow is held against the code row by row.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest
from sqlalchemy import String

from app.config import Settings
from app.models import Ingestion
from app.prefect import task_options
from app.prefect.flows.run_ingestion import run_ingestion_flow
from app.services import deployment_spec
from app.services.batch_orchestrator import BatchOrchestrator
from app.services.prefect_service import PrefectService
from tools.deploy_kustomize import build, pod_spec

ROOT = Path(__file__).parents[2]
TASKS = {
    "create_run_record_task": "run_management",
    "discover_files_task": "discovery",
    "check_file_state_task": "state",
    "process_files_task": "processing",
    "complete_run_record_task": "run_management",
    "fail_run_record_task": "run_management",
}


@pytest.mark.parametrize(
    "name",
    [
        "app/prefect/flows/run_ingestion.py",
        "app/prefect/tasks/discovery.py",
        "app/prefect/tasks/state.py",
        "app/prefect/tasks/processing.py",
        "app/prefect/tasks/run_management.py",
        "app/prefect/README.md",
        "app/config.py",
        "app/services/prefect_service.py",
        "app/api/v1/ingestions.py",
        "requirements.txt",
        "alembic.ini",
        "docs/scheduler/prefect-architecture-explained.md",
        "docs/scheduler/PREFECT_MIGRATION_GUIDE.md",
    ],
)
def test_a_file_that_the_document_names_is_there(name):
    assert (ROOT / name).is_file()


def test_prefect_is_one_of_the_requirements():
    assert "\nprefect==" in (ROOT / "requirements.txt").read_text(encoding="utf-8")


# --- the flow --------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "module"), TASKS.items())
def test_a_step_is_a_task_in_its_module(name, module):
    from prefect import Task

    assert isinstance(getattr(importlib.import_module(f"app.prefect.tasks.{module}"), name), Task)


def test_the_flow_takes_an_id_and_a_trigger_that_is_manual_by_default():
    parameters = inspect.signature(run_ingestion_flow.fn).parameters

    assert list(parameters) == ["ingestion_id", "trigger"]
    assert parameters["ingestion_id"].default is inspect.Parameter.empty
    assert parameters["trigger"].default == "manual"


def test_the_flow_calls_its_tasks_in_the_order_of_the_document():
    source = (ROOT / "app/prefect/flows/run_ingestion.py").read_text(encoding="utf-8")
    called = [
        (node.lineno, node.col_offset, node.func.id)
        for function in ast.parse(source).body
        if isinstance(function, ast.FunctionDef) and function.name == "_run"
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    begin, discover, process, check, complete = (
        next(i for i, (_, _, name) in enumerate(sorted(called)) if name == wanted)
        for wanted in (
            "create_run_record_task", "discover_files_task", "_process", "check_file_state_task",
            "complete_run_record_task",
        )
    )  # fmt: skip

    assert begin < discover < process < check < complete  # the check is the argument of `_process`


def test_credentials_of_spark_connect_have_the_documents_name():
    from app.services import cluster_service

    source = inspect.getsource(cluster_service)

    assert "def get_spark_connect_credentials(" in source
    assert "cluster_id" in source


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "default"),
    [
        ("prefect_api_url", str, "http://prefect-server:4200/api"),
        ("prefect_default_work_queue", str, "autoloader-default"),
        ("prefect_high_memory_work_queue", str, "autoloader-high-memory"),
        ("prefect_flow_run_timeout_seconds", int, 3600),
        ("prefect_task_retry_delay_seconds", int, 60),
        ("prefect_max_task_retries", int, 3),
    ],
)
def test_a_setting_has_the_documents_name_and_default(name, kind, default):
    field = Settings.model_fields[name]

    assert (field.annotation, field.default) == (kind, default)


@pytest.mark.parametrize("url", ["http://localhost:4200/api", "http://prefect-server.iomete-system:4200/api"])
def test_the_environment_overrides_the_address_of_prefect(monkeypatch, url):
    monkeypatch.setenv("PREFECT_API_URL", url)

    assert Settings(_env_file=None).prefect_api_url == url


def test_the_production_overlay_has_the_documents_address():
    objects = build(ROOT / "deploy/kubernetes/overlays/production")
    (config,) = [one for one in objects if one["metadata"]["name"] == "autoloader-config"]

    assert config["data"]["PREFECT_API_URL"] == "http://prefect-server.iomete-system:4200/api"


# --- the database ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["prefect_deployment_id", "prefect_flow_id"])
def test_an_ingestion_has_the_documents_column(name):
    column = Ingestion.__table__.columns[name]

    assert isinstance(column.type, String)
    assert (column.type.length, column.nullable) == (255, True)


def test_deployments_are_found_by_the_documents_index():
    (index,) = [
        one
        for one in Ingestion.metadata.tables["ingestions"].indexes
        if one.name == "ix_ingestions_prefect_deployment_id"
    ]

    assert [column.name for column in index.columns] == ["prefect_deployment_id"]


def test_one_migration_adds_the_columns_and_the_index_of_the_document():
    text = (ROOT / "alembic/versions/0002_prefect_ids.py").read_text(encoding="utf-8")

    for name in ("prefect_deployment_id", "prefect_flow_id", "ix_ingestions_prefect_deployment_id"):
        assert name in text


# --- the service and the API -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["upsert", "delete", "trigger", "cancel", "history"])
def test_prefects_service_can_do_what_the_document_asks(name):
    assert callable(getattr(PrefectService, name))


@pytest.mark.parametrize("name", ["create_ingestion", "update_ingestion", "delete_ingestion", "trigger_run"])
def test_the_api_has_the_documents_handlers(name):
    assert inspect.isfunction(getattr(importlib.import_module("app.api.v1.ingestions"), name))


# --- the comparison --------------------------------------------------------------------------


class TestTheComparison:
    def test_entry_points_take_an_ingestion_and_an_id(self):
        assert list(inspect.signature(BatchOrchestrator.run_ingestion).parameters)[:2] == ["self", "ingestion"]
        assert next(iter(inspect.signature(run_ingestion_flow.fn).parameters)) == "ingestion_id"

    def test_the_flow_is_scheduled_and_started_by_hand_under_one_path(self):
        assert f"{run_ingestion_flow.fn.__module__}.run_ingestion_flow" == deployment_spec.ENTRYPOINT
        assert deployment_spec.parameters.__annotations__["trigger"] == "Trigger"

    def test_only_the_flow_retries_and_waits_longer_each_time(self):
        source = inspect.getsource(importlib.import_module("app.services.batch_orchestrator"))

        assert task_options.OPTIONS["retries"] == 3
        assert task_options.OPTIONS["retry_delay_seconds"] == [60, 120, 240]
        assert "sleep" not in source
        assert "retries" not in source

    def test_the_orchestrator_works_without_prefect(self):
        source = (ROOT / "app/services/batch_orchestrator.py").read_text(encoding="utf-8")

        assert "prefect" not in source.lower()

    def test_the_flow_is_run_by_workers_on_both_queues(self):
        commands = [
            container["command"]
            for item in build(ROOT / "deploy/kubernetes/base")
            for container in (pod_spec(item) or {}).get("containers", ())
        ]

        for queue in ("autoloader-default", "autoloader-high-memory"):
            assert ["autoloader", "worker", "--queue", queue] in commands

    def test_the_table_of_the_page_has_the_documents_rows(self):
        page = (ROOT / "docs/scheduler/prefect-architecture-explained.md").read_text(encoding="utf-8")

        for aspect in ("entry point", "trigger", "retries", "observability", "scaling", "state"):
            assert f"\n| {aspect} |" in page
