"""Which of CPython's tests of ``smtplib`` cannot pass with ``wlsmtp.contrib.smtplib``, and why."""

from __future__ import annotations

_SINGLE_COMMANDS = "there is no way to send single commands: a session sends messages"
_OWN_SOCKET = "it replaces the socket module that smtplib has imported"

LEFT_OUT = {
    "(SMTP|LMTP)GeneralTests.(?!testTimeoutZero|testQuoteData).*|BadHELOServerTests.*": _OWN_SOCKET,
    "DefaultArgumentsTests.*": "it replaces methods of smtplib and looks at how they call each other",
    ".*(testEXPN.*|testVRFY|testSecondHELO|testHELP|escape_options|low_level_API)": _SINGLE_COMMANDS,
    ".*(testAUTH_LOGIN_initial.*|testAUTH_BUGGY|test_auth_function|response_auth)": _SINGLE_COMMANDS,
    ".*escape_localhostname": "a name with a line end is refused when the session is made, not when it is used",
    ".*test_smtputf8_NotSupportedError_if_no_server_support": "BODY and SMTPUTF8 are for the session to choose",
    ".*test_send_unicode_without_SMTPUTF8|.*SMTPUTF8_via_sendmail": "a name without a domain is ASCII",
    ".*test_send_message_uses_smtputf8_if_addrs_non_ascii": (
        "header fields are encoded words there too: those who read no raw UTF-8 read them as well"
    ),
    ".*testSendMessageResent": "what could be a part of a name, as Jeff in 'Martha <my_mom@…>, Jeff', is refused",
    ".*test_with_statement_QUIT_failure": "what becomes of QUIT is no failure of a message",
    ".*test__rest_from_mail_cmd": "that the server has hung up behind its 451 is found out before the next message",
    ".*test_421_from_mail_cmd": "after 421 over a kept connection the message is delivered over a new one",
    ".*test_421_from_rcpt_cmd": "the next recipient is named behind 421 too, as some servers stay; this one breaks",
    ".*test_lowercase_mail_from_rcpt_to": "commands are in upper case, as in all examples of RFC 5321",
}
"""Patterns of names, each with the reason."""
