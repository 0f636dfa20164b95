"""What a refused login means, and what to do about it: pure, from the server's words to an error with a hint."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from wlsmtp.errors import AuthenticationFailed, Stage
from wlsmtp.sasl import MECHANISMS
from wlsmtp.settings.sources import advice_for
from wlsmtp.wire.reply import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wlsmtp.sasl import Mechanism
    from wlsmtp.settings.config import SessionConfig
    from wlsmtp.wire.extensions import Capabilities
    from wlsmtp.wire.reply import Reply

_MAX_VALUE = 500

REFUSED_LOGIN_RESTS = 300.0
"""Seconds for which a server that was asked too often is left alone."""

_TOO_OFTEN = re.compile(r"too many\b(?! (\w+ )*(connections|sessions))|rate limit", re.IGNORECASE)
"""Words of a 4xx that every further login makes worse. Too many connections are another matter: fewer will do."""
_PASSES = re.compile(r"^\d+ 4\.[2-6]\.|tempora|internal|unavailable|unable|connection|time.?out|later", re.IGNORECASE)
"""Words of a 4xx that speak of the server's own trouble."""
_IS_WRONG = re.compile(
    r"\b[45]\.7\.8\b|authentication (has )?failed|could not authenticate|login failed|"
    r"(invalid|incorrect|wrong|bad|unknown) (username|user|login|password|credential|auth)|"
    r"(username|user|login|password|credentials|token)( \w+)? (invalid|incorrect|wrong|unknown|rejected)",
    re.IGNORECASE,
)
"""Words of a 4xx that say that the credentials are wrong, or the account is closed: some servers know no 535."""

_OLD_TLS = re.compile(r"\b[45]\.7\.66\b|TLS 1\.[01]\b.*not supported", re.IGNORECASE)
"""Words about the version of TLS, which will be the same next time."""

_KNOWN_REPLIES = (
    (
        r"maximum credits exceeded",
        "The account has used up its credits, or its plan has ended: see the provider's account page",
    ),
    (r"unauthori[sz]ed IP", "The provider takes mail from known IP addresses only: add this machine's to the account"),
    (r"criteria to be authenticated", "A policy of the tenant (conditional access, security defaults) forbids it"),
    (
        r"SmtpClientAuthentication is disabled",
        "SMTP AUTH is switched off: an administrator allows it for the mailbox with Set-CASMailbox "
        "-SmtpClientAuthenticationDisabled $false, or for the tenant with Set-TransportConfig",
    ),
    (
        r"basic authentication is disabled|security defaults policy",
        "Microsoft 365 takes no password for this account: use a token",
    ),
    (
        r"application-specific password required|InvalidSecondFactor",
        "The account uses two-step verification: make an app password for this program, or use a token",
    ),
    (
        _OLD_TLS.pattern,
        "The server wants a later version of TLS than the one that was agreed on: see TLS(minimum_version=…)",
    ),
    (r"^538\b|\b5\.7\.11\b|\bSTARTTLS\b", "The server wants TLS before a login: security='tls' or 'ssl'"),
    (r"\b5\.7\.9\b", "The server's policy wants a stronger mechanism for this user than the one that was used"),
)
"""What servers say when neither the name nor the secret is wrong, and what helps."""

_TOKEN_ADVICE = (
    (
        r"office365|outlook|hotmail",
        "The token needs the scope https://outlook.office.com/SMTP.Send (a user's own) or SMTP.SendAsApp (an "
        "application's, with the scope https://outlook.office365.com/.default and a right to the mailbox); the user "
        "name is the mailbox; SMTP AUTH must be allowed for it",
    ),
    (r"gmail|google", "The token needs the scope https://mail.google.com/, and the user name is the whole address"),
)
"""What the large providers want of a token, by the name of their server."""


def nothing_fits(config: SessionConfig, capabilities: Capabilities) -> AuthenticationFailed:
    """The error for a server that offers no mechanism that may, or can, be used."""
    offered = ", ".join(capabilities.mechanisms)
    what = f"only {offered}" if offered else "no authentication"
    words = f"{config.address} offers {what}, nothing for {_at_hand(config)}"
    return AuthenticationFailed(words, stage=Stage.AUTH, hint=_way_out(config, capabilities.mechanisms))


