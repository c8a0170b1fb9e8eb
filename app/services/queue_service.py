"""SQS queues that tell of new objects: each message becomes a stored wish for a run, and only then it is deleted.

At least once: who dies between the two leaves the message in the queue, and the second wish joins the first. A message
that no store sends is told of and left: the queue's redrive policy moves it to where people look for such ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app import failpoints
from app.config import Settings
from app.database import Database
from app.errors import AutoloaderError, InvalidInput, NotFound, QueueRefused, SecretUnreadable
from app.log import get_logger
from app.queues import Message, SqsQueue
from app.repositories import polling
from app.repositories.polling import Queued
from app.services import arrival_messages
from app.services.arrival_messages import Notice
from app.services.connection_service import ConnectionService
from app.services.trigger_service import TriggerService
from app.values import Trigger

log = get_logger(__name__)

WAIT_SECONDS = 10  # for a first message; a process that stops waits no longer than that
_MOST_ANSWERS = 100  # of one queue in one pass: the others have their turn
_FAILED_SECONDS = 60.0  # before a queue that refused us is asked again, unless its ingestions change
_REMEMBERED = 10_000  # messages and queues that were told of
_SHOWN = 20

_Who = tuple[str, str | None]  # tenant and connection
_REFUSALS = (QueueRefused, NotFound, InvalidInput, SecretUnreadable)


@dataclass(frozen=True, slots=True)
class QueueFailure:
    """A queue that could not be read."""

    queue: str
    reason: str


@dataclass(slots=True)
class QueueReport:
    """What one pass met. `unknown` messages stay in their queue, all others were deleted; `elsewhere` are known ones
    with objects below no ingestion's source; `triggered` ingestions have a wish more.
    """

    queues: int = 0
    messages: int = 0
    unknown: int = 0
    elsewhere: int = 0
    triggered: set[UUID] = field(default_factory=set)
    failures: list[QueueFailure] = field(default_factory=list)

    def add(self, other: QueueReport) -> None:
        self.queues += other.queues
        self.messages += other.messages
        self.unknown += other.unknown
        self.elsewhere += other.elsewhere
        self.triggered |= other.triggered
        self.failures += other.failures


class QueueService:
    """One object for many passes: it keeps its clients, and remembers what it has told.

    Any number of processes may read the same queues.
    """

    def __init__(self, database: Database, settings: Settings, requests: TriggerService) -> None:
        self.database = database
        self.settings = settings
        self.triggers = requests
        self._clients: dict[tuple[str, _Who], tuple[Mapping[str, str], SqsQueue]] = {}
        self._resting: dict[str, tuple[float, list[Queued]]] = {}
        self._told: set[str] = set()

    def run_pass(self, wait_seconds: int = WAIT_SECONDS) -> QueueReport:
        """Read every queue of an ingestion that is neither paused nor deleted, several at once, and wait for messages.

        A queue that cannot be read is told of and asked again later. Raises DatabaseUnavailable.
        """
        with self.database.read_scope() as session:
            groups = _by_queue(polling.queued(session))
        self._forget(groups)
        due = {url: group for url, group in groups.items() if not self._rests(url, group)}
        report = QueueReport()
        if not due:
            return report
        at_once = min(len(due), self.settings.queue_concurrency)
        wait = wait_seconds // math.ceil(len(due) / at_once)  # each has its turn within that time
        with ThreadPoolExecutor(at_once, "queue") as pool:
            for one in pool.map(lambda url: self._read(url, due[url], wait), due):
                report.add(one)
        return report

    def close(self) -> None:
        for _, queue in self._clients.values():
            queue.close()
        self._clients.clear()

    # --- one queue ---------------------------------------------------------------------------

    def _read(self, url: str, group: Sequence[Queued], wait_seconds: int) -> QueueReport:
        report = QueueReport(queues=1)
        try:
            self._with_credentials(url, group, wait_seconds, report)
        except AutoloaderError as error:
            report.failures.append(QueueFailure(url, str(error)))
            self._resting[url] = (time.monotonic() + _FAILED_SECONDS, list(group))
            self._tell(f"{url} {error}", "a queue could not be read", queue=url, error=str(error))
        return report

    def _with_credentials(self, url: str, group: Sequence[Queued], wait_seconds: int, report: QueueReport) -> None:
        """With the first credentials of those who share it that it takes. Raises the first refusal if it takes none."""
        refusals: list[AutoloaderError] = []
        for who in dict.fromkeys(map(_who, group)):
            try:
                self._empty(self._client(url, who), group, wait_seconds, report)
            except _REFUSALS as error:
                refusals.append(error)
            else:
                return
        raise refusals[0]

    def _client(self, url: str, who: _Who) -> SqsQueue:
        tenant_id, connection = who
        service = ConnectionService(self.database, self.settings, tenant_id=tenant_id)
        options = service.options(connection, ("s3",)) if connection is not None else {}
        known = self._clients.get((url, who))
        if known is not None and known[0] == options:
            return known[1]
        made = SqsQueue(url, options, timeout_seconds=self.settings.request_timeout_seconds, wait_seconds=WAIT_SECONDS)
        self._clients[url, who] = (options, made)
        if known is not None:
            known[1].close()
        return made

    def _empty(self, queue: SqsQueue, group: Sequence[Queued], wait_seconds: int, report: QueueReport) -> None:
        for _ in range(_MOST_ANSWERS):
            messages = queue.receive(wait_seconds)
            if not messages:
                return
            known = self._stored(queue.url, group, messages, report)
            failpoints.hit("queue-stored")
            queue.delete(known)
            wait_seconds = 0

    def _stored(
        self, url: str, group: Sequence[Queued], messages: Sequence[Message], report: QueueReport
    ) -> list[Message]:
        """Store the wishes of these messages; answers those that may be deleted."""
        notices = [(message, self._notice(url, message)) for message in messages]
        known = [(message, notice) for message, notice in notices if notice is not None]
        met: set[str] = set()
        for ingestion in group:
            found = {message.id: _below(ingestion, notice) for message, notice in known}
            hits = {one: objects for one, objects in found.items() if objects is not None}
            if hits and self._wish(ingestion, url, known[0][1].sender, hits):
                report.triggered.add(ingestion.id)
            met |= hits.keys()
        elsewhere = [notice.objects[0] for message, notice in known if notice.objects and message.id not in met]
        if elsewhere:
            self._tell(url, "events of a queue are of no ingestion's source", queue=url, for_example=elsewhere[0])
        report.messages += len(messages)
        report.unknown += len(messages) - len(known)
        report.elsewhere += len(elsewhere)
        return [message for message, _ in known]

    def _wish(self, ingestion: Queued, url: str, sender: str, hits: Mapping[str, Sequence[str]]) -> bool:
        objects = [one for some in hits.values() for one in some]
        payload = {"sender": sender, "queue": url, "count": len(objects), "objects": objects[:_SHOWN]}
        try:
            self.triggers.request(ingestion.id, Trigger.ARRIVAL, payload, quiet_seconds=ingestion.quiet_seconds)
        except NotFound:  # it was deleted meanwhile
            return False
        return True

    def _notice(self, url: str, message: Message) -> Notice | None:
        """None for what is none of ours to take: it stays, and comes again, until the queue's own policy moves it."""
        try:
            notice = arrival_messages.read(message.body)
        except InvalidInput as error:
            self._tell(message.id, "a message is left in its queue", queue=url, message=message.id, error=str(error))
            return None
        if notice.subscription is not None or notice.validation_code is not None:
            why = f"The topic {notice.subscription} waits to be confirmed, by the address in the message."
            self._tell(message.id, "a message is left in its queue", queue=url, message=message.id, error=why)
            return None
        return notice

    # --- what is remembered ------------------------------------------------------------------

    def _rests(self, url: str, group: list[Queued]) -> bool:
        until, refused = self._resting.get(url, (0.0, []))
        return time.monotonic() < until and refused == group

    def _forget(self, groups: Mapping[str, Any]) -> None:
        for key in [key for key in self._clients if key[0] not in groups]:
            self._clients.pop(key)[1].close()
        self._resting = {url: rest for url, rest in self._resting.items() if url in groups}
        if len(self._told) > _REMEMBERED:
            self._told.clear()

    def _tell(self, what: str, sentence: str, **about: str) -> None:
        """Once; the same message and the same refusal come again and again."""
        if what not in self._told:
            self._told.add(what)
            log.warning(sentence, **about)


def _by_queue(found: Iterable[Queued]) -> dict[str, list[Queued]]:
    groups: dict[str, list[Queued]] = {}
    for one in found:
        groups.setdefault(one.queue, []).append(one)
    return groups


def _who(ingestion: Queued) -> _Who:
    """Its queue's connection, else its bucket's, else the machine's own credentials."""
    bucket = ingestion.source_connection if ingestion.source_url.startswith("s3://") else None
    return ingestion.tenant_id, ingestion.queue_connection or bucket


def _below(ingestion: Queued, notice: Notice) -> list[str] | None:
    """The objects that count for it; None when the message is none of its business."""
    inside = arrival_messages.below(notice.objects, ingestion.source_url)
    return inside if inside or notice.plain else None
