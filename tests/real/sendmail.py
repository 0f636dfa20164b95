"""Sendmail: DELIVERBY, no SMTPUTF8 and no CHUNKING, and replies that repeat what was refused."""

from __future__ import annotations

import socket

from .namespace import HOST, UNPACKED, NamespacedServer, Plan
from .server import DOMAIN, Endpoint

MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN")

_CF = "/etc/mail/sendmail.cf"
_MC = "/etc/mail/sendmail.mc"

# What is not set here is as it comes, save what would ask the DNS, wait for a quiet machine, or answer a client that
# errs more and more slowly. m4 quotes between ` and ', and a tab divides the sides of a rule.
_CONFIGURATION = """\
divert(-1)
include(`/usr/share/sendmail/cf/m4/cf.m4')
OSTYPE(`debian')
define(`confDOMAIN_NAME', `{host_name}')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch-nodns')dnl
define(`confPRIVACY_FLAGS', `')dnl
define(`confTO_IDENT', `0')dnl
define(`confDELIVER_BY_MIN', `0')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confMAX_NOOP_COMMANDS', `0')dnl
define(`confMAX_RSET_COMMANDS', `0')dnl
define(`confMAX_MESSAGE_SIZE', `50000000')dnl
define(`confDEF_USER_ID', `catcher:catcher')dnl
define(`confEIGHT_BIT_HANDLING', `pass8')dnl
define(`confDELIVERY_MODE', `interactive')dnl
define(`confSAFE_QUEUE', `interactive')dnl
define(`confPID_FILE', `/run/sendmail.pid')dnl
define(`confHOST_STATUS_DIRECTORY', `')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Name=MTA, Family=inet, Addr=127.0.0.1, Port={plain}, M=A')dnl
DAEMON_OPTIONS(`Name=MSA, Family=inet, Addr=127.0.0.1, Port={submission}, M=a')dnl
define(`confAUTH_MECHANISMS', `{mechanisms}')dnl
TRUST_AUTH_MECH(`{mechanisms}')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupReadableSASLDBFile')dnl
MAILER(`local')dnl
MAILER(`smtp')dnl

LOCAL_CONFIG
Cw{domain}
Krefuse macro

LOCAL_RULE_0
R$* <@{domain}.> $*\t$#catch $@ $j $: $1

LOCAL_RULESETS
SLocal_check_rcpt
R$* nouser @ $*\t$#error $@ 5.1.1 $: "550 no such user here"
R$* tempfail @ $*\t$#error $@ 4.3.0 $: "451 try again later"
R$* full @ $*\t$#error $@ 4.2.2 $: "452 mailbox full"
R$* rejectdata @ $*\t$: $1 rejectdata @ $2 $(refuse {{refused}} $@ data $)
R$* rejectdot @ $*\t$: $1 rejectdot @ $2 $(refuse {{refused}} $@ dot $)
R$* deferdot @ $*\t$: $1 deferdot @ $2 $(refuse {{refused}} $@ later $)

Scheck_data
R$*\t$: $&{{refused}}
Rdata\t$#error $@ 5.7.1 $: "554 no data wanted"

Scheck_eom
R$*\t$: $&{{refused}}
Rdot\t$#error $@ 5.7.1 $: "550 content refused"
Rlater\t$#error $@ 4.7.1 $: "451 content deferred"

MAILER_DEFINITIONS
Mcatch,\tP=/usr/local/sbin/catch, F=8n, E=\\n, T=DNS/RFC822/X-Unix, A=catch $u
"""

_SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: /etc/sasldb2
"""

_CATCH = """\
#!/bin/sh
# Temporary failure (EX_TEMPFAIL), unless all is written.
file=$(mktemp {directory}/mail/tmp/XXXXXXXXXX) && cat >"$file" && mv "$file" {directory}/mail/new/ || exit 75
"""


class SendmailServer(NamespacedServer):
    """A Sendmail that gives each message to a program, which writes it to a directory."""

    name = "Sendmail 8.18"
    folder = "sendmail-8.18"
    ports = ("plain", "submission")
    username = f"ann@{DOMAIN}"
    password = "s3cret"

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The ways to reach it."""
        login = {"username": self.username, "password": self.password}
        return (
            Endpoint(self.name, self.port["plain"], HOST),
            Endpoint(f"{self.name}, AUTH", self.port["submission"], HOST, login),
        )

    def plan(self) -> Plan:
        """What is to be run."""
        configuration = _CONFIGURATION.format(
            **self.port, host_name=self.host_name, domain=DOMAIN, mechanisms=" ".join(MECHANISMS)
        )
        user, _, realm = self.username.partition("@")
        add_user = f"printf %s '{self.password}' | saslpasswd2 -c -p -f /etc/sasldb2 -u {realm} {user}"
        return Plan(
            folder=str(UNPACKED / self.folder),
            users=["smmta", "smmsp", "catcher"],
            files={
                _MC: configuration,
                "/usr/local/sbin/catch": _CATCH.format(directory=self.directory),
                "/etc/sasl2/Sendmail.conf": _SASL,
                # Otherwise it waits for the DNS to say what this machine is called in full.
                "/etc/hosts": f"127.0.0.1 {self.host_name} localhost {socket.gethostname()}\n",
            },
            directories={
                "/var/spool/mqueue": "root",
                f"{self.directory}/mail": "catcher",
                f"{self.directory}/mail/tmp": "catcher",
                f"{self.directory}/mail/new": "catcher",
            },
            commands=[
                ["chmod", "755", "/usr/local/sbin/catch"],
                ["sh", "-c", f"m4 {_MC} >{_CF}"],
                ["sh", "-c", add_user],
                ["chmod", "640", "/etc/sasldb2"],
            ],
            daemon=["/usr/libexec/sendmail/sendmail", "-bD", f"-C{_CF}"],
        )

    def stored(self) -> list[bytes]:
        """The content of every message that it has delivered, as octets."""
        return [path.read_bytes() for path in (self.directory / "mail" / "new").glob("*")]
