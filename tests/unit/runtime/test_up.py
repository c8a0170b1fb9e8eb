from __future__ import annotations

import pytest

from app.config import Settings
from app.errors import InvalidInput
from app.runtime.up import _with_ports


def test_a_port_that_is_0_becomes_one_that_is_free():
    chosen = _with_ports(_ports(0, 0), 0.0)

    assert chosen.autoloader_api_port != chosen.autoloader_prefect_port
    assert min(chosen.autoloader_api_port, chosen.autoloader_prefect_port) > 0


def test_one_port_is_not_enough_for_both():
    with pytest.raises(InvalidInput) as caught:
        _with_ports(_ports(4280, 4280), 0.0)

    assert str(caught.value) == (
        "API and Prefect server cannot both listen on port 4280. "
        "Give one of them another: --api-port or --prefect-port."
    )


def _ports(api, prefect):
    return Settings().model_copy(update={"autoloader_api_port": api, "autoloader_prefect_port": prefect})
