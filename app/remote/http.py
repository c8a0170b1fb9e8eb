"""Calls of a server's REST API: bounded in time, repeated where that is safe, and every failure one clear sentence."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from pydantic import TypeAdapter, ValidationError

from app.errors import (
    AutoloaderError,
    CallInProgress,
    InvalidInput,
    NotAuthenticated,
    NotAutoloader,
    NotFound,
    ServerUnavailable,
    TooBusy,
    VersionMismatch,
)
from app.remote import problems

SHORT, LONG = 30.0, 300.0  # seconds of a call; LONG for those that read a source or a table
_CONNECT_SECONDS = 5.0
_PAUSES = (0.3, 1.0, 3.0)  # before a call is made again
_MOST_BYTES = 256 * 1024 * 1024
_AWAY = "Look whether it runs and whether the address is right; to work on this machine's own ledger: --embedded"
_ADDRESS = "Give the address of `autoloader api`, such as http://127.0.0.1:4280, by --server or AUTOLOADER_SERVER."

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    content: bytes

    def json(self, misfit: Callable[[], AutoloaderError]) -> Any:
        """The document; None where there is none, or it is no JSON. A field that is looked for in vain is a misfit."""
        try:
            return json.loads(self.content, object_pairs_hook=lambda pairs: _Fields(pairs, misfit))
        except (ValueError, RecursionError):
            return None


class _Fields(dict[str, Any]):
    """An object of an answer. Who asks for a field by `[]` needs it: another version does not have it."""

    def __init__(self, pairs: Iterable[tuple[str, Any]], misfit: Callable[[], AutoloaderError]) -> None:
        super().__init__(pairs)
        self._misfit = misfit

    def __missing__(self, key: str) -> Any:
        raise self._misfit()


def checked_url(url: str) -> str:
    """The address without a slash at its end. Raises InvalidInput for what is no address of a server."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known or parts.query or parts.fragment:
        raise InvalidInput(f"{url!r} is not the address of a server.", hint=_ADDRESS)
    if "@" in parts.netloc:
        raise InvalidInput(
            "The address of the server holds a name or a password.",
            hint="Put the server's key into AUTOLOADER_API_KEY.",
        )
    return url.rstrip("/")


