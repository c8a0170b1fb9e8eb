from __future__ import annotations

import pytest

from app.errors import InvalidInput
from app.spark import FileAccess, file_access

CANARY = "canary-7f3a9c2e5b"
KEYS = {"access_key_id": "AK", "secret_access_key": CANARY}


def test_a_folder_has_the_same_path_on_the_cluster_with_patterns_escaped():
    access = file_access("local", "", {})

    assert access.path("/in/a*[1]{x}\\.jsonl") == "file:/in/a\\*\\[1\\]\\{x\\}\\\\.jsonl"
    assert access.options == {}


@pytest.mark.parametrize(
    ("access", "address", "names"),
    [
        (FileAccess(), "/in/a=1/b-2_3~.jsonl", ("file:/in/a=1/b-2_3~.jsonl", "file:///in/a=1/b-2_3~.jsonl")),
        (FileAccess("s3://shop/", "s3a://shop/"), "s3://shop/in/a.csv", ("s3a://shop/in/a.csv",)),
        *(
            (FileAccess(), f"/in/{odd}", ())
            for odd in ("a b", "a%20b", "ü", "a+b", "a#b", "a:b", "a//b", "./b", "../b")
        ),
        (FileAccess(), "/in/a\n", ()),
        (FileAccess("az://in/", "x%41://in@acme/"), "az://in/a", ()),
    ],
)
def test_a_name_that_a_uri_writes_as_it_is_needs_no_decoding(access, address, names):
    assert access.seen(address) == names


def test_without_a_connection_a_store_is_read_by_what_the_cluster_has():
    assert file_access("s3", "shop", {}) == FileAccess("s3://shop/", "s3a://shop/")
    assert file_access("gs", "shop", {}) == FileAccess("gs://shop/", "gs://shop/")
    assert file_access("az", "in", {}, account="acme") == FileAccess(
        "az://in/", "abfss://in@acme.dfs.core.windows.net/"
    )


def test_keys_of_a_connection_go_with_reads_of_its_bucket_under_a_scheme_of_their_own():
    given = {**KEYS, "session_token": "T", "endpoint": "http://store:9000/", "region": "eu-1"}
    access = file_access("s3", "shop", given, identity="one")
    scheme = access.there.partition(":")[0]

    assert access.path("s3://shop/a b") == f"{scheme}://shop/a b"
    assert access.told(f"no such file: {scheme}://shop/a b") == "no such file: s3://shop/a b"
    before = "fs.s3a.bucket.shop."
    assert access.options == {
        f"fs.{scheme}.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        f"{before}attempts.maximum": "5",
        f"{before}endpoint": "http://store:9000",
        f"{before}path.style.access": "true",
        f"{before}connection.ssl.enabled": "false",
        f"{before}endpoint.region": "eu-1",
        f"{before}aws.credentials.provider": "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider",
        f"{before}access.key": "AK",
        f"{before}secret.key": CANARY,
        f"{before}session.token": "T",
    }
    assert CANARY not in repr(access)


def test_another_content_of_a_connection_has_another_scheme_and_the_same_one_the_same():
    schemes = [file_access("s3", "shop", KEYS, identity=identity).there for identity in ("one", "two", "one")]

    assert schemes[0] == schemes[2] != schemes[1]
    assert CANARY not in schemes[0]


def test_a_bucket_whose_address_is_its_own_is_named_once():
    given = {"endpoint": "https://shop.store:9000", "virtual_hosted_style": "true", "skip_signature": "true"}
    options = file_access("s3", "shop", given, identity="one").options

    assert options["fs.s3a.bucket.shop.endpoint"] == "https://store:9000"
    assert options["fs.s3a.bucket.shop.endpoint.region"] == "us-east-1"
    assert options["fs.s3a.bucket.shop.path.style.access"] == "false"
    assert options["fs.s3a.bucket.shop.aws.credentials.provider"].endswith(".AnonymousAWSCredentialsProvider")


@pytest.mark.parametrize("bucket", ["my_bucket", "a.2024", "shop-", "10.0.0.1"])
def test_a_bucket_that_is_no_host_is_refused(bucket):
    with pytest.raises(InvalidInput, match="it takes a bucket for a host"):
        file_access("s3", bucket, KEYS)


@pytest.mark.parametrize("bucket", ["shop", "2024-data", "a.b-c", "t-4f"])
def test_other_buckets_are_not(bucket):
    assert file_access("s3", bucket, {}).root == f"s3://{bucket}/"


