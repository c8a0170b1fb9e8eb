"""What a cluster does for a table itself, and not with files of the source."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from pyspark.errors import PySparkException

from app.catalog.names import TableName
from app.errors import CatalogUnavailable
from app.ingest.engines.cluster_table import ClusterTable

FULL = "(org.apache.spark.SparkException) Job aborted due to stage failure: No space left on device"


class FullCluster:
    """A session in which each job fails."""

    endpoint = "sc://full"

    def __init__(self) -> None:
        self.spark = SimpleNamespace(createDataFrame=self._fail, sql=self._fail, read=self)

    def within(self, seconds: float) -> nullcontext[None]:
        return nullcontext()

    def format(self, name: str) -> FullCluster:
        return self

    def load(self, path: str) -> None:
        self._fail()

    def _fail(self, *_: object) -> None:
        raise PySparkException(FULL)


@pytest.mark.parametrize("what", ["write_text", "read_text", "has", "look"])
def test_a_job_of_the_table_itself_that_fails_is_nobodys_file_and_may_be_tried_again(what):
    table = ClusterTable(TableName("far", "db", "t"), FullCluster)
    given = {"write_text": ("/w/t/r.json.gz", "{}"), "read_text": ("/w/t/r.json.gz",), "has": ("true",), "look": ()}
    with pytest.raises(CatalogUnavailable, match=r"no file of the source is to blame: .*No space left") as failed:
        getattr(table, what)(*given[what])
    assert failed.value.retryable
