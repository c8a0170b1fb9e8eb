"""The work queue of a deployment follows what its ingestion may load embedded, and the reconciler brings it there."""

from __future__ import annotations

from app.config import GIB
from tests.functional.prefect.place import until
from tests.functional.scheduling.product import Product, wanted

LARGE = {"batch_max_bytes": 8 * GIB}


def queue_of(product: Product, ingestion_id: object) -> str | None:
    until(lambda: not product.reconciler.run_pass().problems, 300.0, "a pass that Prefect answered")
    return product.prefect.find(ingestion_id).spec.work_queue


def test_the_reconciler_moves_a_deployment_when_its_ingestion_changes(product):
    ingestion_id = product.created()
    assert queue_of(product, ingestion_id) == "autoloader-default"
    product.ingestions.change("orders", wanted("orders", policies=LARGE))
    assert queue_of(product, ingestion_id) == "autoloader-high-memory"
    product.ingestions.change("orders", wanted("orders", policies=LARGE, work_queue="default"))
    assert queue_of(product, ingestion_id) == "autoloader-default"


def test_the_reconciler_moves_a_deployment_when_the_settings_change(product):
    ingestion_id = product.created()
    product.settings = product.settings.model_copy(update={"high_memory_batch_bytes": GIB})
    product.reconciler = product.new_reconciler()
    assert queue_of(product, ingestion_id) == "autoloader-high-memory"
