"""The object-store library's errors as ours, without a secret in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from obstore import exceptions as vendor

from app.errors import (
    AutoloaderError,
    FileChanged,
    FileMissing,
    InvalidInput,
    ObjectUnavailable,
    SourceAccessDenied,
    SourceError,
    SourceNotFound,
    SourceUnavailable,
)


class UnusableName(InvalidInput):
    """A key that the library does not carry; who can ask the store in another way does."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What an answer means: our error, its sentence and the next step."""

    kind: type[AutoloaderError]
    sentence: str
    hint: str

    def on(self, subject: str, said: str) -> AutoloaderError:
        # Not format(): either text may hold braces.
        return self.kind(self.sentence.replace("{subject}", subject).replace("{said}", said), hint=self.hint)


_LOOK = "Look at the endpoint and the network, then run again."
_NAME = "Look at the name, the region and the endpoint of the connection."
_OPTIONS = "Look at the connection's options."

_NO_BUCKET = _Verdict(SourceNotFound, "There is no bucket or container for {subject}: {said}.", _NAME)
_NOTHING = _Verdict(SourceNotFound, "There is nothing at {subject}.", _NAME)
_GONE = _Verdict(
    FileMissing, "{subject} is not there (any more).", "It was removed or renamed after it was discovered."
)
_CHANGED = _Verdict(
    FileChanged, "{subject} changed after it was discovered.", "The next run discovers the new version."
)
_DENIED = _Verdict(
    SourceAccessDenied,
    "Access to {subject} is denied: {said}.",
    "Look at the connection's keys and at what they may do: list the prefix and read its objects.",
)
_NO_CREDENTIALS = _Verdict(
    SourceAccessDenied,
    "No credentials were found for {subject}: the connection has none, and this machine has none of its own.",
    "Make a connection with keys (autoloader connections add NAME KIND …), or for a public bucket with -o"
    " skip_signature=true, and name it: --connection NAME.",
)
_FAILING = _Verdict(SourceUnavailable, "The store of {subject} does not answer as it should: {said}.", _LOOK)
_UNSERVED = _Verdict(
    ObjectUnavailable,
    "The store answers a request for {subject} with an error of its own: {said}.",
    "Run again; if it stays so, look at the store, and at this object in it.",
)
_UNREACHABLE = _Verdict(SourceUnavailable, "The store of {subject} could not be reached: {said}.", _LOOK)
_ELSEWHERE = _Verdict(
    InvalidInput,
    "The store of {subject} sends us elsewhere: {said}.",
    "Set the bucket's own region (and endpoint) in the connection.",
)
_REFUSED = _Verdict(SourceError, "The store refused what was asked of {subject}: {said}.", _NAME)
_NOT_GIVEN = _Verdict(
    SourceAccessDenied,
    "The store does not give {subject}: {said}.",
    "Look at the object: its encryption key may be missing or switched off, or it may lie in an archive tier.",
)
_NO_LENGTH = _Verdict(
    SourceAccessDenied,
    "The store does not give {subject} as it lies there, but unpacked and without its length.",
    "Take Content-Encoding away from the object (its bytes stay), and say format.compression: gzip.",
)
_UNABLE = _Verdict(SourceError, "The store of {subject} cannot do that: {said}.", "Look at what the store supports.")
_BAD_NAME = _Verdict(
    UnusableName, "{subject} holds a name that cannot be used: {said}.", "Rename it, or narrow the address."
)
_BAD_OPTIONS = _Verdict(InvalidInput, "The options for {subject} cannot be used: {said}.", _OPTIONS)
_BAD_ENDPOINT = _Verdict(
    InvalidInput,
    "The endpoint for {subject} cannot be used: {said}.",
    "An http:// endpoint needs allow_http=true; look at its spelling.",
)

