"""The table of providers: well-formed, without doubles, and every row makes valid settings."""

from __future__ import annotations

import re

import pytest

from wlsmtp import ConfigError, PoolLimits, SessionConfig
from wlsmtp.presets import LIMITS, PRESETS, advice_for

ROWS = PRESETS.items()
URL = "smtp://ann:s3cret-Pa55@localhost"


def test_there_are_many_and_those_of_the_original() -> None:
    assert len(ROWS) >= 40
    assert {"gmail", "orange", "free"} <= set(PRESETS)


@pytest.mark.parametrize(("name", "row"), ROWS, ids=PRESETS)
def test_a_row_is_well_formed(name: str, row: dict[str, object]) -> None:
    assert set(row) == {"title", "server", "port", "security", "aliases", "domains", "advice"}
    assert name == name.lower() and re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", str(row["server"]))
    assert (row["port"], row["security"]) in {(465, "ssl"), (587, "tls")}
    assert str(row["advice"]).endswith(".")
    config = SessionConfig.from_preset(name, username="ann", password="x")
    assert (config.server, config.port, config.security) == (row["server"], row["port"], row["security"])
    assert advice_for(config.server)


def test_no_name_means_two_providers() -> None:
    names = [name for main, row in ROWS for name in (main, *row["aliases"], *row["domains"])]
    assert len(names) == len(set(names))


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    with pytest.raises(ConfigError, match="gmail"):
        SessionConfig.from_preset("gmial")


@pytest.mark.parametrize("given", [URL, "gmail:s3cret", "ann@gmail.com s3cret", "gmail, s3cret", "s3cret" * 20])
def test_what_does_not_look_like_a_provider_is_not_repeated(given: str) -> None:
    with pytest.raises(ConfigError, match="is not known") as caught:
        SessionConfig.from_preset(given)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("server", "advice"),
    [
        ("smtp.gmail.com.", "app password"),
        ("SMTP.Gmail.COM", "app password"),
        ("smtp.googlemail.com", "app password"),
        ("email-smtp.eu-north-1.amazonaws.com", "SMTP credentials"),
        ("email-smtp-fips.us-gov-west-1.amazonaws.com.", "SMTP credentials"),
        ("smtp.yandex.ru", "mail programs"),
        ("smtp.yandex.com.tr", "mail programs"),
        ("xx0pr00ca0000.outlook.office365.com", "SMTP.Send"),
        ("smtppro.zoho.in", "application-specific"),
        ("p00-smtp.mail.me.com", "app-specific"),
        ("smtp-relay.sendinblue.com", "SMTP key"),
    ],
)
def test_advice_is_found_for_the_other_names_of_a_provider(server: str, advice: str) -> None:
    assert advice in str(advice_for(server))


@pytest.mark.parametrize(
    "server",
    ["", ".", "mail.example.com", "smtp.gmail.com.example.net", "notsmtp.yandex.ru", "s3.amazonaws.com", "10.0.0.5"],
)
def test_the_server_of_somebody_else_gets_no_advice(server: str) -> None:
    assert advice_for(server) is None


@pytest.mark.parametrize("name", LIMITS)
def test_a_preset_brings_its_limits_along(name: str) -> None:
    assert SessionConfig.from_preset(name).pool == PoolLimits(**LIMITS[name])
    mine = PoolLimits(max_connections=2)
    assert SessionConfig.from_preset(name, pool=mine).pool == mine


def test_what_microsoft_365_and_amazon_ses_allow() -> None:
    office, ses = SessionConfig.from_preset("office365").pool, SessionConfig.from_preset("ses").pool
    assert (office.max_connections, office.rate) == (3, "30/minute")
    assert ses.idle_timeout is not None and ses.idle_timeout < 10
    assert SessionConfig.from_preset("gmail").pool == PoolLimits()


def test_amazon_ses_in_a_region_without_a_row() -> None:
    config = SessionConfig.from_preset("ses-eu-north-1")
    assert (config.server, config.port, config.security) == ("email-smtp.eu-north-1.amazonaws.com", 587, "tls")
    assert config.pool == SessionConfig.from_preset("ses").pool
    with pytest.raises(ConfigError, match="is not known"):
        SessionConfig.from_preset("ses-nowhere")
