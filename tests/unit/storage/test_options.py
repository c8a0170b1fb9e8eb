from __future__ import annotations

import pytest

from app.errors import InvalidInput
from app.storage import open_store
from app.storage.options import known_options, read_options


def test_unknown_options_are_named_with_the_known_ones():
    with pytest.raises(InvalidInput) as refused:
        open_store("s3://b", {"colour": "red", "acces_key_id": "x", "region": "r"})
    assert "acces_key_id, colour" in refused.value.message
    assert "access_key_id" in refused.value.hint
    with pytest.raises(InvalidInput, match="takes no options"):
        open_store("/tmp", {"region": "x"})


@pytest.mark.parametrize("kind", ["s3", "az", "gs"])
def test_every_known_option_is_taken_by_the_library(kind, tmp_path):
    values = {
        "endpoint": "http://127.0.0.1:1",
        "ca_file": "",
        "proxy_url": "http://127.0.0.1:2",
        "account_key": "c2VjcmV0",
        "sas_token": "sv=2023&sig=x",
        "service_account_json": "",
        "service_account_file": "",
        "authority_host": "https://login.example.org",
        "server_side_encryption": "AES256",
    }
    booleans = {"virtual_hosted_style", "skip_signature", "request_payer", "allow_http", "allow_invalid_certificates"}
    for name in known_options(kind):
        value = "true" if name in booleans else values.get(name, "text")
        if value == "":
            continue  # these name files or keys that are read at once; the functional tests of each store use them
        together = (
            {"access_key_id": "a", "secret_access_key": "b"} if name in {"access_key_id", "secret_access_key"} else {}
        )
        account = {"account_name": "acc"} if kind == "az" else {}
        key = {"skip_signature": "true"} if kind == "gs" else {}
        open_store(f"{kind}://bucket", {**account, **key, **together, name: value})


def test_half_an_identity_is_refused():
    with pytest.raises(InvalidInput, match="has access_key_id but no secret_access_key"):
        read_options("s3", {"access_key_id": "a"})
    with pytest.raises(InvalidInput, match="has secret_access_key but no access_key_id"):
        read_options("s3", {"secret_access_key": "a"})


def test_a_truth_value_is_one_of_a_few_words():
    assert read_options("s3", {"virtual_hosted_style": "Yes"}).store == {"virtual_hosted_style_request": True}
    with pytest.raises(InvalidInput, match="allow_http is 'maybe'"):
        read_options("s3", {"allow_http": "maybe"})


def test_a_certificate_that_is_not_there_is_told_of(tmp_path):
    with pytest.raises(InvalidInput, match=r"ca_file .*gone\.pem"):
        read_options("s3", {"ca_file": str(tmp_path / "gone.pem")})


def test_an_identity_is_kept_out_of_what_is_shown():
    shown = repr(read_options("s3", {"access_key_id": "a", "secret_access_key": "canary-secret"}))
    assert "canary-secret" not in shown
    store = open_store("s3://b", {"access_key_id": "a", "secret_access_key": "canary-secret"})
    assert "canary-secret" not in repr(store)