def _at_hand(config: SessionConfig) -> str:
    if config.mechanisms:
        return " or ".join(config.mechanisms)
    return "a token" if config.token else "a password"


def _way_out(config: SessionConfig, offered: tuple[str, ...]) -> str:
    if not offered:
        return "Some servers offer it only over TLS (security='tls'); auth='optional' goes on without logging in"
    if "EXTERNAL" in (name.upper() for name in config.mechanisms or ()):
        return "Servers offer EXTERNAL only to a client whose certificate they trust, over TLS"
    if config.mechanisms or config.exclude_mechanisms:
        return "Allow one that it offers, see mechanisms=… and exclude_mechanisms=…"
    known = [MECHANISMS[name] for name in (name.upper() for name in offered) if name in MECHANISMS]
    needs = "token" if config.token else "password"
    bound = [mechanism.name for mechanism in known if mechanism.binds and mechanism.is_installed]
    if bound and needs == "password":
        return f"From TLS 1.3 on, {bound[0]} is used only where mechanisms=[{bound[0]!r}] names it"
    for mechanism in known:
        if mechanism.needs == needs and not mechanism.is_installed:
            return f'{mechanism.name} would do with: pip install "wlsmtp[{mechanism.extra}]"'
    fitting = [name for name, mechanism in MECHANISMS.items() if mechanism.needs == needs]
    return f"A {needs} can be used with {', '.join(fitting)}"


def refused(config: SessionConfig, mechanism: Mechanism, reply: Reply, challenge: bytes) -> AuthenticationFailed:
    """The error for a login that the server refused; ``challenge`` is the last thing that it said before."""
    problem = read_problem(challenge) if mechanism.needs == "token" else {}
    user = f" of {config.username!r}" if config.username else ""
    words = f"{config.address} refused the login{user} with {mechanism.name}"
    if problem:
        words += f" ({', '.join(f'{name}: {value}' for name, value in problem.items())})"
    error = AuthenticationFailed(words, stage=Stage.AUTH, reply=reply)
    error.mechanism, error.problem = mechanism.name, problem
    if reply.is_transient:
        _weigh(reply, error)
    if not error.temporary:
        error.hint = _hint(config, mechanism, reply)
    return error


def _weigh(reply: Reply, error: AuthenticationFailed) -> None:
    """Find out what a 4xx means, from its words."""
    said = _said(reply)
    if _TOO_OFTEN.search(said):
        error.rests = REFUSED_LOGIN_RESTS
        error.hint = "Log in less often: one session for many messages, and fewer connections in its pool"
    elif is_about_tls(reply):
        error.is_lasting = True
    elif not _PASSES.search(said):
        error.is_lasting = _IS_WRONG.search(said) is not None


def is_about_tls(reply: Reply) -> bool:
    """Whether a login was refused because of the version of TLS."""
    return _OLD_TLS.search(_said(reply)) is not None


def read_problem(challenge: bytes) -> Mapping[str, str]:
    """The JSON in which a server says what is wrong with a token (RFC 7628 §3.2.2; XOAUTH2 has the same), made safe to
    print; empty for anything else."""
    try:
        found = json.loads(challenge)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    plain = {name: value for name, value in found.items() if isinstance(value, str | int) and value != ""}
    return {_short(name): _short(str(value)) for name, value in plain.items()}


def _short(text: str) -> str:
    return printable(text.replace("\t", " ").encode("utf-8", "backslashreplace"))[:_MAX_VALUE]


def _said(reply: Reply) -> str:
    return f"{reply.code} " + " ".join(reply.lines)


def _hint(config: SessionConfig, mechanism: Mechanism, reply: Reply) -> str:
    said = _said(reply)
    for pattern, hint in _KNOWN_REPLIES:
        if re.search(pattern, said, re.IGNORECASE):
            return hint
    match mechanism.needs:
        case "token":
            fitting = (hint for pattern, hint in _TOKEN_ADVICE if re.search(pattern, config.server, re.IGNORECASE))
            return next(fitting, "Check that the token is fresh and made for sending mail (its scope)")
        case "certificate":
            return "Check that the server trusts the client certificate, and that it may act as the user"
        case "ticket":
            return "Check that the ticket's principal (klist) may use the server"
        case _:
            return advice_for(config.server) or "Check the user name (often the whole address) and the password"
