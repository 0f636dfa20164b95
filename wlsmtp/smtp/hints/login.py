"""Hints about a refused login."""

from __future__ import annotations

from wlsmtp.smtp.hints.row import LOGIN, Row, any_of

_IS_OFF = r"(?:not (?:\w+ )?(?:enabled|allowed|activated|permitted|open)|disabled|switched off|turned off)"
IS_BLOCKED = (
    r"(?<!be )(?:disabled|suspended|blocked|locked|deactivated|terminated|frozen|banned|inactive|on hold|"
    r"not (?:yet )?(?:been )?(?:active|activated|approved|enabled))\b"
)
TOO_MANY_LOGINS = any_of(r"too many\b(?! (\w+ )*(connections|sessions))", r"rate limit")
"""Wording of a 4xx that every further login makes worse. Too many connections are different: using fewer helps."""
IS_WRONG = any_of(
    r"\b[45]\.7\.8\b",
    r"\b(?<!temporary )authentication (?:has )?fail(?:ed|ure)\b",
    r"\bcould not authenticate\b",
    r"\blogin fail(?:ed|ure)?\b",
    r"\b(?:invalid|incorrect|wrong|bad|unknown) (?:username|user|login|password|credential|auth)",
    r"\b(?:username|user|login|password|credentials|token)(?: \w+)? (?:invalid|incorrect|wrong|unknown|rejected)\b",
)
"""Wording that says that the credentials are wrong. Some servers use a code other than 535, even a 4xx."""
_APP_PASSWORD = "The account's own password is not accepted here: make an app password for this program, or use a token"
_TOO_MANY_REFUSED = (
    "The server has refused logins before, and blocks further ones for a while: check the user name and the password, "
    "and wait before the next try"
)
ASK_PROVIDER = "The provider has blocked the account, or not activated it yet: see its account page, or ask its support"

