"""One session on a cluster: SQL in, rows out; its settings, its tags, and its end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from app.errors import AutoloaderError, SparkError, SparkSessionLost, SparkUnavailable
from app.spark.endpoint import Endpoint
from app.spark.faults import VIEW, spark_errors, translated
from app.spark.files import FileAccess
from app.spark.hints import NEXT, hint_for
from app.spark.sql import identifier

if TYPE_CHECKING:
    import pyarrow as pa

    from app.spark.client import ConnectSession, Deadlines

CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0  # for the first answer: a server that has just started is slow
_CALL_SECONDS = 60.0
_PATIENCE_SECONDS = 5.0  # for an operation that was interrupted to end
_ANALYZE_SECONDS = 900.0  # a question may list 100,000 files
# What our SQL text rests on, whatever the server's defaults are.
_OURS = {
    "spark.sql.parser.escapedStringLiterals": "false",  # app.spark.sql writes escapes
    "spark.sql.variable.substitute": "false",  # a name may hold ${…}
    "spark.sql.session.timeZone": "UTC",
}

# A server, or a cluster's options, may have it: Iceberg would read and write a branch then instead of main.
_BRANCH = "spark.wap.branch"


class Session:
    """A session of the server's, and the only one that this process uses at a time.

    `id`, `user` and a tag are what another process needs to interrupt its operations. `files` is how it reads a source.
    All methods raise as `spark_errors` says.
    """

    def __init__(self, endpoint: Endpoint, spark: ConnectSession) -> None:
        self.endpoint = endpoint
        self.spark = spark
        self.guard = f"{VIEW}{uuid4().hex}"
        self.files = FileAccess()
        self._before: dict[str, str | None] = {}  # what `set` replaced

    @property
    def id(self) -> str:
        return str(self.spark.session_id)

    @property
    def user(self) -> str:
        return self.endpoint.user

    def rename(self, name: str) -> None:
        """What the server shows beside its operations."""
        self.spark.operator.name = name

    def rows(self, statement: str, what: str = "") -> list[Any]:
        """What the statement answers; all of it in memory, so for small answers."""
        with spark_errors(self.endpoint, what):
            return list(self.spark.sql(statement).collect())

    def arrow(self, frame: Any) -> pa.Table:
        """What a DataFrame holds, moments with their zone; all of it in memory."""
        with spark_errors(self.endpoint):
            client = self.spark.client
            answer, _ = client.to_table(frame._plan.to_proto(client))  # noqa: SLF001 - `collect` loses zones
            return answer

    @property
    def version(self) -> str:
        """Of Spark, on the server."""
        with spark_errors(self.endpoint):
            return str(self.spark.version)

    def setting(self, name: str) -> str | None:
        """What the session has for it; None where nobody has set it."""
        with spark_errors(self.endpoint):
            found = self.spark.conf.get(name, None)
        return None if found is None else str(found)

    def set(self, settings: Mapping[str, str]) -> None:
        """Settings of this session; `reset` takes them back."""
        with spark_errors(self.endpoint):
            for name, value in settings.items():
                if name not in self._before:
                    self._before[name] = self.spark.conf.get(name, None)
                self.spark.conf.set(name, value)

    def unset(self, *names: str) -> None:
        """As if nobody had set them; `reset` brings back what they were before the first `set`."""
        with spark_errors(self.endpoint):
            for name in names:
                self.spark.conf.unset(name)

    def reset(self, *names: str) -> None:
        """Every setting as it was before the first `set`; or only these, of which some may never have been set."""
        with spark_errors(self.endpoint):
            for name in [name for name in self._before if not names or name in names]:
                before = self._before[name]
                # Not `unset` for all of them: it leads to Spark's own default, past what the server was started with.
                if before is None:
                    self.spark.conf.unset(name)
                else:
                    self.spark.conf.set(name, before)
                del self._before[name]

    @contextmanager
    def tagged(self, *tags: str) -> Iterator[None]:
        """Operations that this thread starts in the block can be interrupted by each of the tags."""
        for tag in tags:
            self.spark.addTag(tag)
        try:
            yield
        finally:
            for tag in tags:
                self.spark.removeTag(tag)

    def interrupt(self, tag: str) -> list[str]:
        """End the operations with the tag; answers their ids. One that is about to commit may still commit."""
        with spark_errors(self.endpoint):
            return list(self.spark.interruptTag(tag))

    def answers(self, seconds: float) -> bool:
        """Whether the server says anything within so many seconds, over this connection. Asked once; never raises."""
        from app.spark.client import answers

        return answers(self.spark, seconds)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Operations that this thread starts in the block are ended after so many seconds: SparkUnavailable. A server
        that does not do that is left.
        """
        tag, over, done = f"within-{uuid4().hex}", threading.Event(), threading.Event()

        def end() -> None:
            over.set()
            with suppress(AutoloaderError):
                self.interrupt(tag)
            if not done.wait(_PATIENCE_SECONDS):
                self.close()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            with self.tagged(tag):
                yield
        except SparkError as error:
            if not over.is_set():
                raise
            raise SparkUnavailable(
                f"{self.endpoint} did not come to an end within {seconds:g} s, and was interrupted.",
                hint="Is the cluster busy, or a service that it needs away? Its own log says more.",
            ) from error
        finally:
            done.set()
            timer.cancel()

    # --- a server that was started anew ------------------------------------------------------

    def arm(self) -> None:
        """Make the view `guard`: one row, one column `alive`, and only this very session has it.

        A server that was started anew goes on with a session's id as if nothing had been, but without its settings:
        a write that counts on `spark.wap.id` would go to main. If it reads `guard` too, it fails there instead.
        """
        self.rows(f"CREATE OR REPLACE TEMPORARY VIEW {identifier(self.guard)} AS SELECT 1 AS alive")

    def require(self) -> None:
        """Raises SparkSessionLost unless the server still knows what `arm` made."""
        try:
            self.rows(f"SELECT alive FROM {identifier(self.guard)}")
        except SparkUnavailable:
            raise
        except AutoloaderError as error:
            raise SparkSessionLost(
                f"{self.endpoint} has forgotten the session: the server was started anew.",
                hint="It is made anew by itself.",
            ) from error

    def close(self) -> None:
        """The connection; the server forgets an idle session by itself, after an hour unless set otherwise."""
        self.spark.client.close()


