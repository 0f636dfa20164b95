"""The table of hints: each refusal gets the hint that is meant for it, and no other one."""

from __future__ import annotations

import re

import pytest

from tests.smtp.page import PAGE, replaced
from tests.smtp.refusals import PROFILES, REPLIES, STAGES, reply
from wlsmtp.errors import ContentRefused, SMTPError, Stage
from wlsmtp.results.reply import Reply
from wlsmtp.smtp.hints import ROWS, advise, hint_for, row_for
from wlsmtp.smtp.hints.row import Row, Scene
from wlsmtp.testing import profiles

NAMED = {row.situation: row for row in ROWS}


def name_of(row: Row | None) -> str | None:
    return row.situation if row is not None else None


def scene_of(row: Row) -> Scene:
    """One in which a row may fit."""
    return Scene(
        is_secure=bool(row.secure), has_login=bool(row.login), secret="token" if row.secret == "token" else "password"
    )


def test_the_situations_have_names_of_their_own() -> None:
    assert len(NAMED) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=NAMED)
def test_a_row_is_meant_for_its_own_example_at_each_of_its_stages(row: Row) -> None:
    assert [name_of(row_for(stage, reply(row.like), scene_of(row))) for stage in row.stages] == (
        [row.situation] * len(row.stages)
    )


@pytest.mark.parametrize("row", [row for row in ROWS if row.hint is not None])
def test_a_hint_is_one_or_two_plain_sentences(row: Row) -> None:
    assert row.hint is not None and row.hint[0].isupper() and row.hint[-1] not in ".!"
    assert row.hint.count(". ") <= 1 and len(row.hint) <= 220


@pytest.mark.parametrize(("stage", "text", "situation"), REPLIES)
def test_a_refusal_is_read_by_its_words(stage: Stage, text: str, situation: str | None) -> None:
    assert name_of(row_for(stage, reply(text))) == situation


@pytest.mark.parametrize(("name", "what"), PROFILES)
def test_a_provider_s_refusal_is_read_by_its_words(name: str, what: str) -> None:
    situation = profiles()[name].situations[what]
    found = row_for(STAGES[situation.stage], reply(situation.reply), Scene((profiles()[name].host,)))
    assert name_of(found) == PROFILES[name, what]


def test_every_refusal_of_the_profiles_is_in_the_list() -> None:
    told = {(name, what): one.reply for name, profile in profiles().items() for what, one in profile.situations.items()}
    assert {key for key, text in told.items() if text[0] in "45"} == set(PROFILES)


@pytest.mark.parametrize(
    ("host", "said", "advice"),
    [
        ("smtp.gmail.com", "535 5.7.8 https://support.google.com/mail/?p=BadCredentials x - gsmtp", "app password"),
        ("smtp.mail.me.com", "535 5.7.8 Error: authentication failed", "app-specific"),
        ("SMTP.MAIL.ME.COM.", "535 5.7.8 Error: authentication failed", "app-specific"),
        ("smtp.mailgun.org", "535 5.7.0 Mailgun is not loving your login or password", "SMTP credentials"),
        (
            "smtp.office365.com",
            "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
            "token",
        ),
        ("smtp.sendgrid.net", "451 Authentication failed: Could not authenticate", "apikey"),
        ("email-smtp.eu-north-1.amazonaws.com", "535 Authentication Credentials Invalid", "SMTP credentials"),
        ("smtp.yandex.ru", "535 5.7.8 Error: authentication failed", "mail programs"),
        ("smtp.mail.ru", "535 5.7.0 NEOBHODIM parol prilozheniya / Application password is REQUIRED", "external"),
        ("mail.example.com", "535 5.7.8 Authentication credentials invalid.", "user name"),
        ("mail.example.com", "526 Authentication failure[0]", "password"),
        ("mail.example.com", "535 5.7.0 (#AUTH005) Too many bad auth attempts.", "app password"),
    ],
)
def test_at_the_login_the_provider_s_own_advice_is_better(host: str, said: str, advice: str) -> None:
    hint = hint_for(Stage.AUTH, reply(said), Scene((host, "an.alias.example")))
    assert hint is not None and advice in hint
    assert hint_for(Stage.AUTH, reply(said), Scene(("an.alias.example", host))) == hint  # as it calls itself


def test_what_is_done_already_is_not_advised() -> None:
    wants_tls, wants_login = (
        reply("530 5.7.0 Must issue a STARTTLS command first"),
        reply("530 Authentication required"),
    )
    assert "security='tls'" in str(hint_for(Stage.MAIL, wants_tls))
    assert hint_for(Stage.MAIL, wants_tls, Scene(is_secure=True)) is None
    assert "username" in str(hint_for(Stage.MAIL, wants_login))
    assert "username" not in str(hint_for(Stage.MAIL, wants_login, Scene(has_login=True)))


def test_who_shows_a_token_is_not_told_to_make_an_app_password() -> None:
    for said in (
        "535 5.7.8 https://support.google.com/mail/?p=BadCredentials",
        "550 5.7.30 Basic authentication is off",
    ):
        assert hint_for(Stage.AUTH, reply(said), Scene(("smtp.gmail.com",), secret="token")) is None


@pytest.mark.parametrize("text", ["250 2.0.0 Message infected by virus: queued as 4711", "220 Anti-spam GT", "354 go"])
def test_what_is_no_refusal_gets_none(text: str) -> None:
    assert {row_for(stage, reply(text)) for stage in Stage} == {None}


def test_an_error_keeps_the_hint_that_it_has_and_the_server_that_it_names() -> None:
    no = Reply(552, ("5.3.4 Message too big",))
    error: SMTPError = ContentRefused("no", stage=Stage.CONTENT, reply=no)
    advise(error, Scene(), "a.example:587")
    assert error.hint == NAMED["size"].hint and error.server == "a.example:587"
    error.hint = "Mine"
    advise(error, Scene(), "b.example:587")
    assert (error.hint, error.server) == ("Mine", "a.example:587")


def test_a_long_reply_costs_no_time() -> None:
    """Nothing that a server says makes the search grow faster than its words, which are cut."""
    for words in (
        "message " * 20_000,
        "a" * 60_000,
        "sender a@b " * 9000,
        "https://x/?" + "&p" * 30_000,
        "too many " * 9000,
    ):
        for stage in Stage:
            row_for(stage, Reply(554, (words,)))


def test_every_row_with_words_has_them_in_small_letters_too() -> None:
    for row in ROWS:
        pattern = row.words if isinstance(row.words, re.Pattern) or row.words is None else row.words.compiled
        assert pattern is None or pattern.flags & re.IGNORECASE


def test_the_page_shows_the_table_of_now() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == replaced(page), "run: python -m tests.smtp.page"
    assert all(row.hint in page for row in ROWS if row.hint is not None)
