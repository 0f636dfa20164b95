"""A Postfix of the test run's own: its configuration, its ports, its life, and the mail that it delivered.

Everything is below one temporary directory and on loopback ports; nothing is read from or written to the system's own
Postfix, and no mail can leave the machine. Passwords are Dovecot's business: see dovecot.py.
"""

from __future__ import annotations

import os
import pwd
import random
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import trustme

from . import Daemon, Restarting, dovecot, find_program, poll

DOMAIN = "example.test"
HOST_NAME = f"mail.{DOMAIN}"
SIZE_LIMIT = 30_000_000
SMALL_SIZE_LIMIT = 100_000

_START_TIMEOUT = 15.0

# Below the ports that systems hand out to clients (32768 and up on Linux, 49152 on others), so that no client of a
# test can take a port between its being found free and Postfix binding it.
_PORTS = range(20_000, 32_000)

_MAIN = """\
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
maillog_file = {log}
maillog_file_prefixes = {directory}
myhostname = {host_name}
mydomain = {domain}
myorigin = {domain}
mydestination =
inet_protocols = {protocols}
inet_interfaces = loopback-only
mynetworks = 127.0.0.0/8 [::1]/128
smtpd_banner = {host_name} ESMTP {instance}
alias_maps =
alias_database =
local_recipient_maps =

# Mail ends here: what is not for the domain is refused, never relayed.
default_transport = error:5.7.1 only {domain} is delivered to
relay_domains =
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_relay_restrictions = reject_unauth_destination

virtual_mailbox_domains = {domain}
virtual_mailbox_base = {mail}
virtual_mailbox_maps = regexp:{config}/mailboxes
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}

smtputf8_enable = yes
message_size_limit = {size_limit}
enable_long_queue_ids = yes

# A client that sends a bare LF in content can be made to smuggle mail: refuse it, from anybody.
smtpd_forbid_bare_newline = reject
smtpd_forbid_bare_newline_exclusions =

smtpd_tls_chain_files = {config}/server.pem
smtpd_tls_CAfile = {directory}/ca.pem
smtpd_tls_mandatory_protocols = >=TLSv1.2
smtpd_tls_auth_only = yes
smtpd_tls_received_header = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sasl_security_options = noanonymous
smtpd_sasl_authenticated_header = yes

# Tests fail on purpose, often and fast: no penalties, no throttles.
default_process_limit = 100
in_flow_delay = 0
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 10000
smtpd_hard_error_limit = 10000
smtpd_junk_command_limit = 10000
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
"""

# One Maildir for all: virtual(8) takes no mailbox name that is made from the address ("$1"), for its safety.
_MAILBOXES = """\
if !/^unknown-/
/^[^@]+@{domain}$/ caught/
endif
"""

_QUEUE_DIRECTORIES = {"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private"}
_QUEUE_DIRECTORIES |= {"saved", "trace"}

# The services that accept, queue and deliver; the columns are private, unprivileged, chroot, wakeup, process limit.
_INTERNAL_SERVICES = """\
pickup    unix       n - n 60   1 pickup
cleanup   unix       n - n -    0 cleanup
qmgr      unix       n - n 300  1 qmgr
tlsmgr    unix       - - n 1000 1 tlsmgr
rewrite   unix       - - n -    - trivial-rewrite
bounce    unix       - - n -    0 bounce
defer     unix       - - n -    0 bounce
trace     unix       - - n -    0 bounce
flush     unix       n - n 1000 0 flush
proxymap  unix       - - n -    - proxymap
showq     unix       n - n -    - showq
error     unix       - - n -    - error
retry     unix       - - n -    - error
virtual   unix       - n n -    - virtual
anvil     unix       - - n -    1 anvil
postlog   unix-dgram n - n -    1 postlogd
"""

