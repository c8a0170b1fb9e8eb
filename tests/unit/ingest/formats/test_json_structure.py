"""Where a JSON document's brackets and commas are."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from app.ingest.formats.json_document import structure

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='"\\[]{},:\nx', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='"\\,]x', max_size=3), inner, max_size=3)
    ),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None)
@given(value=st.lists(VALUES, min_size=1), indent=st.sampled_from([None, 1]))
def test_commas_of_depth_one_are_between_the_elements(value, indent):
    text = json.dumps(value, indent=indent, ensure_ascii=False).encode()
    marks, depth = structure(text, 0)
    cuts = [int(m) for m, d in zip(marks, depth, strict=True) if d == 1 and text[m : m + 1] == b","]
    [end] = [int(m) for m, d in zip(marks, depth, strict=True) if d == 0]
    parts = [text[a + 1 : b] for a, b in zip([0, *cuts], [*cuts, end], strict=True)]
    assert [json.loads(part) for part in parts] == value
