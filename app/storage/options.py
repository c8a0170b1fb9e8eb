"""A connection's options as the object-store library wants them, and those it must never see. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import InvalidInput

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}

# our name → the library's name
_STORE_OPTIONS: dict[str, dict[str, str]] = {
    "s3": {
        "endpoint": "endpoint",
        "region": "region",
        "access_key_id": "access_key_id",
        "secret_access_key": "secret_access_key",
        "session_token": "session_token",
        "virtual_hosted_style": "virtual_hosted_style_request",
        "request_payer": "request_payer",
        "skip_signature": "skip_signature",
        "server_side_encryption": "server_side_encryption",
        "sse_kms_key_id": "sse_kms_key_id",
    },
    "az": {
        "endpoint": "endpoint",
        "account_name": "account_name",
        "account_key": "account_key",
        "sas_token": "sas_token",
        "client_id": "client_id",
        "client_secret": "client_secret",
        "tenant_id": "tenant_id",
        "authority_host": "authority_host",
        "skip_signature": "skip_signature",
    },
    "gs": {
        "endpoint": "base_url",
        "service_account_json": "service_account_key",
        "service_account_file": "service_account",
        "skip_signature": "skip_signature",
    },
    "local": {},
}
_CLIENT_OPTIONS = {
    "allow_http": "allow_http",
    "allow_invalid_certificates": "allow_invalid_certificates",
    "ca_file": "root_certificate",
    "proxy_url": "proxy_url",
}
_BOOLEANS = {"virtual_hosted_style", "skip_signature", "request_payer", "allow_http", "allow_invalid_certificates"}
_WORD = 3  # letters: a "secret" this short would blot out ordinary text
_SECRETS = {"secret_access_key", "session_token", "account_key", "sas_token", "client_secret", "service_account_json"}


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """`store` and `client` carry the library's names; `credential` is what a connection gave as its whole identity.

    `secrets` are texts that no message may contain.
    """

    store: dict[str, str | bool] = field(default_factory=dict)
    client: dict[str, str | bool | bytes] = field(default_factory=dict)
    credential: dict[str, str | None] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


def known_options(kind: str) -> list[str]:
    """The options a connection to this kind of store may have, sorted."""
    return sorted([*_STORE_OPTIONS[kind], *(_CLIENT_OPTIONS if kind != "local" else ())])


def read_options(kind: str, options: Mapping[str, str]) -> StoreOptions:
    """Sort the options of a connection. Raises InvalidInput for unknown names and values that cannot be."""
    unknown = sorted(set(options) - set(known_options(kind)))
    if unknown:
        known = known_options(kind)
        message = f"Unknown option{'s' if len(unknown) > 1 else ''} for {kind}: {', '.join(unknown)}."
        raise InvalidInput(message, hint=f"Known: {', '.join(known)}." if known else "A folder takes no options.")
    store: dict[str, str | bool] = {}
    client: dict[str, str | bool | bytes] = {}
    for name, value in options.items():
        parsed = _boolean(name, value) if name in _BOOLEANS else value
        if name in _STORE_OPTIONS[kind]:
            store[_STORE_OPTIONS[kind][name]] = parsed
        elif name == "ca_file":
            client["root_certificate"] = _certificate(value)
        else:
            client[_CLIENT_OPTIONS[name]] = parsed
    if str(options.get("endpoint", "")).startswith("http://"):
        client.setdefault("allow_http", True)  # the address says so already
    credential = _credential(kind, options, store)
    return StoreOptions(store, client, credential, _secret_texts(options))


def _credential(kind: str, options: Mapping[str, str], store: dict[str, str | bool]) -> dict[str, str | None]:
    """The identity a connection gives in full, taken out of `store`.

    The library fills every gap from the environment: beside a connection's key it would send the session token of
    whoever started the process. A credential of its own stops that.
    """
    if kind == "s3" and ("access_key_id" in options or "secret_access_key" in options):
        _require_both(options, "access_key_id", "secret_access_key")
        for name in ("access_key_id", "secret_access_key", "session_token"):
            store.pop(name, None)
        return {
            "access_key_id": options["access_key_id"],
            "secret_access_key": options["secret_access_key"],
            "token": options.get("session_token") or None,
        }
    if kind == "az" and "account_key" in options:
        store.pop("account_key", None)
        store.pop("sas_token", None)
        return {"access_key": options["account_key"]}
    if kind == "az" and "sas_token" in options:
        store.pop("sas_token", None)
        return {"sas_token": options["sas_token"].lstrip("?")}
    return {}


def _require_both(options: Mapping[str, str], first: str, second: str) -> None:
    for one, other in ((first, second), (second, first)):
        if options.get(one) and not options.get(other):
            message = f"The connection has {one} but no {other}."
            raise InvalidInput(message, hint="Give both, or neither to use the machine's own credentials.")


def _boolean(name: str, value: str) -> bool:
    text = str(value).strip().lower()
    if text not in _TRUE | _FALSE:
        message = f"{name} is {value!r}; it must be true or false."
        raise InvalidInput(message, hint=f"Write {name}=true or {name}=false.")
    return text in _TRUE


def _certificate(path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        message = f"ca_file {path} could not be read: {error.strerror}."
        raise InvalidInput(message, hint="Give the path of a PEM file that this process may read.") from error


def _secret_texts(options: Mapping[str, str]) -> tuple[str, ...]:
    # Longest first, so that one secret inside another leaves no remainder.
    found = {str(options[name]) for name in _SECRETS & set(options) if len(str(options[name])) > _WORD}
    return tuple(sorted(found, key=len, reverse=True))
