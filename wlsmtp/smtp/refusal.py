"""Explains a refused login: pure, from the server's words to an error with a hint."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from wlsmtp.errors import AuthenticationFailed, Stage
from wlsmtp.sasl import MECHANISMS, mechanism_named
from wlsmtp.smtp.hints import hint_for
from wlsmtp.smtp.hints.login import IS_WRONG, TOO_MANY_LOGINS
from wlsmtp.smtp.hints.row import Scene
from wlsmtp.smtp.hints.session import OLD_TLS
from wlsmtp.wire.reply import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wlsmtp.results.reply import Reply
    from wlsmtp.sasl import Mechanism
    from wlsmtp.settings.config import SessionConfig
    from wlsmtp.wire.extensions import Capabilities

NOT_UNDERSTOOD = frozenset({500, 501, 502, 503, 504, 530, 538})
"""Replies that say nothing about the secret; the last two require TLS first (RFC 3207 §4, RFC 4954 §6)."""

_MAX_VALUE = 500

REFUSED_LOGIN_RESTS = 300.0
"""Seconds for which a server that was asked too often gets no further login."""

_PASSES = re.compile(r"^\d+ 4\.[2-6]\.|tempora|internal|unavailable|unable|connection|time.?out|later", re.IGNORECASE)
"""Wording of a 4xx about the server's own trouble."""
_TOKEN_ADVICE = (
    (
        r"office365|outlook|hotmail",
        "The token needs the scope https://outlook.office.com/SMTP.Send (a user's own) or SMTP.SendAsApp (an "
        "application's, with the scope https://outlook.office365.com/.default and a right to the mailbox); the user "
        "name is the mailbox; SMTP AUTH must be allowed for it",
    ),
    (r"gmail|google", "The token needs the scope https://mail.google.com/, and the user name is the whole address"),
)
"""What the large providers require of a token, by the name of their server."""


def nothing_fits(config: SessionConfig, capabilities: Capabilities) -> AuthenticationFailed:
    """Return the error for a server that offers no mechanism that may, or can, be used."""
    offered = ", ".join(capabilities.mechanisms)
    what = f"only {offered}" if offered else "no authentication"
    words = f"{config.address} offers {what}, nothing for {_at_hand(config)}"
    return AuthenticationFailed(words, stage=Stage.AUTH, hint=_advice(config, capabilities.mechanisms))


def _at_hand(config: SessionConfig) -> str:
    if config.mechanisms:
        return " or ".join(config.mechanisms)
    return "a token" if config.token else "a password"


def _advice(config: SessionConfig, offered: tuple[str, ...]) -> str:
    if not offered:
        return "Some servers offer it only over TLS (security='tls'); auth='optional' goes on without logging in"
    if "EXTERNAL" in (name.upper() for name in config.mechanisms or ()):
        return "Servers offer EXTERNAL only to a client whose certificate they trust, over TLS"
    has = "token" if config.token else "password"
    offers = {name.upper() for name in offered}
    for name in config.mechanisms or ():
        mechanism = mechanism_named(name)
        if mechanism is not None and name.upper() in offers and {has, mechanism.needs} == {"token", "password"}:
            return f"{mechanism.name} needs a {mechanism.needs}, {mechanism.needs}=…, and the session has a {has}"
    if config.mechanisms or config.exclude_mechanisms:
        return "Allow one that it offers, see mechanisms=… and exclude_mechanisms=…"
    known = [MECHANISMS[name] for name in (name.upper() for name in offered) if name in MECHANISMS]
    bound = [mechanism.name for mechanism in known if mechanism.binds and mechanism.is_installed]
    if bound and has == "password":
        return f"From TLS 1.3 on, {bound[0]} is used only where mechanisms=[{bound[0]!r}] names it"
    for mechanism in known:
        if mechanism.needs == has and not mechanism.is_installed:
            return f'{mechanism.name} would do with: pip install "wlsmtp[{mechanism.extra}]"'
    fitting = [name for name, mechanism in MECHANISMS.items() if mechanism.needs == has]
    return f"A {has} can be used with {', '.join(fitting)}"


def refused(
    config: SessionConfig, mechanism: Mechanism, reply: Reply, challenge: bytes, scene: Scene | None = None
) -> AuthenticationFailed:
    """Return the error for a login that the server refused. ``challenge`` is the last challenge before the refusal."""
    problem = read_problem(challenge) if mechanism.needs == "token" else {}
    user = f" of {config.username!r}" if config.username else ""
    words = f"{config.address} refused the login{user} with {mechanism.name}"
    if problem:
        words += f" ({', '.join(f'{name}: {value}' for name, value in problem.items())})"
    error = AuthenticationFailed(words, stage=Stage.AUTH, reply=reply)
    error.mechanism, error.problem = mechanism.name, problem
    if reply.is_transient:
        _weigh(reply, error)
    error.hint = _hint(mechanism, error, scene or Scene((config.server,)))
    return error


def _weigh(reply: Reply, error: AuthenticationFailed) -> None:
    """Classify a 4xx by its wording."""
    text = _text_of(reply)
    if TOO_MANY_LOGINS.search(text):
        error.rests = REFUSED_LOGIN_RESTS
    elif is_about_tls(reply):
        error.is_lasting = True
    elif not _PASSES.search(text):
        error.is_lasting = IS_WRONG.search(text) is not None


def is_about_tls(reply: Reply) -> bool:
    """Return whether a login was refused because of the version of TLS."""
    return OLD_TLS.search(_text_of(reply)) is not None


def read_problem(challenge: bytes) -> Mapping[str, str]:
    """Return the JSON in which a server says what is wrong with a token (RFC 7628 §3.2.2, and XOAUTH2), safe to print.
    Empty for anything else."""
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


def _text_of(reply: Reply) -> str:
    return f"{reply.code} " + " ".join(reply.lines)


def _hint(mechanism: Mechanism, error: AuthenticationFailed, scene: Scene) -> str | None:
    """Return what to do: by the server's words, else by the kind of secret, if that is what the server refused."""
    assert error.reply is not None
    needs = mechanism.needs
    known = replace(scene, secret=needs if needs in ("password", "token") else "other", may_pass=error.temporary)
    if (hint := hint_for(Stage.AUTH, error.reply, known)) is not None:
        return hint
    if error.temporary or error.reply.code in NOT_UNDERSTOOD:
        return None
    match needs:
        case "token":
            servers = " ".join(scene.names)
            fitting = (hint for pattern, hint in _TOKEN_ADVICE if re.search(pattern, servers, re.IGNORECASE))
            return next(fitting, "Check that the token is fresh and made for sending mail (its scope)")
        case "certificate":
            return "Check that the server trusts the client certificate, and that it may act as the user"
        case "ticket":
            return "Check that the ticket's principal (klist) may use the server"
        case _:
            return None