# The services that clients talk to, by attribute name, each with what it changes of main.cf.
_AUTHENTICATED = (
    "smtpd_sasl_auth_enable=yes",
    "smtpd_recipient_restrictions=permit_sasl_authenticated,reject",
    "smtpd_relay_restrictions=permit_sasl_authenticated,reject",
)
_PUBLIC_SERVICES = {
    "plain": (),
    # What Postfix sets for itself while all its processes are in use (STRESS_README).
    "busy": ("smtpd_hard_error_limit=1", "smtpd_junk_command_limit=1"),
    "small": (f"message_size_limit={SMALL_SIZE_LIMIT}",),
    "submission": ("smtpd_tls_security_level=encrypt", *_AUTHENTICATED),
    "login": ("smtpd_tls_security_level=none", "smtpd_tls_auth_only=no", *_AUTHENTICATED),
    "cram": ("smtpd_tls_auth_only=no", "smtpd_sasl_auth_enable=yes", "smtpd_sasl_mechanism_filter=cram-md5"),
    "smtps": (
        "smtpd_tls_wrappermode=yes",
        "smtpd_tls_security_level=encrypt",
        "smtpd_tls_ask_ccert=yes",
        *_AUTHENTICATED,
    ),
}


def what_is_missing() -> str | None:
    """Say what keeps the servers from being run here, or None."""
    if os.geteuid() != 0:
        return "Postfix and Dovecot can be run by root only"
    missing = ["the program postfix"] if find_program("postfix") is None else []
    if (lack := dovecot.what_is_missing()) is not None:
        missing.append(lack)
    return f"missing: {', '.join(missing)} (scripts/install-test-servers.sh installs them)" if missing else None


