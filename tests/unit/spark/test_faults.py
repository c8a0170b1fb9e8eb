from __future__ import annotations

import pytest
from pyspark.errors.exceptions.connect import SparkConnectGrpcException

from app.errors import (
    CatalogError,
    CatalogRefused,
    CatalogUnavailable,
    CommitConflict,
    CommitUnknown,
    FileMissing,
    SourceAccessDenied,
    SparkError,
    SparkInterrupted,
    SparkJobFailed,
    SparkRefused,
    SparkSessionLost,
    SparkUnavailable,
    TableNotFound,
)
from app.log import register_secret
from app.spark import Endpoint, spark_errors

CANARY = "canary-7f3a9c2e5b"
WHERE = "sc://spark:15002"


def rpc(status, details):
    return (
        f"<_MultiThreadedRendezvous of RPC that terminated with:\n\tstatus = StatusCode.{status}\n"
        f'\tdetails = "{details}"\n\tdebug_error_string = "UNKNOWN:Error {{grpc_status:14}}"\n>'
    )


KNOWN = [
    (rpc("UNAVAILABLE", "failed to connect"), SparkUnavailable),
    (rpc("DEADLINE_EXCEEDED", "Deadline Exceeded"), SparkUnavailable),
    (rpc("UNAUTHENTICATED", "no"), SparkRefused),
    (rpc("PERMISSION_DENIED", "no"), SparkRefused),
    (rpc("UNIMPLEMENTED", "Method not found"), SparkRefused),
    (rpc("INTERNAL", "[INVALID_HANDLE.SESSION_CLOSED] The handle x is invalid."), SparkSessionLost),
    ("[INVALID_HANDLE.OPERATION_NOT_FOUND] The handle x is invalid.", SparkSessionLost),
    ("(org.apache.spark.SparkSQLException) [OPERATION_CANCELED] Operation has been canceled.", SparkInterrupted),
    ("[TABLE_OR_VIEW_NOT_FOUND] The table or view `a` cannot be found.", TableNotFound),
    (f"[TABLE_OR_VIEW_NOT_FOUND] The table or view `autoloader_{'0a' * 16}` cannot be found.", SparkSessionLost),
    ("(org.apache.iceberg.exceptions.NoSuchTableException) Table does not exist: a.b", TableNotFound),
    ("[PATH_NOT_FOUND] Path does not exist: file:/nope.", FileMissing),
    (
        "(org.apache.spark.SparkException) Job aborted: Task 0 failed: java.io.FileNotFoundException: \nFile file:/x",
        FileMissing,
    ),
    ("(org.apache.iceberg.exceptions.CommitFailedException) Cannot commit: stale", CommitConflict),
    ("(org.apache.iceberg.exceptions.DuplicateWAPCommitException) Duplicate request to cherry pick", CommitConflict),
    ("(org.apache.iceberg.exceptions.CommitStateUnknownException) Cannot determine", CommitUnknown),
    ("(org.apache.iceberg.exceptions.ForbiddenException) Forbidden: no", CatalogRefused),
    ("(org.apache.iceberg.jdbc.UncheckedSQLException) Failed to connect", CatalogUnavailable),
    ("(java.nio.file.AccessDeniedException) s3a://b/k: getFileStatus", SourceAccessDenied),
    ("[REQUIRES_SINGLE_PART_NAMESPACE] spark_catalog requires a single-part namespace", CatalogError),
    ("java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not found", SparkError),
    (
        "(org.apache.spark.SparkException) Job aborted due to stage failure: Lost task 0: java.io.IOException: no end",
        SparkJobFailed,
    ),
    ("[PARSE_SYNTAX_ERROR] Syntax error at or near 'SELEC'", SparkError),
]


@pytest.mark.parametrize(("text", "kind"), KNOWN, ids=[f"{kind.__name__}-{at}" for at, (_, kind) in enumerate(KNOWN)])
def test_what_spark_says_is_the_error_that_it_means(text, kind):
    with pytest.raises(kind) as raised, spark_errors(WHERE, "lake.a.b"):
        raise SparkConnectGrpcException(text)

    assert type(raised.value) is kind
    assert raised.value.hint
    assert "\n" not in raised.value.message


COMMITTED_NOTHING = (CommitConflict, CatalogRefused, TableNotFound, SparkRefused)


@pytest.mark.parametrize(("text", "kind"), KNOWN, ids=[f"{kind.__name__}-{at}" for at, (_, kind) in enumerate(KNOWN)])
def test_while_committing_whatever_does_not_say_no_is_unknown(text, kind):
    expected = kind if kind in COMMITTED_NOTHING else CommitUnknown

    with pytest.raises(expected), spark_errors(WHERE, "lake.a.b", committing=True):
        raise SparkConnectGrpcException(text)


def test_a_cluster_without_the_library_for_a_store_is_told_where_to_see_what_it_needs():
    with pytest.raises(SparkError) as raised, spark_errors(WHERE, "lake.a.b"):
        raise SparkConnectGrpcException(
            "(org.apache.hadoop.fs.UnsupportedFileSystemException) No FileSystem for scheme"
        )

    assert str(raised.value).startswith("The cluster lacks a library (lake.a.b): ")
    assert raised.value.hint.endswith("autoloader clusters test NAME")


