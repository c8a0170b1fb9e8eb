from __future__ import annotations

import traceback

import pytest
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
from app.storage.faults import UnusableName, by_status, clean, translated

CLASSES = {
    vendor.AlreadyExistsError: SourceAccessDenied,
    vendor.BaseError: SourceUnavailable,
    vendor.GenericError: SourceUnavailable,
    vendor.InvalidPathError: UnusableName,
    vendor.JoinError: SourceUnavailable,
    vendor.NotFoundError: FileMissing,
    vendor.NotModifiedError: FileChanged,
    vendor.NotSupportedError: SourceError,
    vendor.PermissionDeniedError: SourceAccessDenied,
    vendor.PreconditionError: FileChanged,
    vendor.UnauthenticatedError: SourceAccessDenied,
    vendor.UnknownConfigurationKeyError: InvalidInput,
    FileNotFoundError: FileMissing,
    PermissionError: SourceAccessDenied,
    ValueError: InvalidInput,
    TimeoutError: SourceUnavailable,
    ConnectionResetError: SourceUnavailable,
}


def ours(error: Exception, **arguments: type[SourceError]) -> AutoloaderError:
    with pytest.raises(AutoloaderError) as found, translated("s3://b/k", ("canary-secret",), **arguments):
        raise error
    return found.value


def test_no_class_of_the_library_is_left_out():
    theirs = {item for item in vars(vendor).values() if isinstance(item, type) and issubclass(item, Exception)}
    assert theirs <= set(CLASSES)


@pytest.mark.parametrize(("theirs", "expected"), CLASSES.items(), ids=lambda item: item.__name__)
def test_each_class_becomes_ours_with_the_address_and_a_next_step(theirs, expected):
    error = ours(theirs("something went wrong"))
    assert type(error) is expected
    assert "s3://b/k" in error.message
    assert error.hint
    assert type(error.__cause__) is theirs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("… status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code></Error>", SourceAccessDenied),
        ("… status code: 401 Unauthorized", SourceAccessDenied),
        ("… status code: 400 Bad Request: <Error><Code>ExpiredToken</Code></Error>", SourceAccessDenied),
        ("… status code: 404 Not Found: <Error><Code>NoSuchBucket</Code></Error>", SourceNotFound),
        ("… status code: 404 Not Found: <Error><Code>ContainerNotFound</Code></Error>", SourceNotFound),
        ("… status code: 301 Moved: <Error><Code>PermanentRedirect</Code></Error>", InvalidInput),
        ("… status code: 429 Too Many Requests", SourceUnavailable),
        ("… status code: 503 Slow Down", ObjectUnavailable),
        ("… status code: 412 Precondition Failed", FileChanged),
        ("… error sending request", SourceUnavailable),
        ("… operation timed out", SourceUnavailable),
        ("… status code: 400 Bad Request: <Error><Code>KMS.DisabledException</Code></Error>", SourceAccessDenied),
        ("Generic GCS error: Content-Length Header missing from response", SourceAccessDenied),
        ("… HTTP error: builder error", InvalidInput),
        ("Generic Config error: failed to parse x as boolean", InvalidInput),
        ("Error performing PUT http://169.254.169.254/latest/api/token: timed out", SourceAccessDenied),
    ],
)
def test_a_general_error_is_told_by_its_text(text, expected):
    assert type(ours(vendor.GenericError(text))) is expected


def test_a_missing_bucket_is_no_missing_file():
    assert type(ours(FileNotFoundError("404: <Code>NoSuchBucket</Code>"))) is SourceNotFound
    assert type(ours(FileNotFoundError("gone"), missing=SourceNotFound)) is SourceNotFound


def test_a_listing_that_fails_is_the_store_s_and_no_object_s():
    assert type(ours(vendor.GenericError("status code: 500"), missing=SourceNotFound)) is SourceUnavailable


def test_a_refused_listing_is_nobodys_right():
    assert type(ours(vendor.GenericError("status code: 400 Bad Request"), missing=SourceNotFound)) is SourceError


def test_the_whole_text_a_person_reads():
    error = by_status(403, "AccessDenied, not you", "s3://b/k")
    assert str(error) == (
        "Access to s3://b/k is denied: AccessDenied, not you. Look at the connection's keys and at what they may do:"
        " list the prefix and read its objects."
    )


@pytest.mark.parametrize("kind", [vendor.GenericError, vendor.PermissionDeniedError, FileNotFoundError])
def test_no_secret_comes_through_in_the_text_or_in_the_cause(kind):
    text = (
        "Error performing GET https://user:pass@host/b/k?sig=canary-signature&X-Amz-Credential=x in 5ms - "
        "canary-secret status code: 403 <Error><Code>No</Code><Message>m</Message>"
        "<StringToSign>canary-string</StringToSign></Error>\n\nDebug source:\nuri: https://host/?sig=canary-debug"
    )
    error = ours(kind(text))
    shown = "".join(traceback.format_exception(error))
    for canary in ("canary-secret", "canary-signature", "canary-debug", "user:pass"):
        assert canary not in str(error)
        # The source line of this test is in the traceback too: look at what the errors themselves say.
        assert canary not in f"{error.__cause__!r}"
    assert "canary-string" not in str(error)
    assert "https://host/b/k" in shown


def test_cleaning_keeps_an_ordinary_text():
    assert clean("nothing to hide? no") == "nothing to hide? no"
