"""The page shows what the servers do, observed once more."""

from __future__ import annotations

import pytest

from .page import PAGE, names_on, rows_of
from .probes import observe
from .registry import ENDPOINTS, RunningServers, endpoint_of


@pytest.mark.parametrize("name", ENDPOINTS)
def test_the_page_shows_what_the_server_does(name: str, real_servers: RunningServers) -> None:
    registered = ENDPOINTS[name]
    server = real_servers.get(registered.make, registered.what_is_missing)
    page = PAGE.read_text(encoding="utf-8")
    for row in rows_of(name, observe(endpoint_of(server, name))):
        assert row in page, "run: python -m tests.real.page"


def test_every_server_is_in_both_tables_and_no_other() -> None:
    assert names_on(PAGE.read_text(encoding="utf-8")) == [*ENDPOINTS, *ENDPOINTS]
