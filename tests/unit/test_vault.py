from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import Settings
from app.errors import SecretUnreadable
from app.vault import KEY_FILE, Vault


@pytest.fixture
def key_file(tmp_path):
    return tmp_path / "home" / KEY_FILE


@given(secret=st.text(), owner=st.text())
def test_what_goes_in_comes_out(tmp_path_factory, secret, owner):
    vault = Vault(secret_key="any text", key_file=tmp_path_factory.getbasetemp() / "never")

    assert vault.decrypt(vault.encrypt(secret, owner=owner), owner=owner) == secret


def test_the_same_secret_never_looks_the_same(key_file):
    vault = Vault(secret_key="k", key_file=key_file)

    assert len({vault.encrypt("hunter2", owner="a") for _ in range(100)}) == 100


def test_a_token_shows_neither_secret_nor_key(key_file):
    token = Vault(secret_key="the-key-canary", key_file=key_file).encrypt("the-secret-canary", owner="a")

    assert "canary" not in token
    assert token.startswith("v1.")


def test_another_key_is_told_apart_with_the_next_step(key_file):
    token = Vault(secret_key="one", key_file=key_file).encrypt("s", owner="a")

    with pytest.raises(SecretUnreadable, match="another key than the one from AUTOLOADER_SECRET_KEY") as caught:
        Vault(secret_key="two", key_file=key_file).decrypt(token, owner="a")
    assert "connections add" in caught.value.hint


def test_a_token_does_not_open_for_another_owner(key_file):
    vault = Vault(secret_key="one", key_file=key_file)

    with pytest.raises(SecretUnreadable, match="moved from another connection"):
        vault.decrypt(vault.encrypt("s", owner="a"), owner="b")


def test_every_changed_character_of_a_token_is_noticed(key_file):
    vault = Vault(secret_key="one", key_file=key_file)
    token = vault.encrypt("some secret", owner="a")

    for at in range(len(token)):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(SecretUnreadable):
            vault.decrypt(changed, owner="a")


@pytest.mark.parametrize("token", ["", "v1", "v1..", "v1.é.ü", "plain password", "v9.00000000.AAAA"])
def test_what_is_no_token_is_refused(key_file, token):
    with pytest.raises(SecretUnreadable):
        Vault(secret_key="one", key_file=key_file).decrypt(token, owner="a")


def test_the_key_file_is_made_at_the_first_secret_for_its_owner_alone(key_file):
    vault = Vault(secret_key="", key_file=key_file)
    assert not key_file.exists()

    token = vault.encrypt("s", owner="a")

    assert key_file.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in key_file.parent.iterdir()] == [KEY_FILE]
    assert Vault(secret_key="", key_file=key_file).decrypt(token, owner="a") == "s"


def test_reading_never_makes_a_key(key_file):
    token = Vault(secret_key="one", key_file=key_file).encrypt("s", owner="a")

    with pytest.raises(SecretUnreadable, match="There is no key"):
        Vault(secret_key="", key_file=key_file).decrypt(token, owner="a")
    assert not key_file.exists()


def test_processes_that_begin_at_once_agree_on_one_key(key_file):
    code = (
        "import sys; from pathlib import Path; from app.vault import Vault\n"
        "vault = Vault(secret_key='', key_file=Path(sys.argv[1])); sys.stdin.read(1)\n"
        "print(vault.encrypt('s', owner='a'))"
    )
    command = [sys.executable, "-c", code, str(key_file)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    tokens = [process.communicate("x", timeout=180)[0].strip() for process in processes]

    vault = Vault(secret_key="", key_file=key_file)
    assert [vault.decrypt(token, owner="a") for token in tokens] == ["s"] * 4


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660])
def test_a_key_file_that_others_can_read_is_refused(key_file, mode):
    Vault(secret_key="", key_file=key_file).encrypt("s", owner="a")
    key_file.chmod(mode)

    with pytest.raises(SecretUnreadable, match=f"mode {mode:04o}") as caught:
        Vault(secret_key="", key_file=key_file).encrypt("s", owner="a")
    assert f"chmod 600 {key_file}" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 50])
def test_a_damaged_key_file_is_refused_and_left_alone(key_file, content):
    key_file.parent.mkdir()
    key_file.write_bytes(content)
    key_file.chmod(0o600)

    with pytest.raises(SecretUnreadable, match=str(key_file)):
        Vault(secret_key="", key_file=key_file).encrypt("s", owner="a")
    assert key_file.read_bytes() == content


def test_a_home_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")

    with pytest.raises(SecretUnreadable, match="cannot be"):
        Vault(secret_key="", key_file=tmp_path / "home" / KEY_FILE).encrypt("s", owner="a")


def test_the_umask_does_not_matter(key_file):
    before = os.umask(0o777)
    try:
        key_file.parent.parent.joinpath("home").mkdir(mode=0o700)
        key_file.parent.chmod(0o700)
        Vault(secret_key="", key_file=key_file).encrypt("s", owner="a")
    finally:
        os.umask(before)

    assert key_file.stat().st_mode & 0o777 == 0o600


def test_settings_decide_which_key(tmp_path):
    own = Vault.from_settings(Settings(autoloader_home=tmp_path, autoloader_secret_key="text"))
    token = own.encrypt("s", owner="a")

    assert not (tmp_path / KEY_FILE).exists()
    with pytest.raises(SecretUnreadable, match="There is no key"):
        Vault.from_settings(Settings(autoloader_home=tmp_path)).decrypt(token, owner="a")
