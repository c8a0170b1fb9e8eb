"""Queues that tell of new objects: a message becomes a stored wish, and only then it is gone; on a real SQS server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.errors import Conflict, DatabaseUnavailable, NotFound, QueueRefused, QueueUnavailable
from app.queues import SqsQueue, region_of
from app.repositories import polling
from app.runtime.loops import Loops
from app.schemas.ingestion import IngestionShape
from app.services.connection_service import ConnectionService
from app.services.prefect_service import PrefectService
from app.services.queue_service import QueueService
from app.services.trigger_service import TriggerService
from app.values import SyncState
from tests.functional.scheduling.product import Product
from tests.services.aws import KEYS


class Place(Product):
    """Ingestions of buckets, and no Prefect: a wish that is stored is all that a queue makes."""

    def __init__(self, database, settings, aws) -> None:
        super().__init__(database, settings, None)
        self.aws = aws
        self.connections = ConnectionService(database, settings)
        self.connections.add("aws", "s3", aws.options)
        self.service = self.new_service()

    def new_service(self) -> QueueService:
        return QueueService(self.database, self.settings, TriggerService(self.database, self.settings, None))

    def reads(self, queue, source, name="orders", *, connection="aws", **fields):
        """An ingestion of that source and queue."""
        shape = {
            "name": name,
            "source": {"url": source, "connection": connection},
            "format": {"type": "jsonl"},
            "destination": {"table": f"demo.{name}"},
            "arrival": {"queue": queue.url, "quiet_seconds": 7, **fields},
        }
        return self.ingestions.create(IngestionShape.model_validate(shape)).id

    def run_pass(self):
        return self.service.run_pass(0)

    def payloads(self, ingestion_id):
        return [(wish.kind, wish.payload) for wish in self.stored(ingestion_id)]


@pytest.fixture
def place(sqlite_database, offline_settings, aws):
    made = Place(sqlite_database, offline_settings, aws)
    yield made
    made.service.close()


def event(address, name="ObjectCreated:Put"):
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return json.dumps({"Records": [{"eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}]})


# --- what stores send ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["s3", "sns", "eventbridge"])
def test_a_new_object_becomes_a_wish_and_its_message_is_gone(place, way):
    bucket, queue = place.aws.bucket(), place.aws.queue()
    ingestion_id = place.reads(queue, f"s3://{bucket}/in/")
    getattr(place.aws, f"tells_by_{way}")(bucket, queue)
    address = place.aws.put(bucket, "in/a b.jsonl")

    reports = [place.run_pass() for _ in range(2)]  # S3 tells first of its own test

    assert [one.failures for one in reports] == [[], []]
    expected = {"sender": "sns" if way == "sns" else way, "queue": queue.url, "count": 1, "objects": [address]}
    assert place.payloads(ingestion_id) == [("arrival", expected)]
    wish = place.stored(ingestion_id)[0]
    assert (wish.due_at - wish.created_at).total_seconds() == 7
    assert queue.left == 0


def test_removals_and_empty_tests_are_taken_and_start_nothing(place):
    bucket, queue = place.aws.bucket(), place.aws.queue()
    ingestion_id = place.reads(queue, f"s3://{bucket}/")
    queue.send(event(f"s3://{bucket}/a", "ObjectRemoved:Delete"), json.dumps({"Event": "s3:TestEvent"}))

    report = place.run_pass()

    assert (report.messages, report.unknown, report.triggered) == (2, 0, set())
    assert (place.stored(ingestion_id), queue.left) == ([], 0)


def test_three_hundred_messages_are_one_wish_in_one_pass(place):
    queue = place.aws.queue()
    ingestion_id = place.reads(queue, "s3://shop/in/")
    sqs = place.aws.client("sqs")
    for ten in range(30):
        entries = [{"Id": str(one), "MessageBody": event(f"s3://shop/in/{ten}-{one}")} for one in range(10)]
        sqs.send_message_batch(QueueUrl=queue.url, Entries=entries)

    assert place.run_pass().messages == 300
    assert (len(place.stored(ingestion_id)), queue.left) == (1, 0)


# --- who shares a queue --------------------------------------------------------------------------


def test_ingestions_that_share_a_queue_get_each_their_own_objects(place):
    queue = place.aws.queue()
    orders = place.reads(queue, "s3://shop/orders/", "orders")
    visits = place.reads(queue, "s3://shop/visits", "visits")
    everything = place.reads(queue, "s3://shop/", "everything")
    queue.send(event("s3://shop/orders/a"), event("s3://shop/visits/b"), event("s3://shop/visits-2/c"))

    report = place.run_pass()

    def objects(ingestion_id):
        return {one for _, payload in place.payloads(ingestion_id) for one in payload["objects"]}

    assert report.triggered == {orders, visits, everything}
    assert objects(orders) == {"s3://shop/orders/a"}
    assert objects(visits) == {"s3://shop/visits/b"}
    assert objects(everything) == {"s3://shop/orders/a", "s3://shop/visits/b", "s3://shop/visits-2/c"}


def test_objects_of_nobody_are_told_of_once_and_do_not_come_again(place, capfd):
    queue = place.aws.queue()
    place.reads(queue, "s3://shop/orders/")
    for _ in range(2):
        queue.send(event("s3://shop/elsewhere/a"))
        assert place.run_pass().elsewhere == 1

    assert queue.left == 0
    assert capfd.readouterr().err.count("events of a queue are of no ingestion's source") == 1


def test_a_queue_whose_ingestions_are_paused_deleted_or_switched_off_is_not_read(place):
    queue = place.aws.queue()
    for name in ("paused", "deleted", "off"):
        place.reads(queue, f"s3://shop/{name}/", name)
    place.ingestions.pause("paused", paused=True)
    place.ingestions.delete("deleted")
    with place.database.session_scope() as session:
        session.merge(place.row(place.ingestions.find("off").id)).prefect_sync = SyncState.OFF.value
    queue.send(event("s3://shop/paused/a"))

    assert place.run_pass().queues == 0
    assert queue.left == 1

    place.ingestions.pause("paused", paused=False)
    assert len(place.run_pass().triggered) == 1


def test_who_is_told_by_a_queue_is_found_on_both_databases_whatever_others_have(database, offline_settings):
    place = Product(database, offline_settings, None)
    for name, arrival in {"told": {"queue": "http://q/1/q"}, "polled": {"poll_seconds": 60}, "none": None}.items():
        place.create(name, arrival=arrival)
    for name, config in {
        "odd": '{"arrival": {"queue": 7}}',
        "list": '{"arrival": ["queue"]}',
        "all": '["queue"]',
        "empty": "{}",
    }.items():
        _set_config(database, place.create(name), config)
    if database.kind == "sqlite":
        _set_config(database, place.create("no-json"), '{"arrival": {"queue"')

    with database.read_scope() as session:
        found = polling.queued(session)

    assert [(one.queue, one.source_url, one.quiet_seconds) for one in found] == [("http://q/1/q", "/data/told", 5.0)]


def _set_config(database, ingestion_id, text):
    value = ingestion_id.hex if database.kind == "sqlite" else str(ingestion_id)
    with database.engine.begin() as raw:
        raw.exec_driver_sql(f"UPDATE ingestions SET config = '{text}' WHERE id = '{value}'")


# --- what is not deleted -------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["hello", '{"order": 7}', '{"Records": [{}]}'])
def test_a_message_that_no_store_sends_is_left_to_the_redrive_of_its_queue(place, until, body, capfd):
    dead = place.aws.queue()
    redrive = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 2})
    queue = place.aws.queue(RedrivePolicy=redrive, VisibilityTimeout="0")
    ingestion_id = place.reads(queue, "s3://shop/in/")
    queue.send(body, event("s3://shop/in/a"))

    until(lambda: place.run_pass() and dead.left == 1)

    assert (len(place.stored(ingestion_id)), queue.left) == (1, 0)
    assert capfd.readouterr().err.count("a message is left in its queue") == 1


def test_a_topic_that_waits_to_be_confirmed_keeps_its_message(place):
    queue = place.aws.queue()
    place.reads(queue, "s3://shop/in/")
    queue.send(json.dumps({"Type": "SubscriptionConfirmation", "TopicArn": "arn:x", "SubscribeURL": "http://x/"}))

    assert (place.run_pass().unknown, queue.left) == (1, 1)


def test_while_the_database_is_away_messages_stay(place, monkeypatch):
    queue = place.aws.queue(VisibilityTimeout="0")
    ingestion_id = place.reads(queue, "s3://shop/in/")
    queue.send(event("s3://shop/in/a"))

    def away(*arguments, **more):
        raise DatabaseUnavailable("It is away.")

    with monkeypatch.context() as patch:
        patch.setattr(TriggerService, "request", away)
        assert [one.reason for one in place.run_pass().failures] == ["It is away."]
    assert queue.left == 1

    place.service.close()
    place.service = place.new_service()
    assert place.run_pass().triggered == {ingestion_id}


@pytest.mark.kill
def test_killed_between_storing_and_deleting_the_message_comes_again_and_joins_its_wish(place, until):
    queue = place.aws.queue(VisibilityTimeout="1")
    ingestion_id = place.reads(queue, "s3://shop/in/")
    queue.send(event("s3://shop/in/a"))
    code = (
        "from app import failpoints; from app.config import Settings; from app.database import Database\n"
        "from app.services.queue_service import QueueService; from app.services.trigger_service import TriggerService\n"
        "settings = Settings(); failpoints.arm('queue-stored=kill'); database = Database(settings.database_address)\n"
        "QueueService(database, settings, TriggerService(database, settings, None)).run_pass(0)\n"
    )
    environment = {
        **os.environ,
        "DATABASE_URL": place.database.url,
        "AUTOLOADER_HOME": str(place.settings.home),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    ended = subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode

    assert ended == -signal.SIGKILL
    assert (len(place.stored(ingestion_id)), queue.left) == (1, 1)
    until(lambda: place.run_pass() and queue.left == 0)
    assert [payload["events"] for _, payload in place.payloads(ingestion_id)] == [2]


# --- what goes wrong -----------------------------------------------------------------------------


def test_a_queue_that_is_not_there_stops_no_other_and_is_not_asked_again_at_once(place, capfd):
    queue, gone = place.aws.queue(), place.aws.queue()
    fine = place.reads(queue, "s3://shop/fine/", "fine")
    place.reads(gone, "s3://shop/gone/", "gone")
    place.aws.client("sqs").delete_queue(QueueUrl=gone.url)
    queue.send(event("s3://shop/fine/a"))

    report = place.run_pass()

    assert report.triggered == {fine}
    assert [one.queue for one in report.failures] == [gone.url]
    assert report.failures[0].reason.startswith(f"There is no queue {gone.url}.")
    assert place.run_pass().queues == 1
    assert capfd.readouterr().err.count("a queue could not be read") == 1


def test_credentials_of_one_who_shares_the_queue_are_enough(place):
    queue = place.aws.queue()
    broken = place.reads(queue, "s3://shop/broken/", "broken")
    fine = place.reads(queue, "s3://shop/fine/", "fine", queue_connection="aws")
    with place.database.session_scope() as session:
        row = session.merge(place.row(broken))
        row.config = {**row.config, "arrival": {**row.config["arrival"], "queue_connection": "gone"}}
    queue.send(event("s3://shop/fine/a"), event("s3://shop/broken/a"))

    assert place.run_pass().triggered == {broken, fine}


def test_a_server_that_does_not_answer_is_unavailable():
    queue = SqsQueue("http://127.0.0.1:9/1/q", {**KEYS, "region": "x"}, timeout_seconds=2, wait_seconds=0)
    with pytest.raises(QueueUnavailable, match="does not answer"):
        queue.receive(0)
    queue.close()


@contextmanager
def refusing():
    """A server that refuses all, and what it was shown."""
    shown = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            shown.append(self.headers.get("Authorization") or "")
            body = b'{"__type": "com.amazonaws.sqs#AccessDeniedException", "message": "no"}'
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/1/q", shown
    server.shutdown()
    server.server_close()
    thread.join()


def test_requests_are_signed_with_the_connection_and_the_refusal_names_the_rights(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-machine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-machine")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-1")
    with refusing() as (url, shown):
        for options in ({**KEYS, "region": "eu-north-1"}, {}):
            queue = SqsQueue(url, options, timeout_seconds=5, wait_seconds=0)
            with pytest.raises(QueueRefused, match="sqs:ReceiveMessage"):
                queue.receive(0)
            queue.close()

    assert "Credential=AKIATEST/" in shown[0]
    assert "/eu-north-1/sqs/" in shown[0]
    assert "Credential=of-the-machine/" in shown[1]
    assert "/us-west-1/sqs/" in shown[1]


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-central-1.amazonaws.com/123456789012/new", "eu-central-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/new.fifo", "cn-north-1"),
        ("https://eu-west-1.queue.amazonaws.com/1/new", "eu-west-1"),
        ("http://127.0.0.1:9324/queue/new", None),
    ],
)
def test_the_region_is_read_from_the_address(url, region):
    assert region_of(url) == region


def test_without_the_library_it_says_what_to_install():
    code = (
        "import sys; sys.modules['botocore'] = sys.modules['botocore.session'] = None\n"
        "from app.queues import SqsQueue\n"
        "try: SqsQueue('https://sqs.x.amazonaws.com/1/q', {}, timeout_seconds=1, wait_seconds=0)\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.startswith("QueueRefused SQS queues need a library")
    assert "pip install 'iomete-autoloader[sqs]'" in printed


# --- its connection ------------------------------------------------------------------------------


def test_a_connection_that_a_queue_needs_is_there_and_stays_there(place):
    queue = place.aws.queue()
    with pytest.raises(NotFound, match="nowhere"):
        place.reads(queue, "s3://shop/a/", queue_connection="nowhere")
    place.connections.add("queues", "s3", place.aws.options)
    place.reads(queue, "s3://shop/a/", queue_connection="queues")

    with pytest.raises(Conflict, match="is used by orders"):
        place.connections.remove("queues")


# --- in the background ---------------------------------------------------------------------------


def test_the_loops_read_queues_until_they_are_stopped(place, until):
    bucket, queue = place.aws.bucket(), place.aws.queue()
    ingestion_id = place.reads(queue, f"s3://{bucket}/")
    away = place.settings.model_copy(update={"prefect_api_url": "http://127.0.0.1:9/api"})
    with PrefectService(away) as prefect:
        loops = Loops(place.database, away, prefect)
        loops.start()
        try:
            place.aws.tells_by_s3(bucket, queue)
            place.aws.put(bucket, "a.jsonl")
            until(lambda: place.stored(ingestion_id) and queue.left == 0)
        finally:
            loops.stop()
