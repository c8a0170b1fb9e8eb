"""What the process that forks runs must have, and what it can do without."""

from __future__ import annotations

import sys

import pytest

from app.prefect import zygote


def test_a_module_that_another_release_of_prefect_has_no_more_does_not_stop_a_worker(monkeypatch):
    monkeypatch.setattr(zygote, "PRELOADED", ("json",))
    monkeypatch.setattr(zygote, "AHEAD", ("prefect._internal.gone", "gone._of_another", "colorsys"))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)

    zygote.import_all()

    assert "colorsys" in sys.modules


def test_without_the_flow_there_is_no_worker(monkeypatch):
    monkeypatch.setattr(zygote, "PRELOADED", ("app.prefect.flows.gone",))

    with pytest.raises(ModuleNotFoundError, match=r"app\.prefect\.flows\.gone"):
        zygote.import_all()


def test_all_that_a_run_imports_is_there_in_the_releases_that_are_pinned():
    zygote.import_all()

    assert set(zygote.AHEAD) <= set(sys.modules)
