"""The connection to the Prefect server: few tries, bounded in time, and its faults in our words.

Importing Prefect's client takes seconds, so it is imported with the first request.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import httpx

from app.config import Settings
from app.errors import AutoloaderError, PrefectError, PrefectRefused, PrefectUnavailable

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

_BUSY = {408, 429}  # and everything from 500 on: the same request may be answered later
_UNAUTHORIZED = {401, 403}
_NOT_FOUND = 404
_SHOWN = 300  # characters of an answer
_PAUSES = (0.1, 0.4, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)  # seconds before a busy server is asked again


class PrefectConnection:
    """One server. Threads may share it; it is closed with `close`, or as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client: SyncPrefectClient | None = None
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    @contextmanager
    def writes(self) -> Iterator[SyncPrefectClient]:
        """As `requests`, in turn with the other threads that change deployments.

        A server on SQLite lets two of them wait for each other, until both have waited for too long.
        """
        if not self._writing.acquire(timeout=self.settings.prefect_request_timeout_seconds):
            raise PrefectUnavailable("Too much is written to Prefect at once.", hint="It is tried again by itself.")
        try:
            with self.requests() as client:
                yield client
        finally:
            self._writing.release()

    @contextmanager
    def requests(self) -> Iterator[SyncPrefectClient]:
        """Prefect's client, for one request or a few. Raises PrefectUnavailable, PrefectRefused, nothing else."""
        with prefect_errors(self.settings.prefect_api_url):
            yield self._opened()

    def _opened(self) -> SyncPrefectClient:
        with self._lock:
            if self._client is None:
                self._client = _new_client(self.settings)
            return self._client

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _new_client(settings: Settings) -> SyncPrefectClient:
    from prefect.client.orchestration import SyncPrefectClient

    client = SyncPrefectClient(
        settings.prefect_api_url,
        auth_string=settings.prefect_api_auth_string.get_secret_value() or None,
        httpx_settings={
            "timeout": httpx.Timeout(settings.prefect_request_timeout_seconds),
            "transport": _FewTries(settings.prefect_request_timeout_seconds, verify=_tls(settings.prefect_api_url)),
        },
    )
    return client.__enter__()


def _tls(api_url: str) -> ssl.SSLContext | bool:
    """As Prefect's own settings say; it would configure only a transport of its own."""
    if not api_url.startswith("https"):
        return True
    from prefect.settings import get_current_settings

    api = get_current_settings().api
    context = ssl.create_default_context(cafile=api.ssl_cert_file or None)
    if api.tls_insecure_skip_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class _FewTries(httpx.HTTPTransport):
    """Raises our errors, so that the client does not try again by itself: it would do so for minutes.

    A 503 is the server's own "not now" (its SQLite was busy for longer than it waits, nothing was done): that alone is
    tried again, within the time of one request.
    """

    def __init__(self, seconds: float, *, verify: ssl.SSLContext | bool) -> None:
        super().__init__(verify=verify)
        self.seconds = seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        until = time.monotonic() + self.seconds
        for pause in _PAUSES:
            response = self._try(request)
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() + pause > until:
                break
            time.sleep(pause)
        else:
            response = self._try(request)
        if _is_busy(response.status_code):
            raise _of_answer(response)
        return response

    def _try(self, request: httpx.Request) -> httpx.Response:
        with prefect_errors(_without_query(request.url)):
            response = super().handle_request(request)
            response.read()  # a body that is cut off is a fault of this try too
            return response


def _without_query(url: httpx.URL) -> str:
    """As a person would know it."""
    return str(url.copy_with(query=None))


# --- the vendor's errors in our words --------------------------------------------------------


@contextmanager
def prefect_errors(api_url: str) -> Iterator[None]:
    """Whatever Prefect's client raises comes out as a PrefectError; what is ours already passes."""
    try:
        yield
    except AutoloaderError:
        raise
    except httpx.HTTPStatusError as exc:
        raise _of_answer(exc.response) from exc
    except (httpx.UnsupportedProtocol, httpx.DecodingError, httpx.TooManyRedirects) as exc:
        raise _unusable(api_url, exc) from exc
    except (httpx.HTTPError, httpx.StreamError, OSError) as exc:
        raise _unavailable(api_url, exc) from exc
    except (httpx.InvalidURL, httpx.CookieConflict) as exc:
        raise _unusable(api_url, exc) from exc
    except Exception as exc:
        raise _translated(api_url, exc) from exc


def _translated(api_url: str, error: Exception) -> Exception:
    """For what is neither Prefect's nor an answer that could not be read, the very same: it is a bug of ours."""
    from prefect.exceptions import PrefectException

    if isinstance(getattr(error, "http_exc", None), httpx.HTTPStatusError):
        return _of_answer(error.http_exc.response)  # type: ignore[attr-defined] # of PrefectHTTPStatus and its kin
    if isinstance(error, PrefectException | ValueError):
        return _unusable(api_url, error)
    return error


def _unavailable(api_url: str, error: Exception) -> PrefectError:
    why = str(error) or type(error).__name__
    return PrefectUnavailable(
        f"The Prefect server does not answer at {api_url} ({why}).",
        hint="Nothing is lost: it is brought in step when it is back. Check PREFECT_API_URL; that of `autoloader up` is"
        " the address of its Prefect with /api, and PREFECT_API_AUTH_STRING its password.",
    )


def _unusable(api_url: str, error: Exception) -> PrefectError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return PrefectRefused(
        f"What {api_url} answers cannot be used ({first[:_SHOWN]}).",
        hint="Check that PREFECT_API_URL is the address of a Prefect server, /api included.",
    )


def _is_busy(status_code: int) -> bool:
    return status_code in _BUSY or status_code >= httpx.codes.INTERNAL_SERVER_ERROR


def _of_answer(response: httpx.Response) -> PrefectError:
    status, text = response.status_code, _sentence(response)
    if _is_busy(status):
        return PrefectUnavailable(
            f"The Prefect server cannot do it now ({status}: {text}).", hint="It is tried again by itself."
        )
    if status in _UNAUTHORIZED:
        return PrefectRefused(
            f"The Prefect server refuses us ({status}: {text}).",
            hint="Set PREFECT_API_AUTH_STRING to the server's `user:password`."
            " That of `autoloader up` is the line in prefect.auth in AUTOLOADER_HOME.",
            answer=status,
        )
    if status == _NOT_FOUND:
        return PrefectRefused(
            f"Prefect does not have it ({text}).", hint="Bring it in step: autoloader prefect sync", answer=status
        )
    return PrefectRefused(
        f"Prefect refuses it ({status}: {text}).",
        hint="Mend the ingestion's schedule or queue, then: autoloader prefect sync",
        answer=status,
    )


def _sentence(response: httpx.Response) -> str:
    """What the server says, without the request that it repeats."""
    try:
        body = response.json()
    except (ValueError, httpx.StreamError):
        return response.reason_phrase
    if not isinstance(body, dict):
        return str(body)[:_SHOWN]
    details = body.get("exception_detail")
    if isinstance(details, list):
        problems = [f"{'.'.join(map(str, item.get('loc', ())))}: {item.get('msg')}" for item in details]
        return "; ".join(problems)[:_SHOWN]
    return str(body.get("detail") or body.get("exception_message") or body)[:_SHOWN]
