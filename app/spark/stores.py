"""A connection's options as Hadoop's file systems take them, for one read: S3A, ABFS and Google's connector.

They never become settings of a session. What a cluster has configured for the same bucket or account is outranked; all
else (proxies, certificates, timeouts) is the cluster's own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from app.errors import InvalidInput
from app.spark.files import FileAccess

S3A = "org.apache.hadoop.fs.s3a.S3AFileSystem"
ABFS = "org.apache.hadoop.fs.azurebfs.SecureAzureBlobFileSystem"
ABFS_PLAIN = "org.apache.hadoop.fs.azurebfs.AzureBlobFileSystem"  # the same without TLS
GCS = "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem"

_PROVIDERS = "org.apache.hadoop.fs.s3a"
_ALWAYS = "fs.azure.always.use.https"
_OAUTH = "org.apache.hadoop.fs.azurebfs.oauth2.ClientCredsTokenProvider"
_FIXED_SAS = "org.apache.hadoop.fs.azurebfs.sas.FixedSASTokenProvider"
# What Java takes for the name of a host; S3A opens no other bucket.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}|(?:{_LABEL}\.)+(?=[A-Za-z]){_LABEL}")
# S3A's own twenty take minutes to say that nobody answers or that a signature is wrong, and ABFS's thirty a quarter
# of an hour.
_ATTEMPTS = "5"
_REGION = "us-east-1"  # without one, S3A asks the machine's cloud, and waits for minutes where there is none
_SHORT = (
    "Load it with engine: embedded (of load: --engine embedded), or let the cluster use credentials of its own"
    " (source_access=cluster)."
)


def file_access(
    kind: str, bucket: str, options: Mapping[str, str], *, account: str = "", identity: str = ""
) -> FileAccess:
    """How a cluster reads `bucket` of a store of that kind (`local`, `s3`, `az`, `gs`).

    With the `options` of a connection; with none of them by what is configured on the cluster. `identity` stands for
    this very content of the connection, and tells nothing of it. `account` is what an az:// address names. Raises
    InvalidInput for what Hadoop's file systems cannot do.
    """
    if kind == "s3":
        return _s3(bucket, options, identity)
    if kind == "az":
        return _azure(bucket, options, account, identity)
    if kind == "gs":
        return FileAccess(f"gs://{bucket}/", f"gs://{bucket}/", _google(options) if options else {})
    return FileAccess()


def _scheme(plain: str, identity: str) -> str:
    """A scheme that only reads with this identity use.

    Hadoop keeps file systems by scheme and bucket, whatever the credentials: under a common scheme the next session
    would be served with ours. To keep none instead costs one for each file, and S3A does not give them back.
    """
    return f"{plain}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


# --- S3 --------------------------------------------------------------------------------------


def _s3(bucket: str, options: Mapping[str, str], identity: str) -> FileAccess:
    if not _HOST.fullmatch(bucket):
        raise InvalidInput(f"Spark cannot open the bucket {bucket}: it takes a bucket for a host.", hint=_SHORT)
    if not options:
        return FileAccess(f"s3://{bucket}/", f"s3a://{bucket}/")
    scheme = _scheme("s3a", identity)
    own = {f"fs.s3a.bucket.{bucket}.{name}": value for name, value in _s3_settings(bucket, options).items()}
    return FileAccess(f"s3://{bucket}/", f"{scheme}://{bucket}/", {f"fs.{scheme}.impl": S3A, **own})


def _s3_settings(bucket: str, options: Mapping[str, str]) -> dict[str, str]:
    found = {"attempts.maximum": _ATTEMPTS, **_s3_endpoint(bucket, options)}
    if _is(options, "skip_signature"):
        found["aws.credentials.provider"] = f"{_PROVIDERS}.AnonymousAWSCredentialsProvider"
    elif options.get("access_key_id"):
        simple = "TemporaryAWSCredentialsProvider" if options.get("session_token") else "SimpleAWSCredentialsProvider"
        found["aws.credentials.provider"] = f"{_PROVIDERS}.{simple}"
        found["access.key"] = options["access_key_id"]
        found["secret.key"] = options.get("secret_access_key", "")
        if options.get("session_token"):
            found["session.token"] = options["session_token"]
    if _is(options, "request_payer"):
        found["requester.pays.enabled"] = "true"
    return found


def _s3_endpoint(bucket: str, options: Mapping[str, str]) -> dict[str, str]:
    found = {}
    endpoint = options.get("endpoint", "").rstrip("/")
    if endpoint:
        hosted = _is(options, "virtual_hosted_style")  # then the address given is the bucket's own
        scheme, _, host = endpoint.rpartition("://")
        found["endpoint"] = f"{scheme or 'https'}://{host.removeprefix(f'{bucket}.') if hosted else host}"
        found["path.style.access"] = "false" if hosted else "true"
        found["connection.ssl.enabled"] = "false" if scheme == "http" else "true"
    region = options.get("region") or (_REGION if endpoint else "")
    return {**found, "endpoint.region": region} if region else found


# --- Azure -----------------------------------------------------------------------------------


def _azure(container: str, options: Mapping[str, str], account: str, identity: str) -> FileAccess:
    name = options.get("account_name") or account
    if not name:
        raise InvalidInput(
            f"Spark cannot open az://{container}: nothing names its account.",
            hint="Give a connection with account_name, or write abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/.",
        )
    host, settings = _azure_host(name, options.get("endpoint", ""))
    root = f"az://{container}/"
    if not options:
        return FileAccess(root, f"abfss://{container}@{host}/")
    scheme = _scheme("abfss", identity)
    own = {f"fs.azure.{key}.{host}": value for key, value in _azure_settings(options).items()}
    system = {f"fs.{scheme}.impl": ABFS, "fs.azure.io.retry.max.retries": _ATTEMPTS, **settings, **own}
    if settings.get(_ALWAYS) == "false":
        system[f"fs.{scheme}.impl"] = ABFS_PLAIN
    return FileAccess(root, f"{scheme}://{container}@{host}/", system)


def _azure_host(account: str, endpoint: str) -> tuple[str, dict[str, str]]:
    """The account's host, and what leads to it where it is no name of Azure's: `http://HOST:PORT/ACCOUNT`."""
    parts = urlsplit(endpoint)
    name, plain = parts.hostname or "", f"{account}.dfs.core.windows.net"
    if not endpoint:
        return plain, {}
    if name.startswith((f"{account}.blob.", f"{account}.dfs.")):
        return name.replace(f"{account}.blob.", f"{account}.dfs.", 1), {}
    if parts.path.strip("/") != account:
        raise InvalidInput(
            f"Spark cannot use the endpoint {endpoint}: it names no account.",
            hint="Write https://ACCOUNT.blob.core.windows.net, or http://HOST:PORT/ACCOUNT.",
        )
    secure = str(parts.scheme != "http").lower()
    return plain, {f"fs.azure.abfs.endpoint.{plain}": parts.netloc, _ALWAYS: secure}


def _azure_settings(options: Mapping[str, str]) -> dict[str, str]:
    if options.get("account_key"):
        return {"account.auth.type": "SharedKey", "account.key": options["account_key"]}
    if options.get("sas_token"):
        return {
            "account.auth.type": "SAS",
            "sas.token.provider.type": _FIXED_SAS,  # Hadoop 3.4.1 and newer have it
            "sas.fixed.token": options["sas_token"].lstrip("?"),
        }
    if options.get("client_secret"):
        authority = options.get("authority_host", "https://login.microsoftonline.com").rstrip("/")
        return {
            "account.auth.type": "OAuth",
            "account.oauth.provider.type": _OAUTH,
            "account.oauth2.client.id": options.get("client_id", ""),
            "account.oauth2.client.secret": options["client_secret"],
            "account.oauth2.client.endpoint": f"{authority}/{options.get('tenant_id', '')}/oauth2/token",
        }
    if _is(options, "skip_signature"):
        raise InvalidInput("Spark reads no Azure container without credentials.", hint=_SHORT)
    return {}


# --- Google ----------------------------------------------------------------------------------


def _google(options: Mapping[str, str]) -> dict[str, str]:
    """Google's connector takes no scheme but its own, so nothing is kept: each file opens a file system."""
    found = {"fs.gs.impl": GCS, "fs.gs.impl.disable.cache": "true"}
    if options.get("endpoint"):
        found["fs.gs.storage.root.url"] = options["endpoint"].rstrip("/") + "/"
    if _is(options, "skip_signature"):
        nobody = {"fs.gs.auth.service.account.enable": "false", "fs.gs.auth.null.enable": "true"}
        return {**found, **nobody, "fs.gs.auth.type": "UNAUTHENTICATED"}
    text = options.get("service_account_json") or _text(options.get("service_account_file", ""))
    return {**found, **_google_key(text)} if text else found


def _google_key(text: str) -> dict[str, str]:
    try:
        key = json.loads(text)
        parts = {name: str(key[name]) for name in ("client_email", "private_key_id", "private_key")}
    except (ValueError, KeyError, TypeError):
        # Without the parser's own words: they may repeat the key.
        raise InvalidInput(
            "The connection's service account is no JSON key with client_email, private_key_id and private_key.",
            hint="Give the file that Google Cloud made for the service account.",
        ) from None
    before = "fs.gs.auth.service.account"
    return {
        f"{before}.enable": "true",
        f"{before}.email": parts["client_email"],
        f"{before}.private.key.id": parts["private_key_id"],
        f"{before}.private.key": parts["private_key"],
    }


def _text(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise InvalidInput(
            f"service_account_file {path} could not be read ({type(error).__name__}).",
            hint="Give the path of a JSON key that this process may read.",
        ) from error


def _is(options: Mapping[str, str], name: str) -> bool:
    return options.get(name, "").strip().lower() in {"true", "yes", "on", "1"}
