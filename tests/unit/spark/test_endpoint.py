from __future__ import annotations

import pytest

from app.errors import InvalidInput
from app.spark import Endpoint, endpoint_of

URL = "sc://spark.example.com:15002"
CANARY = "canary-7f3a9c2e5b"


def test_what_is_not_said_has_a_default():
    assert endpoint_of(URL, {}) == Endpoint("spark.example.com", 15002, user="autoloader", max_sessions=4)


def test_options_say_the_rest():
    options = {
        "tls": "true",
        "ca_file": "/etc/ca.pem",
        "user": "etl",
        "max_sessions": "2",
        "header.X-Tenant": "a",
        "conf.spark.sql.shuffle.partitions": "8",
    }

    assert endpoint_of(URL, options, catalog="lake") == Endpoint(
        "spark.example.com",
        15002,
        tls=True,
        ca_file="/etc/ca.pem",
        user="etl",
        max_sessions=2,
        catalog="lake",
        headers=(("x-tenant", "a"),),
        conf=(("spark.sql.shuffle.partitions", "8"),),
    )


@pytest.mark.parametrize(("word", "own"), [("cluster", True), ("connection", False)])
def test_whose_credentials_read_the_sources_can_be_said(word, own):
    assert endpoint_of(URL, {"source_access": word}).own_credentials is own


@pytest.mark.parametrize(("options", "tls"), [({}, True), ({"tls": "false"}, False)])
def test_a_token_asks_for_tls_unless_it_is_switched_off(options, tls):
    made = endpoint_of(URL, options, CANARY)

    assert (made.tls, made.has_token, made.headers) == (tls, True, (("authorization", f"Bearer {CANARY}"),))


def test_neither_its_text_nor_its_form_for_programmers_shows_a_secret():
    made = endpoint_of(URL, {"header.x-api-key": CANARY, "conf.fs.s3a.secret.key": CANARY}, CANARY)

    assert CANARY not in f"{made} {made!r}"
    assert str(made) == URL


def test_an_address_of_ipv6_keeps_its_brackets():
    assert str(endpoint_of("sc://[::1]:15002", {})) == "sc://[::1]:15002"


@pytest.mark.parametrize(
    "options",
    [
        {"colour": CANARY},
        {"tls": "maybe"},
        {"source_access": "mine"},
        {"max_sessions": "0"},
        {"user": "a b"},
        {"header.grpc-timeout": CANARY},
        {"header.x-key-bin": CANARY},
        {"header.user-agent": CANARY},
        {"header.x y": CANARY},
        {"header.x-key": f"{CANARY}\n"},
        {"conf.": CANARY},
    ],
)
def test_an_option_that_cannot_be_is_refused_by_its_name_alone(options):
    with pytest.raises(InvalidInput) as refused:
        endpoint_of(URL, options)

    (name,) = options
    assert f"The option {name} " in str(refused.value)
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("token", ["", " ", f"{CANARY}\n", f"{CANARY}é"])
def test_a_token_that_no_call_can_carry_is_refused_without_repeating_it(token):
    with pytest.raises(InvalidInput) as refused:
        endpoint_of(URL, {}, token)

    assert CANARY not in str(refused.value)