HOST = "acme.dfs.core.windows.net"


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ({"account_key": CANARY}, {"account.auth.type": "SharedKey", "account.key": CANARY}),
        (
            {"sas_token": f"?{CANARY}"},
            {
                "account.auth.type": "SAS",
                "sas.token.provider.type": "org.apache.hadoop.fs.azurebfs.sas.FixedSASTokenProvider",
                "sas.fixed.token": CANARY,
            },
        ),
        (
            {"client_id": "c", "client_secret": CANARY, "tenant_id": "t"},
            {
                "account.auth.type": "OAuth",
                "account.oauth.provider.type": "org.apache.hadoop.fs.azurebfs.oauth2.ClientCredsTokenProvider",
                "account.oauth2.client.id": "c",
                "account.oauth2.client.secret": CANARY,
                "account.oauth2.client.endpoint": "https://login.microsoftonline.com/t/oauth2/token",
            },
        ),
    ],
)
def test_each_kind_of_key_for_azure_holds_for_its_account_alone(given, settings):
    access = file_access("az", "in", {"account_name": "acme", **given}, identity="one")
    scheme = access.there.partition(":")[0]

    assert access.there == f"{scheme}://in@{HOST}/"
    assert access.options == {
        f"fs.{scheme}.impl": "org.apache.hadoop.fs.azurebfs.SecureAzureBlobFileSystem",
        "fs.azure.io.retry.max.retries": "5",
        **{f"fs.azure.{name}.{HOST}": value for name, value in settings.items()},
    }
    assert CANARY not in repr(access)


def test_another_cloud_of_azure_has_hosts_of_its_own():
    given = {"account_name": "acme", "endpoint": "https://acme.blob.core.usgovcloudapi.net"}

    assert file_access("az", "in", given, identity="1").there.endswith("://in@acme.dfs.core.usgovcloudapi.net/")


def test_an_account_behind_another_address_is_led_to_with_tls_only_where_it_speaks_it():
    given = {"account_name": "acme", "account_key": "k", "endpoint": "http://127.0.0.1:10000/acme"}
    plain = file_access("az", "in", given).options
    secure = file_access("az", "in", {**given, "endpoint": "https://front:1/acme"}).options

    assert plain[f"fs.azure.abfs.endpoint.{HOST}"] == "127.0.0.1:10000"
    assert (plain["fs.azure.always.use.https"], secure["fs.azure.always.use.https"]) == ("false", "true")
    assert "org.apache.hadoop.fs.azurebfs.AzureBlobFileSystem" in plain.values()
    assert "org.apache.hadoop.fs.azurebfs.SecureAzureBlobFileSystem" in secure.values()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "nothing names its account"),
        ({"account_name": "acme", "endpoint": "http://127.0.0.1:10000/other"}, "it names no account"),
        ({"account_name": "acme", "skip_signature": "true"}, "without credentials"),
    ],
)
def test_what_azure_cannot_do_for_spark_is_said(given, said):
    with pytest.raises(InvalidInput, match=said):
        file_access("az", "in", given)


def test_a_service_account_of_google_goes_with_reads(tmp_path):
    key = f'{{"client_email": "a@b", "private_key_id": "7", "private_key": "{CANARY}"}}'
    (tmp_path / "key.json").write_text(key)
    for given in ({"service_account_json": key}, {"service_account_file": str(tmp_path / "key.json")}):
        access = file_access("gs", "shop", given)

        assert access.there == "gs://shop/"
        assert access.options == {
            "fs.gs.impl": "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem",
            "fs.gs.impl.disable.cache": "true",
            "fs.gs.auth.service.account.enable": "true",
            "fs.gs.auth.service.account.email": "a@b",
            "fs.gs.auth.service.account.private.key.id": "7",
            "fs.gs.auth.service.account.private.key": CANARY,
        }
        assert CANARY not in repr(access)


@pytest.mark.parametrize("text", [CANARY, "[]", f'{{"private_key": "{CANARY}"}}'])
def test_a_service_account_that_is_none_is_refused_without_repeating_it(text):
    with pytest.raises(InvalidInput) as raised:
        file_access("gs", "shop", {"service_account_json": text})

    assert "is no JSON key" in str(raised.value)
    assert CANARY not in str(raised.value)


def test_a_key_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"nothing\.json could not be read \(FileNotFoundError\)"):
        file_access("gs", "shop", {"service_account_file": str(tmp_path / "nothing.json")})


def test_a_public_bucket_of_google_is_read_as_nobody():
    options = file_access("gs", "shop", {"skip_signature": "true", "endpoint": "http://127.0.0.1:9"}).options

    assert options["fs.gs.auth.null.enable"] == "true"
    assert options["fs.gs.storage.root.url"] == "http://127.0.0.1:9/"
