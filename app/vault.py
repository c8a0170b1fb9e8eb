"""Secrets at rest: AES-256-GCM under a key made from AUTOLOADER_SECRET_KEY, or from a file of its own.

A token reads `v1.<which key>.<nonce and ciphertext>`. It opens only with the same key and for the same
owner: a token copied into another connection's row does not open there.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.config import Settings
from app.errors import SecretUnreadable

KEY_FILE = "secret.key"

_VERSION = "v1"
_NONCE_BYTES = 12
_MARK_BYTES = 4
_MINIMUM_KEY_FILE = 32  # characters; ours has 43
_READABLE_BY_OTHERS = 0o077


class Vault:
    """Encrypts and decrypts. The key file is made when the first secret is encrypted, not before."""

    def __init__(self, *, secret_key: str, key_file: Path) -> None:
        """`secret_key` is any text; when it is empty, `key_file` holds the key."""
        self._text = secret_key
        self._file = key_file
        self._key: bytes | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Vault:
        return cls(secret_key=settings.autoloader_secret_key.get_secret_value(), key_file=settings.home / KEY_FILE)

    def encrypt(self, secret: str, *, owner: str) -> str:
        """A token that only `decrypt` with the same `owner` opens. Raises SecretUnreadable for a bad key file."""
        key = self._load(create=True)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(key).encrypt(nonce, secret.encode(), _bound(owner))
        return f"{_VERSION}.{_mark(key)}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def decrypt(self, token: str, *, owner: str) -> str:
        """What was encrypted. Raises SecretUnreadable: another key, another owner, or a damaged token."""
        version, mark, body = _parts(token)
        if version != _VERSION:
            message = f"A stored secret has the form {version[:8]!r}, which this version does not know."
            raise SecretUnreadable(message, hint="Upgrade the Autoloader on this machine.")
        key = self._load(create=False)
        if mark != _mark(key):
            message = f"A stored secret was encrypted with another key than the one from {self._origin}."
            raise SecretUnreadable(
                message, hint="Give back the earlier key, or store the secret anew: autoloader connections add"
            )
        try:
            sealed = base64.b64decode(body, altchars=b"-_", validate=True)
            return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound(owner)).decode()
        except (InvalidTag, binascii.Error, ValueError) as exc:
            message = "A stored secret is damaged, or was moved from another connection."
            raise SecretUnreadable(message, hint="Store it anew: autoloader connections add") from exc

    def sign(self, message: str, *, purpose: str) -> str:
        """What only an owner of the key can make of `message`; the same on each machine that has the key."""
        key = _derive(self._load(create=True), b"sign " + purpose.encode(), 32)
        made = hmac.digest(key, message.encode(), "sha256")
        return base64.urlsafe_b64encode(made).decode().rstrip("=")

    @property
    def _origin(self) -> str:
        return "AUTOLOADER_SECRET_KEY" if self._text else str(self._file)

    def _load(self, *, create: bool) -> bytes:
        if self._key is None:
            text = self._text or _read_key_file(self._file, create=create)
            self._key = _derive(text.encode(), b"encryption", 32)
        return self._key


def _derive(material: bytes, purpose: bytes, length: int) -> bytes:
    info = b"iomete-autoloader vault v1 " + purpose
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(material)


def _mark(key: bytes) -> str:
    """Tells keys apart without telling anything about them."""
    return _derive(key, b"mark", _MARK_BYTES).hex()


def _bound(owner: str) -> bytes:
    return f"{_VERSION}:{owner}".encode()


def _parts(token: str) -> tuple[str, str, str]:
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - version, mark, body
        message = "A stored secret is damaged: it is not a token of ours."
        raise SecretUnreadable(message, hint="Store it anew: autoloader connections add")
    return parts[0], parts[1], parts[2]


# --- the key file ----------------------------------------------------------------------------


def _read_key_file(path: Path, *, create: bool) -> str:
    if create and not path.exists():
        _create_key_file(path)
    try:
        with path.open(encoding="ascii") as file:
            mode = os.fstat(file.fileno()).st_mode  # of the very file that is read
            text = file.read().strip()
    except FileNotFoundError as exc:
        message = f"There is no key: AUTOLOADER_SECRET_KEY is empty and {path} does not exist."
        raise SecretUnreadable(message, hint="Give back the key that the secrets were encrypted with.") from exc
    except (OSError, UnicodeDecodeError) as exc:
        message = f"The key file {path} cannot be read ({type(exc).__name__})."
        raise SecretUnreadable(message, hint="Mend the file, or set AUTOLOADER_SECRET_KEY.") from exc
    if mode & _READABLE_BY_OTHERS:
        message = f"The key file {path} can be read by others (mode {mode & 0o777:04o})."
        raise SecretUnreadable(message, hint=f"Run: chmod 600 {path}; then change the secrets that it protects.")
    if len(text) < _MINIMUM_KEY_FILE:
        message = f"The key file {path} is damaged: it holds {len(text)} characters."
        raise SecretUnreadable(message, hint="Give back the key that the secrets were encrypted with.")
    return text


def _create_key_file(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        _write_once(path, draft)
    except OSError as exc:
        message = f"The key file {path} cannot be made ({exc.strerror})."
        raise SecretUnreadable(message, hint="Make its folder writable, or set AUTOLOADER_SECRET_KEY.") from exc


def _write_once(path: Path, draft: Path) -> None:
    """Complete or not at all, and only once: whoever is second keeps the first one's key."""
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            os.fchmod(handle, 0o600)  # whatever the umask
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(handle)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
