"""Next steps that name the cluster, and commands that store it anew with all that it was stored with."""

from __future__ import annotations

from app.spark import Endpoint
from app.spark.hints import LOGIN, NEXT, NO_TLS, hint_for

KEPT = (("--catalog", "lake"), ("-o", "conf.a=b c"), ("-o", "tls=true"), ("--secret", "header.x-key"))
WITH_CA = (("-o", "ca_file=/etc/ca.pem"), ("-o", "tls=true"))
BIG = Endpoint("spark", 15002, name="big", kept=KEPT)


def test_of_an_endpoint_without_a_name_the_hint_stays_as_it_is():
    assert hint_for(Endpoint("spark", 15002), LOGIN) == LOGIN
    assert hint_for("sc://spark:15002", NEXT) == NEXT


def test_the_name_of_the_cluster_stands_in_the_command():
    assert hint_for(BIG, NEXT).endswith(": autoloader clusters test big")


def test_a_command_that_stores_it_anew_repeats_what_it_was_stored_with():
    assert hint_for(BIG, LOGIN).endswith(
        ": autoloader clusters add big sc://spark:15002 --replace --catalog lake -o 'conf.a=b c' -o tls=true"
        " --secret header.x-key --secret token"
    )


def test_what_the_command_changes_is_not_said_twice():
    assert hint_for(BIG, NO_TLS).endswith(
        " --replace --catalog lake -o 'conf.a=b c' --secret header.x-key -o tls=false"
    )


def test_without_tls_no_file_of_authorities_is_kept():
    assert hint_for(Endpoint("spark", 15002, name="big", kept=WITH_CA), NO_TLS).endswith(" --replace -o tls=false")
