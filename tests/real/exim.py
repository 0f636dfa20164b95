"""Exim: per-recipient replies after the content, limits that stay under 421, and strict synchronisation."""

from __future__ import annotations

import socket
import ssl

import trustme

import wlsmtp

from .namespace import HOST, UNPACKED, NamespacedServer, Plan
from .server import DOMAIN, Endpoint

MAIL_LIMIT = 10
RECIPIENT_LIMIT = 5

# What is not set here is as Exim has it when nobody sets it, save what would keep mail waiting or send it out.
_CONFIGURATION = """\
primary_hostname = {host_name}
domainlist ours = {domain}
local_interfaces = 127.0.0.1
daemon_smtp_ports = {ports}
tls_on_connect_ports = {implicit}
log_file_path = syslog
syslog_timestamp = no
syslog_duplication = no
write_rejectlog = no
smtp_banner = $smtp_active_hostname ESMTP Exim $version_number
# Mail is delivered when it has come, however much comes over one connection.
smtp_accept_queue_per_connection = 0
smtp_accept_max = 200
remote_max_parallel = 1
message_size_limit = 50M
prdr_enable = true
smtp_accept_max_per_connection = ${{if eq{{$received_port}}{{{few_mails}}}{{{mail_limit}}}{{1000}}}}
chunking_advertise_hosts = ${{if eq{{$received_port}}{{{no_chunking}}}{{}}{{*}}}}
pipelining_advertise_hosts = ${{if eq{{$received_port}}{{{no_pipelining}}}{{}}{{*}}}}
tls_advertise_hosts = ${{if eq{{$received_port}}{{{starttls}}}{{*}}{{}}}}
tls_certificate = {directory}/server.pem

acl_smtp_rcpt = check_recipient
acl_smtp_predata = check_data
acl_smtp_data_prdr = check_content_for_one
acl_smtp_data = check_content

begin acl

check_recipient:
  defer   condition = ${{if and{{{{eq{{$received_port}}{{{few_recipients}}}}}\
              {{>={{$rcpt_count}}{{{recipient_limit_plus}}}}}}}}}
          message   = 4.5.3 too many recipients
          log_message = too many recipients
  deny    domains   = !+ours
          message   = 550 5.7.1 relay not permitted
  deny    local_parts = nouser
          message   = 550 5.1.1 no such user here
  defer   local_parts = tempfail
          message   = 451 4.3.0 try again later
  defer   local_parts = full
          message   = 452 4.2.2 mailbox full
  accept

check_data:
  deny    condition = ${{if match{{$recipients}}{{\\N(^|, )rejectdata@\\N}}}}
          message   = 554 5.7.1 no data wanted
  accept

# With BDAT nobody asks check_data.
check_content_for_one:
  deny    local_parts = rejectdata : rejectdot
          message   = 550 5.7.1 content refused
  defer   local_parts = deferdot
          message   = 451 4.7.1 content deferred
  accept

check_content:
  deny    condition = ${{if match{{$recipients}}{{\\N(^|, )reject(data|dot)@\\N}}}}
          message   = 550 5.7.1 content refused
  defer   condition = ${{if match{{$recipients}}{{\\N(^|, )deferdot@\\N}}}}
          message   = 451 4.7.1 content deferred
  accept

begin routers

caught:
  driver = accept
  domains = +ours
  transport = maildir

begin transports

# One file a message, whoever it is for.
maildir:
  driver = appendfile
  directory = {directory}/mail
  maildir_format
  batch_max = 1000
  envelope_to_add
  user = Debian-exim
"""


class EximServer(NamespacedServer):
    """An Exim as its defaults have it, and with what an administrator may set on further ports."""

    name = "Exim 4.96"
    folder = "exim-4.96"
    ports = ("defaults", "few_mails", "few_recipients", "no_chunking", "no_pipelining", "starttls", "implicit")
    version = ""
    """Further settings of this version."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The ways to reach it."""
        trusted = {"tls": wlsmtp.TLS(ca_file=self.directory / "ca.pem")} if any(self.port.values()) else {}
        named = {
            "defaults": ("defaults", {}),
            "few_mails": (f"{MAIL_LIMIT} messages a connection", {}),
            "few_recipients": (f"{RECIPIENT_LIMIT} recipients a message", {}),
            "no_chunking": ("no CHUNKING", {}),
            "no_pipelining": ("no PIPELINING", {}),
            "starttls": ("STARTTLS", {"security": "tls", **trusted}),
            "implicit": ("implicit TLS", {"security": "ssl", **trusted}),
        }
        return tuple(
            Endpoint(f"{self.name}, {title}", self.port[port], HOST, options)
            for port, (title, options) in named.items()
        )

    def plan(self) -> Plan:
        """What is to be run."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.directory / "ca.pem")
        certificate = authority.issue_cert("localhost", HOST)
        certificate.private_key_and_cert_chain_pem.write_to_path(self.directory / "server.pem")
        configuration = (self.version + _CONFIGURATION).format(
            **self.port,
            directory=self.directory,
            host_name=self.host_name,
            domain=DOMAIN,
            ports=" : ".join(map(str, self.port.values())),
            mail_limit=MAIL_LIMIT,
            recipient_limit=RECIPIENT_LIMIT,
            recipient_limit_plus=RECIPIENT_LIMIT + 1,
        )
        return Plan(
            folder=str(UNPACKED / self.folder),
            users=["Debian-exim"],
            files={"/etc/exim4/exim4.conf": configuration},
            directories={"/var/spool/exim4": "Debian-exim", str(self.directory): "Debian-exim"},
            daemon=["/usr/sbin/exim4", "-bdf"],
        )

    def stored(self) -> list[bytes]:
        """The content of every message that it has delivered, as octets."""
        return [path.read_bytes() for path in (self.directory / "mail" / "new").glob("*")]

    def greets(self, port: int) -> bool:
        """Whether this server, and no other, greets on the port."""
        if port != self.port["implicit"]:
            return super().greets(port)
        context = ssl.create_default_context(cafile=self.directory / "ca.pem")
        try:
            with (
                socket.create_connection((HOST, port), timeout=5.0) as connection,
                context.wrap_socket(connection, server_hostname=HOST) as secured,
            ):
                return self.host_name.encode() in secured.recv(512)
        except OSError:
            return False


class Exim498Server(EximServer):
    """An Exim that says what its limits are."""

    name = "Exim 4.98"
    folder = "exim-4.98"
    version = """\
limits_advertise_hosts = *
recipients_max = ${{if eq{{$received_port}}{{{few_recipients}}}{{{recipient_limit}}}{{50000}}}}
"""
