"""The password of the Prefect server that `autoloader up` starts."""

from __future__ import annotations

import base64
import os
import re
import secrets
from pathlib import Path

from app.config import Settings
from app.errors import InvalidInput
from app.log import register_secret

FILE = "prefect.auth"
_OURS = re.compile(r"autoloader:[\w-]{32,}")
_READABLE_BY_OTHERS = 0o077


def auth_string(settings: Settings) -> str:
    """PREFECT_API_AUTH_STRING, else the one in `prefect.auth` (mode 0600), made once; from now on no log shows it.

    A file that others can read, or that is damaged, is written anew: nothing rests on the password staying the same.
    Raises InvalidInput when it cannot be written. Call it for a home that is locked.
    """
    path = settings.home / FILE
    return _hidden(settings.prefect_api_auth_string.get_secret_value() or _read(path) or _made(path))


def auth_string_of(settings: Settings) -> str:
    """The same, for who has not locked the home: nothing is written. Empty when there is none that can be used.

    Raises InvalidInput when the file cannot be read.
    """
    return _hidden(settings.prefect_api_auth_string.get_secret_value() or _read(settings.home / FILE))


def _hidden(text: str) -> str:
    if text:
        for secret in (text, text.partition(":")[2], base64.b64encode(text.encode()).decode()):
            register_secret(secret)
    return text


def _read(path: Path) -> str:
    """What it holds; empty for a file that others can read, that is damaged, or that is not there."""
    try:
        with path.open(encoding="ascii") as file:
            mode, text = os.fstat(file.fileno()).st_mode, file.read().strip()
        if _OURS.fullmatch(text) and not mode & _READABLE_BY_OTHERS:
            return text
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    except OSError as error:
        raise _unusable(path, error) from error
    return ""


def _made(path: Path) -> str:
    text = f"autoloader:{secrets.token_urlsafe(32)}"
    draft = path.with_name(f"{path.name}.new")
    try:
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            os.fchmod(handle, 0o600)  # whatever the umask
            file.write(text + "\n")
        draft.replace(path)
    except OSError as error:
        raise _unusable(path, error) from error
    return text


def _unusable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"The password of the Prefect server cannot be kept in {path}: {error.strerror}.",
        hint="Mend the rights of AUTOLOADER_HOME, or set PREFECT_API_AUTH_STRING.",
    )