class CaughtMail:
    """The Maildir that holds all delivered mail, read by recipient."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._recipients: dict[Path, str] = {}

    def of(self, address: str) -> list[bytes]:
        """Return the messages delivered to an address, as stored (LF line ends), in order of delivery."""
        self._read_new_recipients()
        found = [path for path, recipient in self._recipients.items() if recipient == address.casefold()]
        return [path.read_bytes() for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]

    def wait_for(self, address: str, count: int, timeout: float) -> list[bytes]:
        """Return the messages of an address once there are `count`; raise TimeoutError after `timeout` seconds."""
        found: list[bytes] = []

        def enough() -> bool:
            found[:] = self.of(address)
            return len(found) >= count

        if not poll(enough, timeout):
            raise TimeoutError(f"{len(found)} of {count} messages for {address} came within {timeout} s")
        return found

    def _read_new_recipients(self) -> None:
        new = self.directory / "new"
        for path in new.iterdir() if new.exists() else ():
            if path not in self._recipients:
                self._recipients[path] = _recipient_of(path)


def _recipient_of(path: Path) -> str:
    # virtual(8) writes it above everything that the client sent, so that content cannot forge it.
    with path.open("rb") as lines:
        header = next(line for line in lines if line.startswith(b"Delivered-To:"))
    return header.partition(b":")[2].decode("utf-8", "replace").strip().casefold()


class PostfixServer(Restarting):
    """A Postfix that delivers to any address at example.test, save `unknown-...`, which it refuses with 550 5.1.1.

    All ports accept connections on every address of `hosts`:

    - `plain_port`: neither TLS nor authentication; messages up to SIZE_LIMIT bytes;
    - `busy_port`: the same, and the first error ends the connection;
    - `small_port`: like the plain one, up to SMALL_SIZE_LIMIT bytes;
    - `submission_port`: STARTTLS required, then authentication;
    - `smtps_port`: TLS from the first byte, and authentication; a client may show a certificate;
    - `login_port`: authentication required, by any mechanism, without TLS;
    - `cram_port`: authentication by CRAM-MD5 offered, without TLS.

    The certificate is for localhost and both loopback addresses, issued by the authority in `ca_file`.
    """

    host = "127.0.0.1"
    domain = DOMAIN
    username = f"ann@{DOMAIN}"
    password = 'pä55 "w%rd'

    def __init__(
        self,
        extra: dovecot.Extra | None = None,
        more: str = "",
        sasl: str | None = None,
        services: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """`extra` are further settings of Dovecot, `more` are lines of main.cf that override the usual ones, `sasl` is
        the configuration of Cyrus SASL, `services` are further ports, each with its changes of main.cf."""
        self._extra, self._more, self._sasl = extra or dovecot.Extra(), more, sasl
        self._services = {**_PUBLIC_SERVICES, **(services or {})}
        self.hosts = _loopback_addresses()
        self.plain_port = self.small_port = self.submission_port = self.smtps_port = 0
        self.login_port = self.cram_port = 0
        self._cleanup = ExitStack()

    def mailbox(self) -> str:
        """Return an address that nobody has sent to."""
        return f"box-{secrets.token_hex(8)}@{DOMAIN}"

    def unknown_mailbox(self) -> str:
        """Return an address that is refused at RCPT with 550 5.1.1."""
        return f"unknown-{secrets.token_hex(8)}@{DOMAIN}"

    def client_certificate(self, name: str, path: Path) -> Path:
        """Write a certificate that the server accepts from clients, with its key, to `path`."""
        client = self._authority.issue_cert(common_name=name, organization_name="wlsmtp")
        client.private_key_and_cert_chain_pem.write_to_path(path)
        return path

    def maildir(self, address: str) -> Path:
        """Return the Maildir that an address is delivered to; addresses share it, so read it with `messages`."""
        return self._mail.directory

    def messages(self, address: str) -> list[bytes]:
        """Return the messages delivered to an address so far, as stored (LF line ends), in order of delivery."""
        return self._mail.of(address)

    def wait_for_message(self, address: str, count: int = 1, timeout: float = 20.0) -> list[bytes]:
        """Return the messages of an address once there are `count`; raise TimeoutError after `timeout` seconds."""
        return self._mail.wait_for(address, count, timeout)

    def port_of(self, service: str) -> int:
        """Return the port of a service by its name."""
        return self._ports[service]

    @property
    def sendmail_arguments(self) -> list[str]:
        """Return the words that make the system's sendmail(1) this server's."""
        return ["-C", str(self._config)]

    def log(self) -> str:
        """Return what Postfix has logged so far."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def _start_once(self) -> None:
        self._lay_out()
        self._issue_certificate()
        self._choose_ports()
        self._configure()
        self._start_dovecot()
        self._start_postfix()

    def _lay_out(self) -> None:
        # Not pytest's own directory: the names of unix sockets are limited to about 100 bytes.
        self._directory = Path(tempfile.mkdtemp(prefix="postfix-", dir="/tmp"))
        self._cleanup.callback(shutil.rmtree, self._directory)
        self._directory.chmod(0o755)
        self._config, self._queue = self._directory / "config", self._directory / "queue"
        self._log, self.ca_file = self._directory / "maillog", self._directory / "ca.pem"
        self._mail = CaughtMail(self._directory / "mail" / "caught")
        self._config.mkdir()
        _make_queue(self._queue)
        _make_directory(self._directory / "data", "postfix", 0o700)
        _make_directory(self._directory / "mail", "nobody", 0o755)

    def _issue_certificate(self) -> None:
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(self.ca_file)
        server = self._authority.issue_cert("localhost", "127.0.0.1", "::1")
        path = self._config / "server.pem"
        server.private_key_and_cert_chain_pem.write_to_path(path)
        path.chmod(0o600)

    def _choose_ports(self) -> None:
        self._instance = secrets.token_hex(8)
        ports = _free_ports(self.hosts, len(self._services))
        self._ports = dict(zip(self._services, ports, strict=True))
        for name, port in self._ports.items():
            setattr(self, f"{name}_port", port)

    def _configure(self) -> None:
        (self._config / "main.cf").write_text(self._main())
        services = [self._service(name, host) for name in self._services for host in self.hosts]
        (self._config / "master.cf").write_text("".join(services) + _INTERNAL_SERVICES)
        if self._sasl is not None:
            # Debian's Postfix looks for it nowhere else.
            (self._config / "sasl").mkdir()
            (self._config / "sasl" / "smtpd.conf").write_text(self._sasl)
        (self._config / "mailboxes").write_text(_MAILBOXES.format(domain=DOMAIN.replace(".", r"\.")))

    def _main(self) -> str:
        nobody = pwd.getpwnam("nobody")
        usual = _MAIN.format(
            directory=self._directory,
            config=self._config,
            queue=self._queue,
            data=self._directory / "data",
            mail=self._directory / "mail",
            log=self._log,
            host_name=HOST_NAME,
            domain=DOMAIN,
            instance=self._instance,
            protocols="all" if len(self.hosts) > 1 else "ipv4",
            size_limit=SIZE_LIMIT,
            uid=nobody.pw_uid,
            gid=nobody.pw_gid,
        )
        return _without_overridden(usual + self._more)

    def _service(self, name: str, host: str) -> str:
        address = f"[{host}]:{self._ports[name]}"
        options = "".join(f"  -o {option}\n" for option in (f"syslog_name=postfix/{name}", *self._services[name]))
        return f"{address} inet n - n - - smtpd\n{options}"

    def _start_dovecot(self) -> None:
        provider = dovecot.DovecotAuth(
            self._directory / "dovecot", self._queue / "private" / "auth", self.username, self.password,
            extra=self._extra,
        )  # fmt: skip
        self._cleanup.callback(provider.stop)
        provider.start()

    def _start_postfix(self) -> None:
        command = [str(_daemon_directory() / "master"), "-c", str(self._config), "-d"]
        daemon = Daemon(command, [self._directory / "master.log", self._log])
        self._cleanup.callback(daemon.stop)
        daemon.wait_until(self._greets, _START_TIMEOUT)

    def _greets(self) -> bool:
        # The greeting names the instance: a stranger's server on the port is not taken for this one. Postfix binds all
        # its ports before it answers on one of them.
        try:
            with socket.create_connection((self.host, self.plain_port), timeout=2.0) as connection:
                return self._instance.encode() in connection.recv(512)
        except OSError:
            return False


