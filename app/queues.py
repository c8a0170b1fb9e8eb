"""Event queues (SQS): messages taken and deleted, and their faults in our words. The only home of their clients.

The client's library is an extra, `iomete-autoloader[sqs]`, and imported with the first queue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.errors import AutoloaderError, QueueError, QueueRefused, QueueUnavailable

MOST = 10  # messages in one answer, and in one deletion: SQS takes no more
_REGION = re.compile(r"^(?:sqs(?:-fips)?\.([a-z0-9-]+)\.amazonaws|([a-z0-9-]+)\.queue\.amazonaws)")
_BUSY = re.compile(r"throttl|toomany|requestlimit|overlimit|internal|unavailable|timeout", re.IGNORECASE)
_SERVER_FAULT = 500


@dataclass(frozen=True, slots=True)
class Message:
    """One message, hidden from others until it is deleted or its queue's visibility timeout has passed."""

    id: str
    body: bytes
    receipt: str


class SqsQueue:
    """One queue, with the options of an `s3` connection; none of them: the machine's own credentials.

    Raises QueueUnavailable (the same again may help) and QueueRefused (it will not), and nothing else.
    """

    def __init__(self, url: str, options: Mapping[str, str], *, timeout_seconds: float, wait_seconds: int) -> None:
        self.url = url
        with _queue_errors(url):
            self._client = _new_client(url, options, timeout_seconds, wait_seconds)

    def receive(self, wait_seconds: int) -> list[Message]:
        """Up to `MOST` messages; waits for the first one for so long."""
        with _queue_errors(self.url):
            answer = self._client.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=MOST, WaitTimeSeconds=wait_seconds
            )
        return [
            Message(str(one["MessageId"]), str(one["Body"]).encode(), str(one["ReceiptHandle"]))
            for one in answer.get("Messages", ())
        ]

    def delete(self, messages: Sequence[Message]) -> None:
        """They are gone for good. One that could not be deleted comes again."""
        for at in range(0, len(messages), MOST):
            some = messages[at : at + MOST]
            entries = [{"Id": str(place), "ReceiptHandle": one.receipt} for place, one in enumerate(some)]
            with _queue_errors(self.url):
                self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)

    def close(self) -> None:
        self._client.close()


def _new_client(url: str, options: Mapping[str, str], timeout_seconds: float, wait_seconds: int) -> Any:
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    parts = urlsplit(url)
    config: dict[str, Any] = {
        "connect_timeout": timeout_seconds,
        "read_timeout": timeout_seconds + wait_seconds,
        "retries": {"total_max_attempts": 2, "mode": "standard"},
    }
    if options.get("proxy_url"):
        config["proxies"] = {"http": options["proxy_url"], "https": options["proxy_url"]}
    if _is_true(options.get("skip_signature")):
        config["signature_version"] = UNSIGNED
    return botocore.session.get_session().create_client(
        "sqs",
        region_name=region_of(url) or options.get("region"),
        endpoint_url=f"{parts.scheme}://{parts.netloc}",
        aws_access_key_id=options.get("access_key_id"),
        aws_secret_access_key=options.get("secret_access_key"),
        aws_session_token=options.get("session_token"),
        verify=False if _is_true(options.get("allow_invalid_certificates")) else options.get("ca_file"),
        config=Config(**config),
    )


def region_of(url: str) -> str | None:
    """The region that Amazon's addresses name; None for others."""
    found = _REGION.match(urlsplit(url).hostname or "")
    return (found.group(1) or found.group(2)) if found else None


def _is_true(value: str | None) -> bool:
    return (value or "").strip().lower() in {"true", "yes", "on", "1"}


@contextmanager
def _queue_errors(url: str) -> Iterator[None]:
    """Whatever the client raises comes out as a QueueError."""
    try:
        yield
    except AutoloaderError:
        raise
    except ImportError as exc:
        raise QueueRefused(
            "SQS queues need a library that is not installed.", hint="Install it: pip install 'iomete-autoloader[sqs]'"
        ) from exc
    except Exception as exc:
        raise _translated(url, exc) from exc


def _translated(url: str, error: Exception) -> Exception:
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        return _of_answer(url, error.response)
    if isinstance(error, exceptions.NoRegionError):
        return QueueRefused(
            f"The region of the queue {url} is not known.",
            hint="Give its connection the option region, or set AWS_DEFAULT_REGION.",
        )
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return QueueRefused(
            f"There are no credentials for the queue {url}.",
            hint="Name a connection in arrival.queue_connection, or give the process AWS credentials.",
        )
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return QueueUnavailable(f"The queue {url} does not answer ({error}).", hint="It is asked again by itself.")
    if isinstance(error, exceptions.BotoCoreError | ValueError):
        return QueueRefused(f"The queue {url} cannot be asked ({error}).", hint="Look at arrival.queue.")
    return error


def _of_answer(url: str, answer: Mapping[str, Any]) -> QueueError:
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status >= _SERVER_FAULT or _BUSY.search(code):
        return QueueUnavailable(f"The queue {url} cannot answer now ({code}).", hint="It is asked again by itself.")
    if "NonExistentQueue" in code or "QueueDoesNotExist" in code:
        return QueueRefused(f"There is no queue {url}.", hint="Look at arrival.queue, and at the region in it.")
    return QueueRefused(
        f"The queue {url} does not let us ({code}).",
        hint="The credentials need sqs:ReceiveMessage and sqs:DeleteMessage: arrival.queue_connection.",
    )
