"""Error reporting: False, ``ErrorOccurred``, ``ErrorInfo``, each thread for itself."""

from __future__ import annotations

import threading

import pytest

from wlsmtp import errors
from wlsmtp.receipt import Receipt, RecipientResult, RecipientStatus, Status
from wlsmtp.results.reply import Reply
from wlsmtp.wlanguage import *
from wlsmtp.wlanguage.errors import CODES, failed, succeeded

BUSY = Reply(450, ("4.2.1 Busy",))


def test_after_a_success_nothing_is_wrong() -> None:
    failed(errors.SMTPError("lost"))
    assert succeeded() is True
    assert not ErrorOccurred and ErrorOccurred() is False and ErrorOccurred == False
    assert (ErrorInfo(), ErrorInfo(errCode), ErrorInfo(errFullDetails)) == ("", 0, "")


def test_after_a_failure_it_reads_as_a_variable_and_as_a_function() -> None:
    assert failed(errors.SMTPError("lost")) is False
    assert ErrorOccurred and ErrorOccurred() is True and ErrorOccurred == True
    assert repr(ErrorOccurred) == "True"
    assert ErrorInfo() == ErrorInfo(errMessage) == "lost."


def test_the_message_has_the_servers_words_and_the_advice() -> None:
    failed(errors.ContentRefused("Refused", reply=BUSY, hint="Try later"))
    assert ErrorInfo() == "Refused. The server said: 450 4.2.1 Busy. Try later."
    assert ErrorInfo(errCode) == 450


def test_the_details_have_a_line_for_each_fact() -> None:
    results = (RecipientResult("bob@example.org", RecipientStatus.REFUSED, BUSY),)
    error = errors.RecipientsRefused(
        "All refused", stage=errors.Stage.RCPT, reply=BUSY, receipt=Receipt("1", Status.ERROR, results)
    )
    failed(error)
    assert ErrorInfo(errFullDetails).splitlines() == [
        "All refused",
        "Error code: 450",
        "Stage: RCPT",
        "The server said: 450 4.2.1 Busy",
        "bob@example.org: refused 450 4.2.1 Busy",
    ]


KINDS = [kind for kind in errors.SMTPError.__subclasses__() if kind.__name__ in CODES]


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_reply_the_code_is_that_of_the_kind(kind: type[errors.SMTPError]) -> None:
    failed(kind("lost"))
    assert ErrorInfo(errCode) == CODES[kind.__name__]


def test_a_special_kind_has_the_code_of_its_general_kind() -> None:
    failed(errors.SenderRefused("lost"))
    assert ErrorInfo(errCode) == CODES["ReplyError"]
    failed(errors.SMTPError("lost"))
    assert ErrorInfo(errCode) == 99


def test_a_time_out_says_to_look_at_the_firewall() -> None:
    failed(errors.DeadlineExceeded("No greeting in time"), 587)
    assert ErrorInfo() == "No greeting in time. Check the settings of the firewall on the port used (587)."


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Use security='tls' or 'ssl'; allow_cleartext_auth=True sends it", "emailParameterClearPassword, 1"),
        ("name its certificate with TLS(ca_file=…), or TLS(trust='bundled')", "emailParameterMode, 1"),
        ("With security='default', opportunistic_tls=False goes on", "emailParameterOpportunisticTLS, 0"),
        ("auth='optional' goes on without logging in", "emailOptionSecuredTLS"),
        ("Use security='tls' (STARTTLS, customary on port 587)", "Use emailOptionSecuredTLS (STARTTLS"),
    ],
)
def test_advice_is_given_in_the_names_of_wlanguage(theirs: str, ours: str) -> None:
    failed(errors.TLSError("Not secured", hint=theirs))
    assert ours in ErrorInfo() and "=" not in ErrorInfo()


def test_fields_are_named_by_their_members() -> None:
    failed(errors.MessageError("sender: is missing; to.0: 'nobody' is no address; the text: to: be"))
    assert ErrorInfo() == "Sender: is missing; Recipient[1]: 'nobody' is no address; the text: to: be."


def test_that_nobody_can_know_goes_before_what_the_server_said() -> None:
    failed(errors.OutcomeUnknown("lost", reply=BUSY))
    assert ErrorInfo(errCode) == 10


def test_an_error_that_is_kept_holds_no_frames() -> None:
    try:
        raise errors.SMTPError("lost")
    except errors.SMTPError as error:
        failed(error)
        assert error.__traceback__ is None


def test_each_thread_has_its_own_last_error() -> None:
    failed(errors.SMTPError("mine"))
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.extend((ErrorOccurred(), failed(errors.SMTPError("theirs")))))
    thread.start()
    thread.join()
    assert seen == [False, False] and ErrorInfo() == "mine."


def test_another_constant_is_an_error() -> None:
    with pytest.raises(WLanguageError, match="errMessage, errCode or errFullDetails"):
        ErrorInfo(2)
