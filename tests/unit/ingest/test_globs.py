from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.ingest.globs import has_glob, matcher


@pytest.mark.parametrize(
    ("pattern", "matches", "leaves"),
    [
        ("*.csv", ["a.csv", ".csv", "new\nline.csv"], ["a.CSV", "b/a.csv", "a.csvx"]),
        ("**/*.csv", ["a.csv", "b/a.csv", "b/c/a.csv"], ["a.json", "b/a.csv/x"]),
        ("in/**", ["in/a", "in/b/c"], ["in", "inside/a"]),
        ("in/", ["in/a", "in/b/c"], ["in"]),
        ("/in/*", ["in/a"], ["in/a/b"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["az", "a/bz"]),
        ("**/**/z", ["z", "a/z", "a/b/z"], ["az"]),
        ("day=?/x", ["day=1/x", "day=é/x"], ["day=10/x", "day=//x"]),
        ("[a-c]?.[!x]", ["a1.y", "cé.1"], ["d1.y", "a1.x", "a/.y"]),
        ("[^a]", ["b"], ["a", "/"]),
        ("[*]", ["*"], ["a"]),
        ("[]]", ["]"], ["["]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[--0]", ["-", ".", "0"], ["a", "/"]),
        ("[&&~|]", ["&", "~", "|"], ["a"]),
        ("[[]a", ["[a"], ["a"]),
        ("[\\]", ["\\"], ["a"]),
        ("a\\b", ["a\\b"], ["ab"]),
        ("*.{csv,json}", ["a.csv", "a.json"], ["a.{csv,json}", "a.tsv"]),
        ("{a,b{1,2}}/*", ["a/x", "b1/x", "b2/x"], ["b/x", "c/x"]),
        ("a,b}", ["a,b}"], ["a", "b"]),
        ("a+(b).c$", ["a+(b).c$"], ["aab.c"]),
        ("日本*", ["日本語"], ["日"]),
    ],
)
def test_a_pattern_matches_what_it_says(pattern, matches, leaves):
    found = matcher((pattern,))
    assert [text for text in matches if not found(text)] == []
    assert [text for text in leaves if found(text)] == []


@pytest.mark.parametrize("pattern", ["", "/", "./", "{a", "{a,{b}", "[z-a]", "[z", "a[!"])
def test_a_pattern_that_cannot_be_is_refused_with_its_text(pattern):
    with pytest.raises(InvalidInput) as refused:
        matcher((pattern,))
    assert repr(pattern) in refused.value.message
    assert refused.value.hint


@given(st.text(min_size=1))
def test_a_plain_text_matches_itself_alone(text):
    if has_glob(text) or text.startswith(("/", "./")) or text.endswith("/"):
        return
    assert matcher((text,))(text)
    assert not matcher((text,))(f"{text}x")


@given(st.text(alphabet="ab/*?[]{},!-"))
def test_any_text_is_a_pattern_or_is_refused(text):
    try:
        matcher((text,))("a/b")
    except InvalidInput:
        return