def test_a_catalog_that_the_cluster_does_not_reach_is_looked_at_by_the_clusters_own_test():
    with pytest.raises(CatalogUnavailable) as raised, spark_errors(Endpoint("spark", 15002, name="big"), "lake.a.b"):
        raise SparkConnectGrpcException("(org.apache.iceberg.jdbc.UncheckedSQLException) Failed to connect")

    assert raised.value.hint.endswith("Look at it: autoloader clusters test big")


@pytest.mark.parametrize(
    "said",
    [
        "[REQUIRES_SINGLE_PART_NAMESPACE] spark_catalog requires a single-part namespace, but got `far`.`shop`.",
        "[REQUIRES_SINGLE_PART_NAMESPACE] a single-part namespace, but got identifier `far`.`s`.",
        "[CATALOG_NOT_FOUND] The catalog `far` not found.",
    ],
)
def test_a_catalog_that_the_cluster_lacks_is_named_with_its_setting(said):
    with pytest.raises(CatalogError) as raised, spark_errors(WHERE, "far.shop.orders"):
        raise SparkConnectGrpcException(said)

    assert raised.value.message == f"There is no catalog 'far' on the cluster at {WHERE}."
    assert "spark.sql.catalog.far" in raised.value.hint


def test_the_next_step_names_the_cluster_where_it_is_known():
    big = Endpoint("spark", 15002, name="big")
    with pytest.raises(SparkUnavailable) as away, spark_errors(big):
        raise SparkConnectGrpcException(rpc("UNAVAILABLE", "failed to connect"))
    with pytest.raises(SparkRefused) as refused, spark_errors(big):
        raise SparkConnectGrpcException(rpc("UNAUTHENTICATED", "no"))

    assert away.value.hint.endswith(": autoloader clusters test big")
    assert refused.value.hint.endswith(": autoloader clusters add big sc://spark:15002 --replace --secret token")


def test_of_a_failed_job_the_tasks_own_words_are_told():
    job = (
        "(org.apache.spark.SparkException) Job aborted due to stage failure: Task 0 in stage 183.0 failed 1 times, most"
        " recent failure: Lost task 0.0 in stage 183.0 (TID 188) (10.0.0.2 executor driver):"
        " org.apache.spark.SparkException: Encountered error while reading file file:/data/a.gz. Details:\n\tat a.b"
        "\nCaused by: java.io.IOException: incorrect header check\n\tat c.d(E:2)\n"
    )
    with pytest.raises(SparkJobFailed) as raised, spark_errors(WHERE):
        raise SparkConnectGrpcException(job)

    assert raised.value.message == (
        f"Spark at {WHERE} could not do it: Encountered error while reading file file:/data/a.gz:"
        " java.io.IOException: incorrect header check."
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("java.io.EOFException: Unexpected end of input stream", True),
        ("java.io.IOException: gzip stream CRC failure", True),
        ("java.io.IOException: stored gzip size doesn't match decompressed size", True),
        ("java.io.IOException: No space left on device", False),
    ],
)
def test_what_hadoop_says_of_a_broken_gz_is_told_as_what_it_means(said, told):
    job = (
        "(org.apache.spark.SparkException) Job aborted due to stage failure: Task 0 in stage 1.0 failed 1 times, most"
        f" recent failure: Lost task 0.0 in stage 1.0 (TID 1) (10.0.0.2 executor driver): {said}\n\tat a.b"
    )
    with pytest.raises(SparkJobFailed) as raised, spark_errors(WHERE):
        raise SparkConnectGrpcException(job)

    meaning = " (a packed file is not a whole gzip file)" if told else ""
    assert raised.value.message == f"Spark at {WHERE} could not do it: {said}{meaning}."


def test_a_trace_of_the_server_is_left_out():
    with pytest.raises(SparkError) as raised, spark_errors(WHERE, "x"):
        raise SparkConnectGrpcException("[BOOM] It broke.\n\nJVM stacktrace:\njava.io.FileNotFoundException: y")

    assert str(raised.value) == f"Spark at {WHERE} could not do it (x): [BOOM] It broke. Its own log says more."


def test_a_secret_that_a_server_repeats_is_hidden():
    register_secret(CANARY)

    with pytest.raises(SparkUnavailable) as raised, spark_errors(WHERE):
        raise SparkConnectGrpcException(rpc("UNAVAILABLE", f"not with {CANARY}"))

    assert CANARY not in str(raised.value)


def test_a_library_that_is_not_there_says_how_to_install_it():
    told = r"\(pyspark\)\. Install it: pip install 'iomete-autoloader\[spark\]'"
    with pytest.raises(SparkRefused, match=told), spark_errors(WHERE):
        raise ModuleNotFoundError(name="pyspark")


def test_a_fault_of_the_program_stays_one():
    with pytest.raises(KeyError), spark_errors(WHERE):
        raise KeyError("x")
