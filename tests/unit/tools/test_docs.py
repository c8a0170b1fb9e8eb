"""The command that writes the generated pages."""

from __future__ import annotations

import pytest

from tools import docs


@pytest.mark.parametrize("word", ["--help", "--chekc"])
def test_a_word_that_is_not_check_writes_no_page(word, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.argv", ["docs", word])
    monkeypatch.setattr(docs, "ROOT", tmp_path)

    with pytest.raises(SystemExit):
        docs.main()

    told = capsys.readouterr()
    assert "--check" in told.out + told.err
    assert list(tmp_path.iterdir()) == []