LOGIN_ROWS: tuple[Row, ...] = (
    # Login
    Row(
        "policy of the tenant",
        LOGIN,
        "535 5.7.139 …, the request did not meet the criteria to be authenticated successfully.",
        "A policy of the tenant (conditional access, security defaults) forbids this login: ask its "
        "administrator, or use a token",
        any_of(
            r"\bcriteria to be authenticated\b",
            r"\bconditional access\b",
        ),
    ),
    Row(
        "SMTP AUTH switched off",
        LOGIN,
        "535 5.7.139 …, SmtpClientAuthentication is disabled for the Tenant.",
        "SMTP AUTH is switched off: an administrator allows it for the mailbox with Set-CASMailbox "
        "-SmtpClientAuthenticationDisabled $false, or for the tenant with Set-TransportConfig",
        any_of(
            r"\bSmtpClientAuthentication is disabled\b",
            r"\bsmtp_auth_disabled\b",
        ),
    ),
    Row(
        "passwords switched off",
        LOGIN,
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
        "The server takes no password for this account (Microsoft 365 is switching them off): use a token, token=…",
        any_of(
            r"\bbasic auth(?:entication)? (?:\w+ ){0,2}(?:disabled|not (?:\w+ )?(?:supported|allowed|enabled)|"
            r"blocked|retired|turned off)\b",
            r"\bsecurity defaults policy\b",
            r"\blegacy auth\w*\b",
        ),
        enhanced=frozenset({"5.7.30"}),
        secret="password",
    ),
    Row(
        "this way of logging in",
        LOGIN,
        "504 5.7.4 Unrecognized authentication type",
        "The server does not take a password in this way: use a token (OAuth 2.0, token=…), or mechanisms=… that "
        "it offers",
        enhanced=frozenset({"5.7.4"}),
        secret="password",
    ),
    Row(
        "browser first",
        LOGIN,
        "534 5.7.14 Please log in via your web browser and then try again.",
        "The provider wants to see a login in a browser first: log in there with this account, then try again, or "
        "use an app password",
        any_of(
            r"\bweb ?browser\b",
            r"\bWebLoginRequired\b",
        ),
        enhanced=frozenset({"5.7.14"}),
        secret="password",
    ),
    Row(
        "app password",
        LOGIN,
        "534 5.7.9 Application-specific password required.",
        _APP_PASSWORD,
        any_of(
            r"\bapp(?:lication)?[ -]?(?:specific )?passwords?\b",
            r"\bInvalidSecondFactor\b",
            r"\bp=BadCredentials\b",
            r"\bparol prilozheniya\b",
            r"\(#AUTH\d+\)",
            r"\b(?:two|2)[ -]?(?:factor|step)\b",
            r"\bmulti-?factor\b",
            r"\b(?:2FA|MFA)\b",
        ),
        secret="password",
        provider_first=True,
    ),
    Row(
        "authorisation code",
        LOGIN,
        "535 Login Fail. Please enter your authorization code to login.",
        "Use the authorisation code from the account's settings instead of the password",
        any_of(
            r"\bauthori[sz]ation code\b",
        ),
        secret="password",
    ),
    Row(
        "mail programs not allowed",
        LOGIN,
        "535 5.7.8 …: This user does not have access rights to this service",
        "Allow mail programs (SMTP) in the account's settings; after that an app password may be needed as well",
        any_of(
            r"\bdoes not have access rights to this service\b",
            r"\buser has no permission\b",
            rf"\b(?:SMTP|POP3?|IMAP|mail clients?)\b(?! auth)(?: [\w/]+){{0,4}} {_IS_OFF}\b",
            r"\bless secure apps?\b",
            r"\bSMTP auth\w* (?:is )?(?:disabled|not enabled) (?:for|on) (?:this|your) (?:account|user|"
            r"mailbox)\b",
        ),
    ),
    Row(
        "account blocked",
        LOGIN,
        "535 5.7.13 User account disabled",
        ASK_PROVIDER,
        any_of(
            rf"\b(?:account|user|mailbox)\b[^.;]{{0,30}}\b{IS_BLOCKED}",
        ),
        enhanced=frozenset({"5.7.13", "4.7.13"}),
    ),
    Row(
        "too many failed logins",
        LOGIN,
        "421 4.7.0 Too many failed authentication attempts",
        _TOO_MANY_REFUSED,
        any_of(
            r"\btoo many (?:failed|invalid|unsuccessful|bad|wrong|incorrect)(?: \w+){0,2} (?:log ?ins?|auth\w*|"
            r"passwords?|attempts)\b",
        ),
        first_digit=4,
    ),
    Row(
        "too many logins",
        LOGIN,
        "454 4.7.0 Too many login attempts, please try again later.",
        "Log in less often: reuse one session for many messages, with fewer connections in its pool",
        TOO_MANY_LOGINS,
        first_digit=4,
    ),
    Row(
        "too many refused logins",
        LOGIN,
        "535 5.7.0 Too many failed logins",
        _TOO_MANY_REFUSED,
        any_of(
            r"\btoo many (?:\w+ ){0,3}(?:log ?ins?|auth\w*|passwords?|attempts|failures)\b",
        ),
        first_digit=5,
    ),
    Row(
        "stronger mechanism",
        LOGIN,
        "534 5.7.9 Authentication mechanism is too weak",
        "The server's policy wants a stronger mechanism for this user than the one that was used",
        any_of(
            r"\bmechanism (?:is )?too weak\b",
        ),
        enhanced=frozenset({"5.7.9"}),
    ),
    Row(
        "unreadable token",
        LOGIN,
        "501 5.5.124 Invalid XOAUTH2 auth data",
        "The server could not read the token: token=… takes the bare access token, and the user name is the whole "
        "address",
        any_of(
            r"\binvalid (?:xoauth2|oauthbearer|sasl)\b[\w ]{0,10}\bdata\b",
        ),
        enhanced=frozenset({"5.5.124"}),
        secret="token",
    ),
    Row(
        "mechanism",
        LOGIN,
        "504 PLAIN authentication is not permitted by this server.",
        "The server does not allow this mechanism: mechanisms=… or exclude_mechanisms=… chooses another",
        any_of(
            r"\b(?:invalid|unknown|unsupported|unrecogni[sz]ed|bad)\b[\w ]{0,20}\b(?:mechanism|"
            r"authentication type)\b",
            r"\bmechanism\b[\w ]{0,20}\b(?:not (?:supported|allowed|available|offered|permitted)|unsupported|"
            r"disabled)\b",
            r"\b(?:PLAIN|LOGIN|CRAM-MD5|NTLM|XOAUTH2) auth(?:entication)? (?:is )?(?:not (?:supported|allowed|"
            r"permitted)|disabled)\b",
        ),
        first_digit=5,
    ),
    Row(
        "no login here",
        LOGIN,
        "503 5.5.1 Error: authentication not enabled",
        "The server takes no login here; it may over TLS, or on its port for sending: 587 with security='tls', "
        "465 with 'ssl'",
        any_of(
            r"\b(?:auth|authentication|login)\b[\w ]{0,20}\bnot (?:enabled|available|advertised|supported)\b",
        ),
        first_digit=5,
    ),
    Row(
        "wrong credentials",
        LOGIN,
        "535 5.7.8 Error: authentication failed",
        "Check the user name (often the whole address) and the password",
        IS_WRONG,
        enhanced=frozenset({"4.7.8", "5.7.8"}),
        codes=frozenset({526, 535}),
        secret="password",
        lasting=True,
        provider_first=True,
    ),
)
"""Replies to AUTH."""
