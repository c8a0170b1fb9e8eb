"""Stores that are reached by the machine's own variables, without a connection."""

from __future__ import annotations

import pytest

from app.storage import open_store
from tests.services.objects import S3_ADMIN


@pytest.mark.parametrize("told", [{}, {"AWS_ALLOW_HTTP": "true"}])
def test_an_endpoint_without_tls_may_stand_in_the_environment(s3, monkeypatch, told):
    path = s3.put("a/one.jsonl", b"{}")
    ambient = {"AWS_ENDPOINT_URL": s3.endpoint, "AWS_ACCESS_KEY_ID": S3_ADMIN[0], "AWS_SECRET_ACCESS_KEY": S3_ADMIN[1]}
    for name, value in {**ambient, "AWS_REGION": "us-east-1", **told}.items():
        monkeypatch.setenv(name, value)

    store = open_store(s3.url)

    assert [item.path for page in store.list() for item in page] == [path]
    assert store.read(path) == b"{}"
