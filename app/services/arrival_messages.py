"""What stores say when an object arrives → its address. Pure; a message is a hint, the listing stays the truth.

S3 (direct, by SNS, by EventBridge), Event Grid (its own form and CloudEvents), Pub/Sub push; and `{}`: something came.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

from app.errors import InvalidInput

_MOST = 1_000  # addresses kept of one message
_HINT = "Send what S3, SNS, EventBridge, Event Grid or Pub/Sub send, or {} for: look now."
_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
_BLOB_CREATED = {"Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobRenamed"}
_PUBSUB_CREATED = {"OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE"}


@dataclass(frozen=True, slots=True)
class Notice:
    """One message. `objects` arrived; `plain` says that something came, without saying what.

    `validation_code` is to be echoed to Event Grid; `subscription` is an SNS topic that waits to be confirmed.
    """

    sender: str
    objects: tuple[str, ...] = ()
    plain: bool = False
    validation_code: str | None = None
    subscription: str | None = None


def read(body: bytes) -> Notice:
    """The message. Raises InvalidInput for what nobody sends."""
    try:
        message = json.loads(body or b"{}")
    except (ValueError, RecursionError) as exc:
        raise InvalidInput("The message is not JSON.", hint=_HINT) from exc
    try:
        return _notice(message)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as exc:
        raise InvalidInput("The message has the form of an event, but lacks what one has.", hint=_HINT) from exc


def below(objects: Iterable[str], base: str) -> list[str]:
    """Those that are the source at the canonical address `base`, or lie below it."""
    return [one for one in objects if one == base or one.startswith(base.rstrip("/") + "/")]


def _notice(message: Any) -> Notice:
    if isinstance(message, list) or (isinstance(message, Mapping) and "specversion" in message):
        return _event_grid(message if isinstance(message, list) else [message])
    if not isinstance(message, Mapping):
        raise InvalidInput("The message is no event.", hint=_HINT)
    if not message:
        return Notice("plain", plain=True)
    if "Records" in message or message.get("Event") == "s3:TestEvent":
        return Notice("s3", _some(_s3(message.get("Records", ()))))
    if message.get("source") == "aws.s3":
        created = message["detail-type"] == "Object Created"
        detail = message["detail"]
        found = [f"s3://{detail['bucket']['name']}/{detail['object']['key']}"] if created else []
        return Notice("eventbridge", _some(iter(found)))
    if "Type" in message and "TopicArn" in message:
        return _sns(message)
    if isinstance(message.get("message"), Mapping):
        return Notice("pubsub", _some(_pubsub(message["message"])))
    raise InvalidInput("The message is no event that is known here.", hint=_HINT)


def _some(found: Iterator[str]) -> tuple[str, ...]:
    return tuple(address for address, _ in zip(found, range(_MOST), strict=False) if "\x00" not in address)


def _s3(records: Any) -> Iterator[str]:
    for record in records:
        if str(record["eventName"]).removeprefix("s3:").startswith("ObjectCreated"):
            yield f"s3://{record['s3']['bucket']['name']}/{unquote_plus(record['s3']['object']['key'])}"


def _sns(message: Mapping[str, Any]) -> Notice:
    if message["Type"] == "SubscriptionConfirmation":
        return Notice("sns", subscription=str(message["TopicArn"]))
    if message["Type"] != "Notification":
        return Notice("sns")
    inner = _notice(json.loads(message["Message"]))
    return Notice("sns", inner.objects, inner.plain)


def _event_grid(events: list[Any]) -> Notice:
    objects: list[str] = []
    for event in events:
        kind = event.get("eventType") or event.get("type")
        if kind == _VALIDATION:
            return Notice("eventgrid", validation_code=str(event["data"]["validationCode"]))
        if kind in _BLOB_CREATED:
            address = urlsplit(event["data"].get("url") or event["data"]["destinationUrl"])
            objects.append(f"az://{unquote(address.path).lstrip('/')}")
    return Notice("eventgrid", _some(iter(objects)))


def _pubsub(message: Mapping[str, Any]) -> Iterator[str]:
    attributes = message.get("attributes") or {}
    if "bucketId" in attributes:
        if attributes.get("eventType", "OBJECT_FINALIZE") in _PUBSUB_CREATED:
            yield f"gs://{attributes['bucketId']}/{attributes['objectId']}"
        return
    try:
        data = json.loads(base64.b64decode(message["data"], validate=True))
    except binascii.Error as exc:
        raise ValueError from exc
    yield f"gs://{data['bucket']}/{data['name']}"