def connect(
    endpoint: Endpoint,
    name: str = "",
    *,
    session_id: str | None = None,
    connect_seconds: float = CONNECT_SECONDS,
    answer_seconds: float = _ANSWER_SECONDS,
) -> Session:
    """A session on the server, which has answered. With `session_id` it is the one of that id, also another process's.

    Raises SparkUnavailable after `connect_seconds` without a gRPC server, or `answer_seconds` without its answer;
    SparkRefused when the token is wrong, no Spark answers, or the client's library is not installed.
    """
    _quiet()
    with spark_errors(endpoint):
        from app.spark.client import Builder, ConnectSession, Deadlines

        deadlines = Deadlines(answer_seconds, answer_seconds)
        spark = ConnectSession(Builder(endpoint, session_id, name, deadlines))
    try:
        _answered(endpoint, spark, deadlines, connect_seconds)
        session = Session(endpoint, spark)
        if session_id is None:
            _prepare(session)
    except BaseException:
        spark.client.close()
        raise
    deadlines.plain, deadlines.analyze = _CALL_SECONDS, _ANALYZE_SECONDS
    return session


def interrupt(endpoint: Endpoint, session_id: str, user: str, tag: str) -> list[str]:
    """End operations of another process's session by their tag; answers their ids, none where none runs.

    `user` is the one the session was opened as. Raises as `connect` does.
    """
    session = connect(replace(endpoint, user=user), "interrupt", session_id=session_id)
    try:
        return session.interrupt(tag)
    finally:
        session.close()


def _quiet() -> None:
    """Settings that gRPC reads with its first call: no lines of its own on standard error; and what it does before a
    fork can wait for ever, while the children we start are other programs.
    """
    os.putenv("GRPC_VERBOSITY", "NONE")
    os.putenv("GRPC_ENABLE_FORK_SUPPORT", "false")


def _answered(endpoint: Endpoint, spark: ConnectSession, deadlines: Deadlines, seconds: float) -> None:
    from app.spark.client import ready

    if not ready(spark, seconds):
        raise _why(endpoint, spark, deadlines)
    with spark_errors(endpoint):
        assert spark.version  # noqa: S101 - the question is the point


def _why(endpoint: Endpoint, spark: ConnectSession, deadlines: Deadlines) -> Exception:
    """A channel that did not become ready does not say why; a call through it does."""
    deadlines.plain = deadlines.analyze = 1.0
    spark.client._retry_policy["max_retries"] = 0  # noqa: SLF001 - it takes no policy for one call
    try:
        spark.client._analyze(method="spark_version")  # noqa: SLF001 - `version` of it as an attribute
    except Exception as error:  # noqa: BLE001 - translated below
        found = translated(error, endpoint)
        if found is not None and "Deadline" not in found.message:
            return found
    tls = "TLS" if endpoint.tls else "no TLS"
    return SparkUnavailable(
        f"Spark Connect service not reachable at {endpoint}: no answer as Spark Connect gives it (with {tls}).",
        hint=hint_for(endpoint, NEXT),
    )


def _prepare(session: Session) -> None:
    conf = session.spark.conf
    with spark_errors(session.endpoint):
        for name, value in _OURS.items():
            if conf.get(name) != value:  # a newer server warns of who sets what it means to remove
                conf.set(name, value)
        if session.endpoint.catalog:
            # Spark keeps tables for 30 s; what decides must be read fresh. A session opens catalogs by its settings.
            conf.set(f"spark.sql.catalog.{session.endpoint.catalog}.cache-enabled", "false")
        for name, value in session.endpoint.conf:
            conf.set(name, value)
        if conf.get(_BRANCH, None) is not None:
            conf.unset(_BRANCH)
    with session.within(_ANSWER_SECONDS):
        session.arm()
