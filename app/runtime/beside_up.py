"""For a command beside a running `autoloader up` of the same home: the Prefect server that this one has started."""

from __future__ import annotations

from pydantic import SecretStr

from app.config import Settings
from app.runtime import prefect_auth, running


def settings_beside_up(settings: Settings) -> Settings:
    """The settings with that server's address and password, which no log shows from now on.

    They stay as they are when they name a server, and when no `up` runs for the home.
    """
    if "prefect_api_url" in settings.model_fields_set:
        return settings
    beside = running.seen(settings.home)
    if beside is None:
        return settings
    found = prefect_auth.auth_string_of(settings)
    return settings.model_copy(
        update={
            "prefect_api_url": f"{beside.prefect_url.rstrip('/')}/api",
            "prefect_api_auth_string": SecretStr(found),
        }
    )
