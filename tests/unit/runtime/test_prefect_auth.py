from __future__ import annotations

import base64

import pytest

from app import log as app_log
from app.config import Settings
from app.errors import InvalidInput
from app.runtime.prefect_auth import auth_string


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    monkeypatch.setattr(app_log, "_secrets", set())


@pytest.fixture
def settings(tmp_path):
    return Settings(autoloader_home=tmp_path, prefect_api_auth_string="")


def test_it_is_made_once_for_its_owner_alone(settings):
    made = auth_string(settings)
    file = settings.home / "prefect.auth"

    assert made.startswith("autoloader:")
    assert (file.read_text(), file.stat().st_mode & 0o777) == (made + "\n", 0o600)
    assert auth_string(settings) == made
    assert [path.name for path in settings.home.iterdir()] == ["prefect.auth"]


def test_no_log_shows_it_in_any_of_its_forms(settings):
    made = auth_string(settings)
    encoded = base64.b64encode(made.encode()).decode()

    assert app_log.redact(f"{made} {made.partition(':')[2]} {encoded}") == "*** *** ***"


@pytest.mark.parametrize(("text", "mode"), [("autoloader:short", 0o600), ("é", 0o600), (None, 0o644)])
def test_one_that_is_damaged_or_that_others_can_read_is_made_anew(settings, text, mode):
    before = auth_string(settings)
    file = settings.home / "prefect.auth"
    file.write_text(before if text is None else text, encoding="utf-8")
    file.chmod(mode)

    after = auth_string(settings)

    assert after != before
    assert (file.read_text().strip(), file.stat().st_mode & 0o777) == (after, 0o600)


def test_one_that_a_person_set_is_taken_and_not_stored(tmp_path):
    settings = Settings(autoloader_home=tmp_path, prefect_api_auth_string="me:my-own-password")

    assert auth_string(settings) == "me:my-own-password"
    assert list(tmp_path.iterdir()) == []


def test_where_it_cannot_be_kept_the_next_step_is_told(tmp_path):
    settings = Settings(autoloader_home=tmp_path / "missing", prefect_api_auth_string="")

    with pytest.raises(InvalidInput, match=r"cannot be kept in .*prefect\.auth: No such file") as caught:
        auth_string(settings)
    assert caught.value.hint == "Mend the rights of AUTOLOADER_HOME, or set PREFECT_API_AUTH_STRING."
