"""S3 requests that the object-store library cannot express, signed by it all the same.

The library refuses keys with control characters or empty segments, lists without a bound where a delimiter is given,
and gives no credentials away. It does sign URLs, with whatever credentials it found: by giving it an endpoint that is
already the whole URL (path and query), with `x-id=` at the end to swallow the path it appends, any GET can be signed.
`x-id` is the parameter that Amazon's own clients add; stores ignore it.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote_plus, urlencode
from urllib.request import HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

from app.errors import SourceUnavailable
from app.storage.faults import by_status, clean, unreachable

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_CONTENTS = re.compile(r"<Contents>(.*?)</Contents>", re.DOTALL)
_PREFIXES = re.compile(r"<CommonPrefixes>\s*<Prefix>(.*?)</Prefix>", re.DOTALL)
_FIELDS = {name: re.compile(f"<{name}>(.*?)</{name}>", re.DOTALL) for name in ("Key", "ETag", "Size", "LastModified")}
_NEXT = re.compile(r"<NextContinuationToken>(.*?)</NextContinuationToken>", re.DOTALL)
_CODE = re.compile(r"<Code>([^<]*)</Code>")
_ERROR_BYTES = 4096
_FIRST_PAUSE = 0.1  # seconds, doubled each time
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class ListedKey:
    """One key with what the listing said of it; `etag` without quotes, empty where there was none."""

    key: str
    etag: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class KeyPage:
    """One answer of ListObjectsV2; `after` continues it, empty at the end."""

    keys: tuple[ListedKey, ...]
    prefixes: tuple[str, ...]
    after: Mapping[str, str]


class SignedS3:
    """GET requests on one bucket. `sign` turns a whole URL into a signed one; `bucket_url` answers the bucket's,
    without a slash at its end. Neither is called before the first request: finding credentials may need the network.
    """

    def __init__(
        self,
        bucket_url: Callable[[], str],
        sign: Callable[[str], str],
        opener: OpenerDirector,
        timeout: float,
        retries: int,
    ) -> None:
        self._find_bucket_url = bucket_url
        self._bucket_url = ""
        self._sign = sign
        self._opener = opener
        self._timeout = timeout
        self._retries = retries

    def pages(self, prefix: str, *, start_after: str = "", delimiter: str = "") -> Iterator[KeyPage]:
        """ListObjectsV2 below a raw prefix, one answer of up to 1,000 keys at a time."""
        more: Mapping[str, str] = {"start-after": start_after} if start_after else {}
        while True:
            query = {"list-type": "2", "encoding-type": "url", "prefix": prefix, **more}
            if delimiter:
                query["delimiter"] = delimiter
            with self._get("", query) as answer:
                page = _parsed(answer.read().decode("utf-8", "replace"))
            yield page
            if not page.after:
                return
            more = page.after

    def get(self, key: str, headers: Mapping[str, str]) -> HTTPResponse:
        """The object of a raw key, to be read and closed by the caller."""
        return self._get(key, {}, headers)

    def _get(self, key: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None) -> HTTPResponse:
        path = f"/{quote(key, safe='/~')}" if key else ""
        text = urlencode(query, quote_via=quote, safe="~")
        self._bucket_url = self._bucket_url or self._find_bucket_url()
        url = self._sign(f"{self._bucket_url}{path}?{text}{'&' if text else ''}x-id=")
        subject = f"{self._bucket_url}/{key or query.get('prefix', '')}"
        request = Request(url, headers=dict(headers or {}))  # noqa: S310 - the connection's own endpoint
        for attempt in range(1, self._retries + 1):
            try:
                return self._asked(request, subject)
            except SourceUnavailable:
                time.sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt))
        return self._asked(request, subject)

    def _asked(self, request: Request, subject: str) -> HTTPResponse:
        try:
            answer: HTTPResponse = self._opener.open(request, timeout=self._timeout)
        except HTTPError as error:
            with error:
                code = _CODE.search(error.read(_ERROR_BYTES).decode("utf-8", "replace"))
            # Not chained: the error holds the signed URL.
            raise by_status(error.code, code.group(1) if code else f"HTTP {error.code}", subject) from None
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            raise unreachable(subject, clean(str(error))) from None
        return answer


def opener(proxy_url: str = "", handler: HTTPSHandler | None = None) -> OpenerDirector:
    """The HTTP client of SignedS3, with the connection's proxy and certificates."""
    handlers: list[ProxyHandler | HTTPSHandler] = [handler] if handler else []
    if proxy_url:
        handlers.append(ProxyHandler({"http": proxy_url, "https": proxy_url}))
    return build_opener(*handlers)


def _parsed(text: str) -> KeyPage:
    # Not an XML parser: some stores put raw control characters into their answer, which XML does not allow.
    keys = tuple(_key(match.group(1)) for match in _CONTENTS.finditer(text))
    prefixes = tuple(_decoded(match.group(1)) for match in _PREFIXES.finditer(text))
    after: dict[str, str] = {}
    token = _NEXT.search(text)
    if "<IsTruncated>true</IsTruncated>" in text:
        ends = [item.key for item in keys[-1:]] + list(prefixes[-1:])
        last = max(ends, key=lambda name: name.encode("utf-8", "surrogateescape"), default="")
        plain = token is not None and not _UNPRINTABLE.search(token.group(1)) and "\ufffd" not in token.group(1)
        after = {"continuation-token": html.unescape(token.group(1))} if token and plain else {"start-after": last}
    return KeyPage(keys, prefixes, after)


def _key(text: str) -> ListedKey:
    found = {name: match.group(1) if (match := pattern.search(text)) else "" for name, pattern in _FIELDS.items()}
    return ListedKey(
        key=_decoded(found["Key"]),
        etag=html.unescape(found["ETag"]).strip('"'),
        size=int(found["Size"] or 0),
        modified_at=datetime.fromisoformat(found["LastModified"]).astimezone(UTC),
    )


def _decoded(text: str) -> str:
    return unquote_plus(html.unescape(text), errors="surrogateescape")
