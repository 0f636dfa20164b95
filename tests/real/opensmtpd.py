"""OpenSMTPD: no PIPELINING and no CHUNKING, and a parser that has little in common with the others."""

from __future__ import annotations

from .namespace import HOST, UNPACKED, NamespacedServer, Plan
from .server import DOMAIN, Endpoint

_CONFIGURATION = """\
table domains {{ "{domain}" }}
table everybody {{ "@" = catcher }}
table nouser {{ "nouser@{domain}" }}
table tempfail {{ "tempfail@{domain}" }}
table full {{ "full@{domain}" }}
smtp max-message-size "50M"

filter "nouser" phase rcpt-to match rcpt-to <nouser> reject "550 5.1.1 no such user here"
filter "tempfail" phase rcpt-to match rcpt-to <tempfail> reject "451 4.3.0 try again later"
filter "full" phase rcpt-to match rcpt-to <full> reject "452 4.2.2 mailbox full"
filter "content" proc-exec "/usr/local/sbin/refuse-content" user catcher
filter "all" chain {{ "nouser", "tempfail", "full", "content" }}

listen on 127.0.0.1 port {plain} hostname {host_name} filter "all"
action "catch" maildir "{directory}/mail" virtual <everybody>
match from any for domain <domains> action "catch"
"""

# smtpd-filters(7): built-in filters do not know the recipients when the content comes. A line is
# report|version|time|smtp-in|event|session|... or filter|version|time|smtp-in|phase|session|token|...
_REFUSE_CONTENT = """\
#!/usr/bin/perl
use strict;
$| = 1;
my %recipients;
while (my $line = <STDIN>) {
    chomp $line;
    my ($kind, undef, undef, undef, $event, $session, @rest) = split /\\|/, $line;
    if ($line eq "config|ready") {
        print "register|report|smtp-in|$_\\n" for qw(tx-begin tx-rcpt);
        print "register|filter|smtp-in|$_\\n" for qw(data commit);
        print "register|ready\\n";
    } elsif ($kind eq "report") {
        $recipients{$session} = $event eq "tx-begin" ? "" : "$recipients{$session} @rest";
    } elsif ($kind eq "filter") {
        my $answer = "proceed";
        $answer = "reject|554 5.7.1 no data wanted" if $event eq "data" && $recipients{$session} =~ /rejectdata@/;
        $answer = "reject|550 5.7.1 content refused" if $event eq "commit" && $recipients{$session} =~ /rejectdot@/;
        $answer = "reject|451 4.7.1 content deferred" if $event eq "commit" && $recipients{$session} =~ /deferdot@/;
        print "filter-result|$session|$rest[0]|$answer\\n";
    }
}
"""


class OpenSMTPDServer(NamespacedServer):
    """An OpenSMTPD whose refusals are its own and those of a filter."""

    name = "OpenSMTPD 7.4"
    folder = "opensmtpd-7.4"
    ports = ("plain",)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The ways to reach it."""
        return (Endpoint(self.name, self.port["plain"], HOST),)

    def plan(self) -> Plan:
        """What is to be run."""
        return Plan(
            folder=str(UNPACKED / self.folder),
            users=["opensmtpd", "opensmtpq", "catcher"],
            files={
                "/etc/smtpd.conf": _CONFIGURATION.format(
                    **self.port, host_name=self.host_name, directory=self.directory, domain=DOMAIN
                ),
                "/usr/local/sbin/refuse-content": _REFUSE_CONTENT,
            },
            directories={f"{self.directory}/mail": "catcher"},
            commands=[["chmod", "755", "/usr/local/sbin/refuse-content"]],
            daemon=["/usr/sbin/smtpd", "-F"],
        )

    def stored(self) -> list[bytes]:
        """The content of every message that it has delivered, as octets."""
        return [path.read_bytes() for path in (self.directory / "mail" / "new").glob("*")]
