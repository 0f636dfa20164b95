"""The real server that the programs of the docs send to."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.real.postfix import what_is_missing
from tests.recipes.postfix import MailServer, RecipesPostfix, end


@pytest.fixture(scope="session")
def recipes_postfix() -> Iterator[RecipesPostfix]:
    """One Postfix for all of them; without it they are skipped, and fail where CI is "true"."""
    if (reason := what_is_missing()) is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    server = RecipesPostfix()
    server.start()
    yield server
    server.stop()
    end(server.policy)


@pytest.fixture
def mail_server(recipes_postfix: RecipesPostfix) -> Iterator[MailServer]:
    """A port of it, for mail without TLS and AUTH."""
    server = MailServer(recipes_postfix)
    yield server
    server.close()
    recipes_postfix.refusals.clear()


@pytest.fixture
def submission(recipes_postfix: RecipesPostfix) -> Iterator[MailServer]:
    """A port of it with STARTTLS, where ann@example.com logs in with s3cret."""
    server = MailServer(recipes_postfix, "recipes")
    yield server
    server.close()
    recipes_postfix.refusals.clear()
