from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from typing import ClassVar

import pytest

from app import log
from app.errors import InvalidInput

logger = log.get_logger("test")


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    log._secrets.clear()
    log._settings.update(level=30, json=False)
    log._chain.cache_clear()
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def lines(capsys):
    """What was logged since the last call, as JSON objects."""
    log.configure("DEBUG", "json")

    def read() -> list[dict[str, object]]:
        captured = capsys.readouterr()
        assert captured.out == ""
        return [json.loads(line) for line in captured.err.splitlines()]

    return read


def test_a_line_has_time_level_name_and_values(lines):
    logger.info("A page was listed.", files=3, path="s3://b/k")

    (line,) = lines()
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "info", "logger": "test", "event": "A page was listed.", "files": 3, "path": "s3://b/k"}


def test_text_is_one_readable_line_on_standard_error(capsys):
    log.configure("INFO", "text")
    logger.warning("The file was skipped.", path="/a folder/b.csv", size=12, reason="empty")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.split(" ", 1)[1] == (
        'WARNING  The file was skipped. logger=test path="/a folder/b.csv" size=12 reason=empty\n'
    )


def test_bound_values_are_on_every_line_of_the_block_and_no_further(lines):
    with log.bound(run_id="r", ingestion_id="i"):
        logger.info("in")
        with log.bound(batch_id="b"):
            logger.info("deeper")
    logger.info("out")

    inner, deeper, outer = lines()
    assert (inner["run_id"], inner["ingestion_id"], inner.get("batch_id")) == ("r", "i", None)
    assert (deeper["run_id"], deeper["batch_id"]) == ("r", "b")
    assert "run_id" not in outer


def test_less_than_the_level_is_not_logged(capsys):
    log.configure("ERROR", "text")
    logger.warning("no")
    logging.getLogger("library").warning("no")
    logger.error("yes")

    assert capsys.readouterr().err.count("\n") == 1


def test_a_library_speaks_through_the_same_filter(lines):
    logging.getLogger("botocore").warning("using %s", "password=canary")

    (line,) = lines()
    assert line["logger"] == "botocore"
    assert line["event"] == "using password=***"


def test_a_library_with_handlers_of_its_own_is_told_by_them_alone(capsys):
    class Theirs(logging.Handler):
        told: ClassVar[list[str]] = []

        def emit(self, record: logging.LogRecord) -> None:
            self.told.append(record.getMessage())

    Theirs.__module__ = "theirs.handlers"
    logging.getLogger().addHandler(Theirs())
    log.configure("INFO", "text", except_of="theirs")

    logging.getLogger("theirs.client").warning("of theirs")
    logging.getLogger("another").warning("of another")

    assert Theirs.told == ["of theirs"]
    assert [line.split()[2:4] for line in capsys.readouterr().err.splitlines()] == [["of", "another"]]


@pytest.mark.parametrize(("level", "form"), [("LOUD", "text"), ("INFO", "xml")])
def test_bad_settings_are_refused_with_what_is_possible(level, form):
    with pytest.raises(InvalidInput) as caught:
        log.configure(level, form)
    assert "LOG_" in caught.value.hint


# --- secrets


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:canary@host:5432/db",
        "http://u:p'canary@h",
        "s3://canary@host/b",
        "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4&X-Amz-Credential=canary&X-Amz-Signature=canary",
        "https://a.blob.core.windows.net/c/k?sv=2024-01-01&sig=canary%3D",
        "https://storage.googleapis.com/b/k?GoogleAccessId=canary&Signature=canary",
        "GET /x?list-type=2&x-amz-security-token=canary HTTP/1.1",
        "Authorization: Bearer canary-canary-canary",
        "aws_secret_access_key=canary",
        '{"secret_access_key": "canary", "region": "eu"}',
        "{'password': 'canary'}",
        "AccountKey=canary;EndpointSuffix=core.windows.net",
        "token: canary",
        "-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\ncanary, and cut off",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text):
    assert "canary" not in log.redact(text)
    assert log.HIDDEN in log.redact(text)


@pytest.mark.parametrize("text", ["AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_123"])
def test_known_forms_of_keys_are_hidden(text):
    assert log.redact(f"with {text} inside") == "with *** inside"


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/folder/what?is=this&page=2",
        "s3://bucket/tokens/part-0.parquet",
        "/data/2026-01-31/a@b.csv",
        "https://host/path/x@y",
        "The column `key` has the type string.",
        "Rows 3, rescued 0",
    ],
)
def test_what_is_no_secret_stays(text):
    assert log.redact(text) == text


def test_a_registered_secret_is_hidden_in_every_place(lines):
    log.register_secret("p ss/wörd&")
    logger.info(
        "with p ss/wörd&", path="s3://b/p ss/wörd&", more={"deep": ["p%20ss%2Fw%C3%B6rd%26", "p+ss%2Fw%C3%B6rd%26"]}
    )

    (line,) = lines()
    assert line["event"] == "with ***"
    assert line["path"] == "s3://b/***"
    assert line["more"] == {"deep": ["***", "***"]}


def test_the_longer_of_two_secrets_goes_first():
    log.register_secret("abcd")
    log.register_secret("abcdef")

    assert log.redact("abcdef") == log.HIDDEN


def test_a_secret_too_short_to_be_one_does_not_hide_the_log():
    log.register_secret("a")

    assert log.redact("a banana") == "a banana"


def test_fields_with_telling_names_are_hidden_at_any_depth(lines):
    logger.info(
        "x", password="c", api_key="c", key="c", options={"session_token": "c", "deeper": [{"account_key": "c"}]}
    )

    (line,) = lines()
    assert '"c"' not in json.dumps(line)


def test_a_traceback_hides_secrets_too(lines):
    log.register_secret("canary")
    try:
        raise ValueError("postgresql://u:pw@h and canary")  # noqa: TRY301
    except ValueError:
        logger.log("error", "It failed.", exc_info=True)

    (line,) = lines()
    assert line["exception"][-1] == "ValueError: postgresql://***@h and ***"


def test_long_hostile_text_takes_no_long_time():
    begun = time.process_time()
    for text in ("a.", "?", "x-", "a", "token", "a://", "basic ", "-----BEGIN "):
        log.redact(text * (200_000 // len(text)))
    assert time.process_time() - begun < 5


# --- forged lines

HOSTILE = "a\nERROR forged\r\x1b[2J\x00\u2028\u202e\x9b\udc80z"


def test_a_value_cannot_end_its_line_or_steer_the_terminal(capsys):
    log.configure("INFO", "text")
    logger.info(HOSTILE, path=HOSTILE, options={HOSTILE: HOSTILE})

    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert "\\u202e" in written
    assert log._UNSAFE.search(written.removesuffix("\n")) is None
    assert "\x1b" not in written


def test_json_lines_stay_lines(lines):
    logger.info("x", path=HOSTILE)

    assert len(lines()) == 1


def test_an_exception_cannot_forge_a_line(capsys):
    log.configure("INFO", "text")
    try:
        raise ValueError("x\n2026-01-01T00:00:00 ERROR    forged")  # noqa: TRY301
    except ValueError:
        logger.log("error", "It failed.", exc_info=True)

    head, *rest = capsys.readouterr().err.splitlines()
    assert "It failed." in head
    assert all(line.startswith("    | ") for line in rest)


def test_nothing_heavy_is_imported_until_something_is_logged():
    code = (
        "import sys; from app import log; log.configure('WARNING'); log.get_logger('x').info('not logged')\n"
        "assert 'structlog' not in sys.modules\n"
        "log.get_logger('x').warning('logged'); assert 'structlog' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout == b""
