from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.services.arrival_messages import Notice, read


def s3(key="a%2Bb+c.json", name="ObjectCreated:Put"):
    return {"Records": [{"eventName": name, "s3": {"bucket": {"name": "shop"}, "object": {"key": key}}}]}


def blob(kind="Microsoft.Storage.BlobCreated", field="eventType"):
    return {field: kind, "data": {"url": "https://acc.blob.core.windows.net/box/a%20b/c.csv"}}


OBJECT = {"bucket": "shop", "name": "a/b.json"}
PUBSUB_ATTRIBUTES = {"eventType": "OBJECT_FINALIZE", "bucketId": "shop", "objectId": "a/b.json"}
MESSAGES = [
    (s3(), "s3", ("s3://shop/a+b c.json",)),
    (s3(name="s3:ObjectCreated:CompleteMultipartUpload"), "s3", ("s3://shop/a+b c.json",)),
    (s3(name="ObjectRemoved:Delete"), "s3", ()),
    ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "shop"}, "s3", ()),
    ({"Type": "Notification", "TopicArn": "arn", "Message": json.dumps(s3())}, "sns", ("s3://shop/a+b c.json",)),
    ({"Type": "UnsubscribeConfirmation", "TopicArn": "arn"}, "sns", ()),
    (
        {
            "source": "aws.s3",
            "detail-type": "Object Created",
            "detail": {"bucket": {"name": "shop"}, "object": {"key": "a+b"}},
        },
        "eventbridge",
        ("s3://shop/a+b",),
    ),
    (
        {
            "source": "aws.s3",
            "detail-type": "Object Deleted",
            "detail": {"bucket": {"name": "shop"}, "object": {"key": "a"}},
        },
        "eventbridge",
        (),
    ),
    ([blob()], "eventgrid", ("az://box/a b/c.csv",)),
    ([blob("Microsoft.Storage.BlobDeleted")], "eventgrid", ()),
    ({"specversion": "1.0", **blob(field="type")}, "eventgrid", ("az://box/a b/c.csv",)),
    ({"message": {"attributes": PUBSUB_ATTRIBUTES, "data": "", "messageId": "1"}}, "pubsub", ("gs://shop/a/b.json",)),
    ({"message": {"attributes": {**PUBSUB_ATTRIBUTES, "eventType": "OBJECT_DELETE"}}}, "pubsub", ()),
    (
        {"message": {"data": base64.b64encode(json.dumps(OBJECT).encode()).decode()}},
        "pubsub",
        ("gs://shop/a/b.json",),
    ),
]


@pytest.mark.parametrize(("message", "sender", "objects"), MESSAGES)
def test_the_message_of_each_store_is_understood(message, sender, objects):
    assert read(json.dumps(message).encode()) == Notice(sender, objects)


@pytest.mark.parametrize("body", [b"", b"{}", b" {} "])
def test_an_empty_message_says_that_something_came(body):
    assert read(body) == Notice("plain", plain=True)


def test_a_message_too_deep_to_be_read_is_refused_also_inside_another_one():
    deep = "[" * 100_000
    for body in (deep, json.dumps({"Type": "Notification", "TopicArn": "t", "Message": deep})):
        with pytest.raises(InvalidInput):
            read(body.encode())


def test_the_handshakes_are_told_apart():
    validation = [{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "c"}}]
    assert read(json.dumps(validation).encode()).validation_code == "c"
    subscription = {"Type": "SubscriptionConfirmation", "TopicArn": "arn", "SubscribeURL": "https://x"}
    assert read(json.dumps(subscription).encode()).subscription == "arn"


def test_of_a_message_with_very_many_objects_the_first_thousand_are_kept():
    message = {"Records": [s3(f"{number}")["Records"][0] for number in range(1200)]}
    assert len(read(json.dumps(message).encode()).objects) == 1000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["Records", "Type", "TopicArn", "Message", "message", "source", "specversion", "data", "eventType"]
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(JSON | st.dictionaries(NAMES, JSON) | st.lists(st.dictionaries(NAMES, JSON)))
def test_whatever_comes_is_understood_or_refused(message):
    with suppress(InvalidInput):
        assert isinstance(read(json.dumps(message).encode()), Notice)
