from __future__ import annotations

import pytest
import requests
from pyiceberg import exceptions as vendor

from app.catalog.faults import committing, reading
from app.errors import (
    AutoloaderError,
    CatalogError,
    CatalogRefused,
    CatalogUnavailable,
    CommitConflict,
    CommitUnknown,
    LandingIncomplete,
    TableNotFound,
)

CREDENTIALS = [
    vendor.UnauthorizedError("who are you"),
    vendor.ForbiddenError("not you"),
    vendor.OAuthError("no token"),
    vendor.AuthorizationExpiredError("the token has expired"),
]
STORAGE = [
    PermissionError(13, "Permission denied"),
    OSError("When reading key 'a': AWS Error ACCESS_DENIED during HeadObject operation: No response body."),
    OSError("When reading key 'a': AWS Error UNKNOWN (HTTP status 403) during GetObject operation: no"),
]
MENDED_OTHERWISE = [
    vendor.NotInstalledError("pip install it"),
    vendor.RESTError("something else"),
    FileNotFoundError("metadata.json"),
    ValueError("a broken metadata file"),
]


def shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def read(error: Exception) -> AutoloaderError:
    with pytest.raises(AutoloaderError) as found, reading("local.db.t"):
        raise error
    return found.value


def commit(error: Exception) -> AutoloaderError:
    with pytest.raises(AutoloaderError) as found, committing("local.db.t"):
        raise error
    return found.value


@pytest.mark.parametrize("error", [*CREDENTIALS, *STORAGE], ids=shown)
def test_whoever_is_not_let_in_is_refused_and_told_to_look_at_the_credentials(error):
    ours = read(error)
    assert type(ours) is CatalogRefused
    assert "credentials" in ours.hint
    assert "local.db.t" in ours.message


@pytest.mark.parametrize("error", CREDENTIALS, ids=shown)
def test_a_commit_that_the_catalog_refuses_for_credentials_was_not_taken(error):
    assert type(commit(error)) is CatalogRefused


@pytest.mark.parametrize("error", [*MENDED_OTHERWISE, *CREDENTIALS, *STORAGE], ids=shown)
def test_nothing_that_a_library_says_ends_what_can_be_known_of_a_batch(error):
    ours = read(error)
    assert isinstance(ours, CatalogError)
    assert not isinstance(ours, LandingIncomplete)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (vendor.NoSuchTableError("t"), TableNotFound),
        (vendor.NoSuchNamespaceError("db"), TableNotFound),
        (vendor.ServerError("500"), CatalogUnavailable),
        (vendor.TooManyRequestsError("429"), CatalogUnavailable),
        (OSError("AWS Error NETWORK_CONNECTION during HeadObject operation"), CatalogUnavailable),
        (ConnectionResetError("reset"), CatalogUnavailable),
    ],
    ids=shown,
)
def test_what_is_not_there_and_what_does_not_answer_are_told_apart(error, expected):
    assert type(read(error)) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (vendor.CommitFailedException("main moved"), CommitConflict),
        (vendor.BadRequestError("never"), CatalogError),
        (vendor.CommitStateUnknownException("504"), CommitUnknown),
        (PermissionError(13, "Permission denied"), CommitUnknown),
        (ConnectionResetError("reset"), CommitUnknown),
    ],
    ids=shown,
)
def test_only_the_catalogs_own_no_is_a_no_to_a_commit(error, expected):
    assert type(commit(error)) is expected


def test_a_fault_of_the_program_stays_one():
    with pytest.raises(KeyError), reading("local.db.t"):
        raise KeyError("x")


def test_a_key_in_a_catalogs_address_is_not_told():
    said = "HTTPConnectionPool(host='h', port=9): Max retries exceeded with url: /?token=canary/v1/config (Caused by …)"
    for met in (reading, committing):
        with pytest.raises(AutoloaderError) as found, met("catalog c"):
            raise requests.ConnectionError(said)
        assert "canary" not in str(found.value)
        assert "host='h'" in str(found.value)


@pytest.mark.parametrize(
    ("what", "command"),
    [
        ("catalog lake", "connections test lake"),
        ("lake.db.t", "connections test lake"),
        ("local.db.t", "doctor"),
        ("namespace db", "connections test NAME"),
    ],
)
def test_a_catalog_that_is_down_is_named_in_the_command_that_looks_at_it(what, command):
    with pytest.raises(CatalogUnavailable) as found, reading(what):
        raise requests.ConnectionError("refused")
    assert found.value.hint == f"Is it running, and is its address right? Look at it: autoloader {command}"
