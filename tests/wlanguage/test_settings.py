"""The time-out and the parameters, which hold for the whole program."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import TLS, Timeouts
from wlsmtp.wlanguage import *
from wlsmtp.wlanguage.settings import fields, outbox


def test_by_default_a_server_may_be_silent_for_ten_minutes() -> None:
    assert EmailGetTimeOut() == 600
    assert fields()["timeout"] == Timeouts.of(600)


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [(10, 10), (0.5, 0.5), (timedelta(minutes=2), 120), ("1 s", 1), ("250 ms", 0.25), ("2 min 30 s", 150),
     ("1h", 3600), ("1.5 s", 1.5), ("1 day", 86400)],
)  # fmt: skip
def test_the_time_out_is_a_number_a_duration_or_a_text(duration: float | timedelta | str, seconds: float) -> None:
    EmailSetTimeOut(duration)
    assert EmailGetTimeOut() == seconds
    assert fields()["timeout"] == Timeouts.of(seconds)


def test_whole_seconds_come_back_as_a_whole_number() -> None:
    EmailSetTimeOut(10.0)
    assert repr(EmailGetTimeOut()) == "10"


@pytest.mark.parametrize(
    "duration", [0, -1, float("nan"), float("inf"), "", "soon", "10", "1 s soon", None, True, "0 s"]
)
def test_what_is_no_time_is_an_error_and_changes_nothing(duration: object) -> None:
    with pytest.raises(WLanguageError, match="EmailSetTimeOut"):
        EmailSetTimeOut(duration)  # type: ignore[arg-type]
    assert EmailGetTimeOut() == 600


@given(st.integers(1, 864_000))
def test_what_is_set_is_what_is_got(seconds: int) -> None:
    EmailSetTimeOut(EmailGetTimeOut())
    EmailSetTimeOut(seconds)
    assert EmailGetTimeOut() == seconds


def test_by_default_all_is_as_safe_as_in_a_session() -> None:
    assert fields()["tls"] == TLS() and outbox("ann", "smtp.example.com", 25) == "memory:"
    assert (fields()["allow_cleartext_auth"], fields()["opportunistic_tls"]) == (False, True)


def test_parameters_change_what_sessions_are_started_with() -> None:
    EmailConfigure(emailParameterMode, 1)
    EmailConfigure(emailParameterCAFile, "/etc/ca.pem")
    EmailConfigure(emailParameterClearPassword, 1)
    EmailConfigure(emailParameterOpportunisticTLS, 0)
    EmailConfigure(emailParameterSpooler, "spool")
    assert fields()["tls"] == TLS(trust="bundled", ca_file="/etc/ca.pem")
    assert (fields()["allow_cleartext_auth"], fields()["opportunistic_tls"]) == (True, False)
    assert outbox("ann", "smtp.example.com", 25).startswith("sqlite:///spool/ann")
    EmailConfigure(emailParameterMode, 0)
    assert fields()["tls"].trust == "system"


@pytest.mark.parametrize(("parameter", "value"), [(2, 1), (emailParameterMode, 2), (emailParameterCAFile, 1)])
def test_another_parameter_or_value_is_an_error(parameter: int, value: int) -> None:
    with pytest.raises(WLanguageError, match="EmailConfigure"):
        EmailConfigure(parameter, value)


def test_authorities_that_are_not_installed_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wlsmtp.wlanguage.settings.find_spec", lambda name: None)
    with pytest.raises(WLanguageError, match=r'pip install "wlsmtp\[certifi\]"'):
        EmailConfigure(emailParameterMode, 1)
    EmailParamètre(emailParamètreMode, 0)
    assert fields()["tls"].trust == "system"
