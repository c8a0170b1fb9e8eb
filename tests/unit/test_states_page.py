from __future__ import annotations

import re

import pytest

from app.values import BATCH_TRANSITIONS, FILE_TRANSITIONS
from tools.docs import states


@pytest.mark.parametrize(("part", "transitions"), [(0, FILE_TRANSITIONS), (1, BATCH_TRANSITIONS)])
def test_the_page_of_states_draws_every_move_that_is_allowed_and_no_other(part, transitions):
    drawn = re.findall(r"^ +(\w+) --> (\w+)$", states().split("## A batch")[part], re.MULTILINE)
    assert sorted(drawn) == sorted((old, new) for old, targets in transitions.items() for new in targets)