def _without_overridden(main: str) -> str:
    """Keep the last line of each setting of a main.cf.

    Of an earlier one every process warns when it starts, postlogd too, through the socket that it alone reads: with ten
    lines waiting there it waits for itself, and all of Postfix for it.
    """
    settings = [entry for entry in re.split(r"\n(?=\S)", main) if "=" in entry and not entry.startswith("#")]
    by_name = {entry.partition("=")[0].strip(): entry for entry in settings}
    return "".join(f"{entry}\n" for entry in by_name.values())


def _daemon_directory() -> Path:
    postconf = find_program("postconf") or "postconf"
    answer = subprocess.check_output([postconf, "-dh", "daemon_directory"], text=True, timeout=10)
    return Path(answer.strip())


def _loopback_addresses() -> tuple[str, ...]:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return ("127.0.0.1", "::1")
    except OSError:
        return ("127.0.0.1",)


def _free_ports(hosts: tuple[str, ...], count: int) -> list[int]:
    candidates = random.SystemRandom().sample(_PORTS, 50 * count)
    free = [port for port in candidates if all(_can_bind(host, port) for host in hosts)]
    return free[:count]


def _can_bind(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            return True
    except OSError:
        return False


def _make_queue(queue: Path) -> None:
    """Make the directories of postfix-files(5), which `postfix check` would make, and grumble."""
    queue.mkdir()
    for name in _QUEUE_DIRECTORIES:
        _make_directory(queue / name, "postfix", 0o700)
    _make_directory(queue / "maildrop", "postfix", 0o730, group="postdrop")
    _make_directory(queue / "public", "postfix", 0o710, group="postdrop")
    _make_directory(queue / "pid", "root", 0o755)


def _make_directory(path: Path, owner: str, mode: int, group: str | None = None) -> None:
    path.mkdir()
    shutil.chown(path, owner, group)
    path.chmod(mode)
