from __future__ import annotations

import re

from app.values import BATCH_TRANSITIONS, FILE_TRANSITIONS
from tools.docs import states


def test_the_page_of_states_draws_every_move_that_is_allowed_and_no_other():
    drawn = [re.findall(r"^ +(\w+) --> (\w+)$", part, re.MULTILINE) for part in states().split("## A batch")]
    for moves, transitions in zip(drawn, (FILE_TRANSITIONS, BATCH_TRANSITIONS), strict=True):
        assert sorted(moves) == sorted((old, new) for old, targets in transitions.items() for new in targets)
