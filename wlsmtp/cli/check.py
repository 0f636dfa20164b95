"""``wlsmtp check``: the opening of a connection stage by stage, up to the login, with the failure if any; then the
server's behaviour for commands that have no effect.

The stages are derived from what ``verify()`` returns or raises, and from the conversation; nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wlsmtp.cli.report import error_as_json
from wlsmtp.cli.screen import Screen, masked
from wlsmtp.cli.words import in_options
from wlsmtp.errors import ConfigError, SMTPError, Stage
from wlsmtp.events import Event, Line
from wlsmtp.io import certificate, engine
from wlsmtp.results.plain import tls_as_dict
from wlsmtp.results.secured import TLSInfo
from wlsmtp.session import SMTPSession
from wlsmtp.settings.config import Security, SessionConfig
from wlsmtp.smtp.connection import ServerInfo
from wlsmtp.smtp.quirks import BEHAVIOURS, Behaviour, Trust

SETTINGS, CONNECT, GREETING, EHLO, TLS, AUTH, OFFERS = STAGES = (
    "settings", "connect", "greeting", "EHLO", "TLS", "AUTH", "offers",
)  # fmt: skip
_NAMES = {
    Stage.SETTINGS: SETTINGS,
    Stage.CONNECT: CONNECT,
    Stage.GREETING: GREETING,
    Stage.EHLO: EHLO,
    Stage.STARTTLS: TLS,
    Stage.TLS: TLS,
    Stage.AUTH: AUTH,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One stage: passed (True), failed (False) or not done (None), and what happened."""

    name: str
    passed: bool | None
    detail: str = ""


@dataclass(slots=True)
class Hearing:
    """A listener that records the conversation."""

    lines: list[Line] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Record a line."""
        if isinstance(event, Line):
            self.lines.append(event)

    @property
    def greeting(self) -> str:
        """The server's greeting."""
        return next((line.text for line in self.lines if line.who == "server"), "")

    @property
    def ehlo(self) -> str:
        """The last EHLO or HELO of this side."""
        said = [line.text for line in self.lines if line.who == "client"]
        return next((text for text in reversed(said) if text.upper().startswith(("EHLO", "HELO", "LHLO"))), "")

    @property
    def said_starttls(self) -> bool:
        """True if STARTTLS was sent."""
        return any(line.who == "client" and line.text == "STARTTLS" for line in self.lines)


@dataclass(frozen=True, slots=True)
class Findings:
    """The results of the check."""

    steps: tuple[Step, ...]
    server: str | None = None
    info: ServerInfo | None = None
    error: SMTPError | None = None
    behaviour: Mapping[str, str] = field(default_factory=dict)
    """The detected behaviour of the server, by the names of ``session.findings``."""

    @property
    def exit_code(self) -> int:
        """0: everything works; 2: invalid settings; 1: anything else."""
        if self.error is None:
            return 0
        return 2 if isinstance(self.error, ConfigError) else 1


def check(make_config: Callable[[Hearing], SessionConfig]) -> Findings:
    """Connect and log in once. ``make_config`` creates the settings around the listener. Never raises ``SMTPError``."""
    hearing = Hearing()
    try:
        config = make_config(hearing)
    except ConfigError as error:
        return Findings(_failed(STAGES, SETTINGS, {}, error), error=error)
    try:
        with SMTPSession(config) as session:
            info = session.verify()
            steps = _success_steps(config, hearing, info)
            behaviour = session.examine()
    except SMTPError as error:
        return Findings(_failure_steps(config, hearing, error), config.address, error=error)
    return Findings(steps, config.address, info, behaviour=behaviour)


def _order(config: SessionConfig) -> tuple[str, ...]:
    """Return the stages in order: TLS from the first byte comes before the greeting."""
    if config.security is Security.SSL:
        return (SETTINGS, CONNECT, TLS, GREETING, EHLO, AUTH, OFFERS)
    return STAGES


def _details(config: SessionConfig, hearing: Hearing) -> dict[str, str]:
    how = f", security {config.security}, user {config.username or '(none)'}" if config.transport is None else ""
    return {
        SETTINGS: config.address + how,
        CONNECT: config.address,
        GREETING: hearing.greeting,
        EHLO: hearing.ehlo,
    }


def _success_steps(config: SessionConfig, hearing: Hearing, info: ServerInfo) -> tuple[Step, ...]:
    details = _details(config, hearing) | {
        TLS: _secured_by(info.tls) if info.tls else "the connection is not encrypted",
        AUTH: f"logged in as {info.username or '(unnamed)'} with {info.mechanism}" if info.mechanism else "no login",
        OFFERS: str(info.capabilities),
    }
    if not hearing.lines:  # no server was asked, but a program or a directory of this machine
        return tuple(
            Step(name, True if name in (SETTINGS, CONNECT) else None, info.server if name == CONNECT else "")
            for name in _order(config)
        )
    not_done = {TLS: info.tls is None, AUTH: info.mechanism is None}
    return tuple(Step(name, None if not_done.get(name) else True, details[name]) for name in _order(config))


