"""The certification authorities that Prefect's clients trust, read once for all forks."""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any

from prefect.client import orchestration
from prefect.settings import get_current_settings


class _Ssl:
    """The module `ssl`, as Prefect's clients use it; but the authorities of a file are read only when it is new."""

    def __getattr__(self, name: str) -> Any:
        return getattr(ssl, name)

    @staticmethod
    def create_default_context(*arguments: Any, cafile: str | None = None, **named: Any) -> ssl.SSLContext:
        """As `ssl.create_default_context`; a context that trusts a file's authorities and nothing else is shared."""
        if arguments or named or cafile is None:
            return ssl.create_default_context(*arguments, cafile=cafile, **named)
        return _trusting(cafile, Path(cafile).stat().st_mtime_ns)


def share() -> None:
    """Read them now, for this process and its forks: a run makes two clients, and each took 0.07 s of CPU for it.

    Changes nothing where a release of Prefect gets its authorities in another way.
    """
    used = vars(orchestration)
    if not {"ssl", "certifi"} <= used.keys():
        return
    orchestration.ssl = _Ssl()  # type: ignore[attr-defined,assignment] # it has what is used
    usual = used["certifi"].where()  # where the clients look when no setting names a file
    _Ssl.create_default_context(cafile=get_current_settings().api.ssl_cert_file or usual)


@lru_cache(maxsize=4)
def _trusting(cafile: str, changed: int) -> ssl.SSLContext:
    del changed  # of the key alone
    return ssl.create_default_context(cafile=cafile)
