"""Options as parameters of MAIL and RCPT: the words of the RFCs, and nothing but words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import DSN, Capabilities, DeliverBy, DeliveryOptions, ExtensionMissing, MessageError, RecipientDSN
from wlsmtp.settings.options import mail_parameters, orcpt, rcpt_parameters
from wlsmtp.wire.command import line

ALL = ("DSN", "DELIVERBY", "MT-PRIORITY MIXER", "FUTURERELEASE", "AUTH PLAIN", "REQUIRETLS")
ESMTP_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(=[!-<>-~]+)?")  # RFC 5321 §4.1.2


def offering(*offers: str) -> Capabilities:
    extensions = {offer.split()[0]: tuple(offer.split()[1:]) for offer in offers}
    return Capabilities("server", MappingProxyType(extensions))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, []),
        ({"dsn": DSN()}, []),
        ({"dsn": DSN(ret="full", envid="a+b=c d")}, ["RET=FULL", "ENVID=a+2Bb+3Dc+20d"]),
        ({"dsn": DSN(ret="headers", notify="never")}, ["RET=HDRS"]),
        ({"deliver_by": DeliverBy(within=120)}, ["BY=120;R"]),
        ({"deliver_by": DeliverBy(within=timedelta(days=1), late="notify", trace=True)}, ["BY=86400;NT"]),
        ({"deliver_by": DeliverBy(within=-60, late="notify")}, ["BY=-60;N"]),
        ({"priority": 0}, ["MT-PRIORITY=0"]),
        ({"priority": -9}, ["MT-PRIORITY=-9"]),
        ({"hold_for": 3600}, ["HOLDFOR=3600"]),
        ({"hold_until": datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)}, ["HOLDUNTIL=2027-01-02T03:04:05Z"]),
        (
            {"hold_until": datetime(2027, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))},
            ["HOLDUNTIL=2027-01-02T01:00:00Z"],
        ),
        ({"submitter": "e+mc2@example.com"}, ["AUTH=e+2Bmc2@example.com"]),
        ({"submitter": ""}, ["AUTH=<>"]),
        ({"require_tls": True}, ["REQUIRETLS"]),
        ({"priority": 3, "require_tls": True}, ["MT-PRIORITY=3", "REQUIRETLS"]),
    ],
    ids=str,
)
def test_what_mail_says(options: dict[str, Any], words: list[str]) -> None:
    assert mail_parameters(DeliveryOptions(**options), offering(*ALL)) == words


def test_without_options_nothing_is_said() -> None:
    assert mail_parameters(None, offering(*ALL)) == rcpt_parameters(None, "bob@example.org", offering(*ALL)) == []


DSN_OF_TWO = DSN(
    notify=("success", "failure"),
    recipients=(
        RecipientDSN(address="bob@EXAMPLE.org", notify="never"),
        RecipientDSN(address="cleo@example.org", original="team+x@example.org"),
    ),
)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ann@example.org", ["NOTIFY=SUCCESS,FAILURE"]),
        ("bob@example.org", ["NOTIFY=NEVER"]),
        ("Bob@example.org", ["NOTIFY=SUCCESS,FAILURE"]),
        ("cleo@example.org", ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;team+2Bx@example.org"]),
    ],
)
def test_what_rcpt_says_for_each_recipient(address: str, words: list[str]) -> None:
    assert rcpt_parameters(DeliveryOptions(dsn=DSN_OF_TWO), address, offering("DSN")) == words


@pytest.mark.parametrize(
    ("options", "keyword"),
    [
        ({"dsn": DSN(notify="success")}, "DSN"),
        ({"deliver_by": DeliverBy(within=60)}, "DELIVERBY"),
        ({"priority": 0}, "MT-PRIORITY"),
        ({"hold_for": 60}, "FUTURERELEASE"),
        ({"hold_until": datetime(2027, 1, 1, tzinfo=UTC)}, "FUTURERELEASE"),
        ({"submitter": ""}, "AUTH"),
    ],
    ids=str,
)
def test_what_is_missing_is_refused_unless_it_is_optional(options: dict[str, Any], keyword: str) -> None:
    with pytest.raises(ExtensionMissing, match=f"options.{next(iter(options))}: needs {keyword} .RFC"):
        mail_parameters(DeliveryOptions(**options), offering())
    optional = DeliveryOptions(**options | {"optional": set(options)})
    assert mail_parameters(optional, offering()) == rcpt_parameters(optional, "bob@example.org", offering()) == []


def test_tls_on_the_way_is_never_optional() -> None:
    with pytest.raises(ExtensionMissing, match=r"REQUIRETLS .* verified"):
        mail_parameters(DeliveryOptions(require_tls=True), offering())
    with pytest.raises(MessageError, match="optional"):
        DeliveryOptions(require_tls=True, optional={"require_tls"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "offer", "fits"),
    [
        ({"hold_for": 60}, "FUTURERELEASE 60 2027-01-01T00:00:00Z", True),
        ({"hold_for": 61}, "FUTURERELEASE 60 2027-01-01T00:00:00Z", False),
        ({"hold_for": 61}, "FUTURERELEASE soon", True),
        ({"hold_until": datetime(2027, 1, 1, tzinfo=UTC)}, "FUTURERELEASE 60 2027-01-01T00:00:00Z", True),
        ({"hold_until": datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC)}, "FUTURERELEASE 60 2027-01-01T00:00:00Z", False),
        ({"hold_until": datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC)}, "FUTURERELEASE 60 2027-01-01T00:00:00", True),
        ({"hold_until": datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC)}, "FUTURERELEASE 60", True),
        ({"deliver_by": DeliverBy(within=240)}, "DELIVERBY 240", True),
        ({"deliver_by": DeliverBy(within=239)}, "DELIVERBY 240", False),
        ({"deliver_by": DeliverBy(within=239, late="notify")}, "DELIVERBY 240", True),
    ],
    ids=str,
)
def test_the_limits_of_the_server_are_kept(options: dict[str, Any], offer: str, fits: bool) -> None:
    if fits:
        assert mail_parameters(DeliveryOptions(**options), offering(offer))
        return
    with pytest.raises(MessageError, match=f"options.{next(iter(options))}: server"):
        mail_parameters(DeliveryOptions(**options), offering(offer))


printable = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "))
local_parts = printable.filter(lambda text: text.isprintable() and 0 < len(text) <= 60)


def unescaped(word: str) -> str:
    """What a server reads from ORCPT."""
    kind, _, written = word.removeprefix("ORCPT=").partition(";")
    if kind == "utf-8":
        return re.sub(r"\\x\{([0-9A-F]+)\}", lambda match: chr(int(match[1], 16)), written)
    return re.sub(r"\+([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), written)


@given(local_parts)
def test_an_original_address_is_one_word_that_can_be_read_back(local: str) -> None:
    try:
        word = orcpt(f"{local}@example.org")
    except MessageError:
        assert len(local) > 30
        return
    assert ESMTP_PARAMETER.fullmatch(word)
    assert unescaped(word) == f"{local}@example.org"


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=100))
def test_an_identifier_is_one_word_that_can_be_read_back(envid: str) -> None:
    try:
        (word,) = mail_parameters(DeliveryOptions(dsn=DSN(envid=envid)), offering("DSN"))
    except MessageError:
        assert len(envid) > 33
        return
    assert ESMTP_PARAMETER.fullmatch(word) and len(word) <= len("ENVID=") + 100
    assert re.sub(r"\+(..)", lambda match: chr(int(match[1], 16)), word.removeprefix("ENVID=")) == envid


@given(
    st.builds(
        DeliveryOptions,
        deliver_by=st.none() | st.builds(DeliverBy, within=st.timedeltas(timedelta(seconds=1), timedelta(days=9999))),
        priority=st.none() | st.integers(-9, 9),
        hold_for=st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=9999)),
        submitter=st.none() | st.just("") | st.just("a@example.com"),
        require_tls=st.booleans(),
    )
)
def test_all_that_can_be_asked_for_is_words(options: DeliveryOptions) -> None:
    words = mail_parameters(options, offering(*ALL))
    assert all(ESMTP_PARAMETER.fullmatch(word) for word in words)
    assert line("MAIL FROM:<>", *words).count(b"\r\n") == 1