def _secured_by(tls: TLSInfo) -> str:
    """Return protocol, cipher and certificate in words."""
    shown = tls.certificate
    words = [str(tls)]
    if shown is not None:
        words += [f"certificate of {shown.subject}"] if shown.subject else []
        words += [f"issued by {shown.issuer}"] if shown.issuer else []
        words += [f"valid until {shown.not_after:%Y-%m-%d}"] if shown.not_after else []
        words.append(f"SHA-256 {shown.fingerprint}")
    return ", ".join(words) + ("" if tls.verified else "; not verified")


def _failure_steps(config: SessionConfig, hearing: Hearing, error: SMTPError) -> tuple[Step, ...]:
    order, details = _order(config), _details(config, hearing)
    where = _NAMES.get(error.stage) if error.stage else None
    where = where or (AUTH if hearing.lines else CONNECT)
    skipped = set()
    if config.security is not Security.SSL and where != TLS and not hearing.said_starttls:
        skipped, details[TLS] = {TLS}, "the connection is not encrypted" if where == AUTH else ""
    return _failed(order, where, details, error, skipped)


def _failed(
    order: tuple[str, ...],
    where: str,
    details: dict[str, str],
    error: SMTPError,
    skipped: set[str] | frozenset[str] = frozenset(),
) -> tuple[Step, ...]:
    """Return the stages: those before the failing one passed, those after it were not done."""
    at = order.index(where)
    before = tuple(Step(name, None if name in skipped else True, details.get(name, "")) for name in order[:at])
    return (
        *before,
        Step(where, False, masked(in_options(error.message))),
        *(Step(name, None) for name in order[at + 1 :]),
    )


def show_findings(screen: Screen, findings: Findings) -> None:
    """Show the stages to people; under the failing one the server's words and what to do."""
    for step in findings.steps:
        screen.line(screen.mark(step.passed), f" {step.name:<9} {step.detail}".rstrip())
        if step.passed is False and findings.error is not None:
            _show_advice(screen, findings.error)
    if findings.info is not None and findings.behaviour:
        screen.line()
        screen.line("The server's behaviour, probed without sending mail:")
        for behaviour in BEHAVIOURS:
            trust = Trust(findings.behaviour[behaviour.name])
            words = f" {behaviour.title}: {_in_words(behaviour, trust, findings.info)}"
            screen.line("  ", screen.mark(_SIGNS[trust]), words)


_SIGNS = {Trust.PROVEN: True, Trust.BROKEN: False, Trust.UNPROVEN: None}


def _in_words(behaviour: Behaviour, trust: Trust, info: ServerInfo) -> str:
    if trust is Trust.PROVEN:
        return "works"
    if trust is Trust.BROKEN:
        return f"does not work; instead: {behaviour.fallback}"
    if missing := [name for name in behaviour.extensions if name not in info.capabilities]:
        return f"not offered ({', '.join(missing)})"
    return "only mail shows it" if behaviour.needs_mail else "unknown"


def shown_certificate(error: SMTPError | None) -> dict[str, Any] | None:
    """Return the content of a certificate that was not accepted, as plain values; None if there was none."""
    cause = error.__cause__ if error is not None else None
    if not isinstance(cause, Exception) or (shown := engine.shown_certificate(cause)) is None:
        return None
    subject, issuer = certificate.subject_and_issuer(shown)
    return {
        "names": certificate.names_in(shown),
        "subject": subject,
        "issuer": issuer,
        "not_after": str(shown.get("notAfter", "")),
        "fingerprint": engine.shown_fingerprint(cause),
    }


def _show_certificate(screen: Screen, shown: dict[str, Any]) -> None:
    label = ("            certificate: ", "dim")
    screen.line(label, f"for {', '.join(shown['names']) or 'no name'}")
    screen.line(label, f"of {shown['subject']}, issued by {shown['issuer']}, valid until {shown['not_after']}")
    if shown["fingerprint"]:
        screen.line(label, f"SHA-256 {shown['fingerprint']}")


def _show_advice(screen: Screen, error: SMTPError) -> None:
    if error.reply is not None:
        screen.line(("            the server said: ", "dim"), str(error.reply))
    if (shown := shown_certificate(error)) is not None:
        _show_certificate(screen, shown)
    if error.hint:
        screen.line(("            hint: ", "bold"), masked(in_options(error.hint)))


_STATES = {True: "passed", False: "failed", None: "not done"}


def findings_as_json(findings: Findings) -> dict[str, Any]:
    """Return the same as plain values."""
    info = findings.info
    return {
        "ok": findings.error is None,
        "server": findings.server,
        "steps": [{"name": step.name, "state": _STATES[step.passed], "detail": step.detail} for step in findings.steps],
        "tls": tls_as_dict(info.tls if info else None),
        "username": info.username if info else None,
        "mechanism": info.mechanism if info else None,
        "capabilities": {name: list(words) for name, words in info.capabilities.extensions.items()} if info else None,
        "findings": dict(findings.behaviour),
        "certificate": shown_certificate(findings.error),
        "error": error_as_json(findings.error),
    }