class Server:
    """One server. Raises ServerUnavailable, NotAutoloader, VersionMismatch, NotAuthenticated, and what the server
    refuses a call with, as the error that its code names.
    """

    def __init__(self, url: str, key: str) -> None:
        self.url = checked_url(url)
        if not key.isascii() or not key.isprintable():
            raise InvalidInput("AUTOLOADER_API_KEY holds a character that no call can carry.", hint="Set it anew.")
        self._with_key = bool(key)
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            trust_env=not _is_near(self.url),  # a proxy leads elsewhere than to this machine
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    # --- calls -------------------------------------------------------------------------------

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, seconds: float = SHORT) -> Any:
        return self._call("GET", path, params=params, seconds=seconds)

    def post(
        self,
        path: str,
        body: object = None,
        *,
        params: Mapping[str, Any] | None = None,
        once: bool = False,
        safe: bool = False,
        seconds: float = SHORT,
    ) -> Any:
        """`once`: it carries an Idempotency-Key, so that it has one effect however often it is sent. `safe`: sent again
        it does no more than it did.
        """
        headers = {"Idempotency-Key": uuid4().hex} if once else {}
        return self._call("POST", path, body=body, params=params, headers=headers, again=once or safe, seconds=seconds)

    def put(self, path: str, body: object, *, params: Mapping[str, Any] | None = None) -> Any:
        return self._call("PUT", path, body=body, params=params)

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path)

    def items(self, path: str, params: Mapping[str, Any], limit: int | None = None) -> Iterator[Any]:
        """The items of a list, page by page; at most `limit`."""
        left, cursor = limit, None
        while left is None or left > 0:
            size = 200 if left is None else min(left, 200)
            page = self.get(path, {**params, "limit": size, **({"cursor": cursor} if cursor else {})}, seconds=LONG)
            found, cursor = page["items"], page["next_cursor"]
            if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
                raise self._misfit()
            yield from found
            if cursor is None:
                return
            left = left - len(found) if left is not None else None

    def health(self) -> list[dict[str, Any]]:
        """The parts of the server's own readiness, ready or not."""
        found = self._sent("GET", "/health/ready", {}, SHORT).json(self._misfit)
        if not isinstance(found, dict) or not isinstance(found.get("parts"), list):
            raise self._foreign("it says nothing of its health")
        return list(found["parts"])

    def read(self, kind: type[Kind], data: object) -> Kind:
        """The answer as one of the services' own values."""
        try:
            return TypeAdapter(kind).validate_python(data)
        except ValidationError as error:
            raise self._misfit() from error

    # --- one call ----------------------------------------------------------------------------

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool = True,
        seconds: float = SHORT,
    ) -> Any:
        request = {"json": body, "params": {k: v for k, v in (params or {}).items() if v is not None}}
        lost, until = False, time.monotonic() + seconds  # one that took all its time is not made again
        for pause in (*_PAUSES, None):
            try:
                return self._answered(method, path, {**request, "headers": headers or {}}, seconds)
            except (ServerUnavailable, TooBusy, CallInProgress) as error:
                unsent = isinstance(error, TooBusy) or (isinstance(error, ServerUnavailable) and not error.sent)
                if pause is None or time.monotonic() > until or not (again or unsent):
                    raise
                lost = lost or not unsent
                time.sleep(pause)
            except NotFound:
                if method == "DELETE" and lost:  # the first one had its effect, and its answer was lost
                    return None
                raise
        return None

    def _answered(self, method: str, path: str, request: Mapping[str, Any], seconds: float) -> Any:
        answer = self._sent(method, path, request, seconds)
        found = answer.json(self._misfit)
        if answer.status < 300:  # noqa: PLR2004 - success
            if answer.status != httpx.codes.NO_CONTENT and not isinstance(found, dict):
                raise self._foreign(f"its answer to {method} {path} is no JSON")
            return found
        raise self._refusal(answer, found)

    def _refusal(self, answer: _Answer, found: Any) -> AutoloaderError:
        ours = isinstance(found, dict) and isinstance(found.get("code"), str)
        if not ours and answer.status in {502, 503, 504}:
            return ServerUnavailable(f"What stands before the server {self.url} answers {answer.status}.", hint=_AWAY)
        if not ours:
            return self._foreign(f"it answers {answer.status}, and not as one does")
        if found["code"] == NotAuthenticated.code:
            return self._unknown_key()
        if problems.is_of_another_version(found):
            return self._misfit()
        if found["code"] == "database-unavailable":
            return ServerUnavailable(f"{self.url}: {found.get('detail')}", hint=str(found.get("hint", "")))
        return problems.problem_of(found, answer.headers.get("retry-after", ""))

    def _sent(self, method: str, path: str, request: Mapping[str, Any], seconds: float) -> _Answer:
        """The whole answer, in time however slowly it comes."""
        until = time.monotonic() + seconds
        limits = httpx.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds))
        content = bytearray()
        try:
            with self._client.stream(method, self.url + path, timeout=limits, **request) as response:
                for chunk in response.iter_bytes():
                    content += chunk
                    if time.monotonic() > until:
                        raise self._late(seconds)
                    if len(content) > _MOST_BYTES:
                        raise self._foreign("its answer does not end")
            return _Answer(response.status_code, response.headers, bytes(content))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            why = str(error) or type(error).__name__
            raise ServerUnavailable(
                f"The server {self.url} cannot be reached: {why}.", hint=_AWAY, sent=False
            ) from error
        except httpx.TimeoutException as error:
            raise self._late(seconds) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise ServerUnavailable(f"The call of the server {self.url} broke off: {why}.", hint=_AWAY) from error
        except UnicodeEncodeError as error:
            raise InvalidInput(
                "A name that is not UTF-8 cannot be sent to a server.", hint="No ledger can hold it: rename it."
            ) from error

    # --- what else can be wrong --------------------------------------------------------------

    def _late(self, seconds: float) -> ServerUnavailable:
        return ServerUnavailable(
            f"The server {self.url} gave no answer within {seconds:g} s.",
            hint="What was asked for may have been done all the same: look before you ask again.",
        )

    def _unknown_key(self) -> NotAuthenticated:
        what = "does not take the key of AUTOLOADER_API_KEY" if self._with_key else "asks for a key"
        return NotAuthenticated(
            f"The server {self.url} {what}.", hint="Set AUTOLOADER_API_KEY to the key that the server was started with."
        )

    def _foreign(self, why: str) -> NotAutoloader:
        return NotAutoloader(f"What answers at {self.url} is no Autoloader: {why}.", hint=_ADDRESS)

    def _misfit(self) -> AutoloaderError:
        """An answer that cannot be read: of another version, or of something else."""
        from importlib.metadata import version

        try:
            answer = self._sent("GET", "/version", {}, SHORT)
        except AutoloaderError as error:
            return error
        found = answer.json(self._misfit)
        if not isinstance(found, dict) or "version" not in found or "api" not in found:
            return self._foreign("its answers cannot be read")
        return VersionMismatch(
            f"The server {self.url} is of version {found['version']}, and does not know what this command"
            f" (version {version('iomete-autoloader')}) needs.",
            hint="Bring both to one version.",
        )


def _is_near(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
