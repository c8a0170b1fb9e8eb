"""Prefect's clients trust what they trusted before, and read it once."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest
from prefect.client import orchestration
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_SSL_CERT_FILE, PREFECT_API_TLS_INSECURE_SKIP_VERIFY, temporary_settings

from app.prefect import certificates

URL = "https://127.0.0.1:9/api"


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """What `share` changes of Prefect ends with the test."""
    monkeypatch.setattr(orchestration, "ssl", ssl)
    certificates._trusting.cache_clear()


def trusted():
    """The context that a new client was given."""
    transport: Any = SyncPrefectClient(URL)._client._transport
    return transport._pool._ssl_context


def test_clients_that_are_made_after_it_read_no_authorities_and_verify_as_ever(monkeypatch):
    before = trusted()
    certificates.share()
    monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: pytest.fail("read again"))

    first, second = trusted(), trusted()

    assert first is second
    assert (first.verify_mode, first.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert first.cert_store_stats() == before.cert_store_stats()


def test_a_file_of_ones_own_counts_and_is_read_again_when_it_changes(tmp_path):
    own = tmp_path / "ca.pem"
    authorities = Path(vars(orchestration)["certifi"].where()).read_text()
    end = "-----END CERTIFICATE-----\n"
    own.write_text(authorities.partition(end)[0] + end)
    with temporary_settings({PREFECT_API_SSL_CERT_FILE: str(own)}):
        certificates.share()
        alone = trusted()
        own.write_text(authorities)
        os.utime(own, ns=(1, 1))
        more = trusted()

    assert alone.cert_store_stats()["x509"] == 1
    assert more.cert_store_stats()["x509"] > 1


def test_who_switches_verification_off_changes_nobody_elses_context():
    certificates.share()
    with temporary_settings({PREFECT_API_TLS_INSECURE_SKIP_VERIFY: True}):
        assert trusted().verify_mode == ssl.CERT_NONE
    assert trusted().verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize("name", ["ssl", "certifi"])
def test_a_release_of_prefect_that_gets_them_elsewhere_is_left_as_it_is(monkeypatch, name):
    monkeypatch.delattr(orchestration, name)
    left = dict(vars(orchestration))

    certificates.share()

    assert vars(orchestration) == left