# The first that fits decides; a general error is told by its status, then by its text.
_BY_CLASS: tuple[tuple[tuple[type[Exception], ...], _Verdict], ...] = (
    ((vendor.PermissionDeniedError, vendor.UnauthenticatedError, PermissionError), _DENIED),
    ((vendor.PreconditionError, vendor.NotModifiedError), _CHANGED),
    ((vendor.AlreadyExistsError,), _NOT_GIVEN),  # any 409; nothing is written here, so it is an archived blob
    ((vendor.InvalidPathError,), _BAD_NAME),
    ((vendor.UnknownConfigurationKeyError,), _BAD_OPTIONS),
    ((vendor.NotSupportedError,), _UNABLE),
)
_BY_TEXT: tuple[tuple[str, _Verdict], ...] = (
    (r"169\.254\.169\.254|metadata\.google\.internal|169\.254\.170\.2|CredentialProvider", _NO_CREDENTIALS),
    (r"parse path", _BAD_NAME),
    (r"Content-Length Header missing", _NO_LENGTH),
    (r"\(code: AccessDenied\)", _DENIED),  # of one key in an answer to many
    (r"builder error|BadScheme", _BAD_ENDPOINT),
    (r"Config error|failed to parse|decod", _BAD_OPTIONS),
)
_BY_STATUS: dict[int, _Verdict] = {
    301: _ELSEWHERE,
    304: _CHANGED,
    307: _ELSEWHERE,
    308: _ELSEWHERE,
    401: _DENIED,
    403: _DENIED,
    408: _FAILING,
    412: _CHANGED,
    429: _FAILING,
}
_ABSENT_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|The specified bucket does not exist|InvalidBucketName")
_THROTTLED = re.compile(r"\bSlowDown\b|\bServerBusy\b")  # of who asks too much, whatever object it is
_ABOUT_KEYS = re.compile(r"Token|Credential|Authoriz|Signature|AccessKey")

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(r"<Message>([^<\n]*)")
_QUERY = re.compile(r"(https?://[^\s?\"',)]*)\?[^\s\"',)]*")
_USER = re.compile(r"(https?://)[^\s/@]*@")


@contextmanager
def translated(
    subject: str, secrets: Sequence[str] = (), *, missing: type[SourceError] = FileMissing
) -> Iterator[None]:
    """Raise the library's errors as ours. `subject` is the address that was asked for; its absence is `missing`.

    The original goes along as the cause with its text cleaned: a traceback in a log must not hold a signature either.
    """
    try:
        yield
    except (vendor.BaseError, FileNotFoundError, PermissionError, ValueError, TimeoutError, ConnectionError) as error:
        text = clean(str(error), secrets)
        raise _ours(error, text, clean(subject, secrets), missing) from type(error)(text)


def clean(text: str, secrets: Sequence[str] = ()) -> str:
    """The text without the library's debug part, query strings of URLs, user information and known secrets."""
    text = text.partition("\n\nDebug source")[0]
    text = _USER.sub(r"\1", _QUERY.sub(r"\1", text))
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def by_status(status: int, said: str, subject: str, missing: type[SourceError] = FileMissing) -> AutoloaderError:
    """What an HTTP status means. `said` is the store's own cleaned words."""
    if _ABSENT_BUCKET.search(said):
        verdict = _NO_BUCKET
    elif _THROTTLED.search(said):
        verdict = _FAILING
    elif status == HTTPStatus.NOT_FOUND:
        verdict = _NOTHING if missing is SourceNotFound else _GONE
    elif status == HTTPStatus.BAD_REQUEST and _ABOUT_KEYS.search(said):
        verdict = _DENIED
    else:
        # of a listing, or of one object
        failing, refused = (_FAILING, _REFUSED) if missing is SourceNotFound else (_UNSERVED, _NOT_GIVEN)
        usual = failing if status >= HTTPStatus.INTERNAL_SERVER_ERROR else refused
        verdict = _BY_STATUS.get(status, usual)
    return verdict.on(subject, said)


def unreachable(subject: str, said: str) -> AutoloaderError:
    """No answer at all."""
    return _UNREACHABLE.on(subject, said)


def _ours(error: Exception, text: str, subject: str, missing: type[SourceError]) -> AutoloaderError:
    said = _said(text)
    if isinstance(error, FileNotFoundError | vendor.NotFoundError):
        return by_status(HTTPStatus.NOT_FOUND, said, subject, missing)
    for kinds, verdict in _BY_CLASS:
        if isinstance(error, kinds):
            return verdict.on(subject, said)
    for pattern, verdict in _BY_TEXT:
        if re.search(pattern, text):
            return verdict.on(subject, said)
    status = _STATUS.search(text)
    if status:
        return by_status(int(status.group(1)), said, subject, missing)
    return (_BAD_OPTIONS if isinstance(error, ValueError) else _UNREACHABLE).on(subject, said)


def _said(text: str) -> str:
    """The store's own words: its code and message where it sent XML, else the library's first line."""
    code, message = _CODE.search(text), _MESSAGE.search(text)
    if code:
        return f"{code.group(1)}, {message.group(1).strip().rstrip('.')}" if message else code.group(1)
    return text.splitlines()[0].strip().rstrip(". ") if text.strip() else "no reason given"
