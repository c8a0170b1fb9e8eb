from __future__ import annotations

import pytest

from app.catalog.alone import check_alone, cluster_alone
from app.catalog.open import check_options, open_catalog
from app.errors import InvalidInput


def test_the_type_cluster_names_the_cluster_that_alone_reaches_the_catalog():
    assert cluster_alone({"type": "cluster", "cluster": "big"}) == "big"
    assert cluster_alone({"type": "sql", "cluster": "big"}) is None
    check_options("far", {"type": "cluster", "cluster": "big"})


@pytest.mark.parametrize(
    ("options", "said"),
    [({}, "needs the name of the cluster"), ({"cluster": "big", "warehouse": "/w"}, "has no option warehouse")],
)
def test_options_that_say_no_cluster_or_more_than_that_are_refused(options, said):
    with pytest.raises(InvalidInput, match=said):
        check_alone("far", {"type": "cluster", **options})


def test_such_a_catalog_is_not_opened_from_here_and_the_engine_is_named():
    with pytest.raises(InvalidInput, match="reached by the cluster big alone") as refused:
        open_catalog("far", {"type": "cluster", "cluster": "big"})
    assert refused.value.hint == "Load on it: engine: big (of load: --engine big)"
