"""The table of providers: well-formed, without doubles, and every row makes valid settings."""

from __future__ import annotations

import re

import pytest

from wlsmtp import ConfigError, SessionConfig
from wlsmtp.presets import PRESETS
from wlsmtp.settings.sources import advice_for

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


def test_a_url_in_place_of_a_provider_is_not_repeated() -> None:
    with pytest.raises(ConfigError, match="is not known") as caught:
        SessionConfig.from_preset(URL)
    assert "s3cret" not in str(caught.value)
