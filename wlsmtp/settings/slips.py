"""Names and values of other libraries that people write for a setting, and what to write instead.

One table of names and one of values. A name in neither is compared with the existing ones. No value of the caller is
repeated except numbers and words of this table, as any other may be a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import cache
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from wlsmtp.settings.kinds import is_number, kinds, parts
from wlsmtp.settings.plugged import is_ssl_context

if TYPE_CHECKING:
    from pydantic import BaseModel


class Name(NamedTuple):
    """Unknown names, and what to write instead."""

    model: str
    names: str
    """The names, in any case, with or without underscores."""
    write: str
    note: str = ""
    means: bool | None = None
    """For a switch: True if ``write`` is its meaning when it is on, False when it is off. Otherwise it is to be left
    out."""
    otherwise: str = ""
    """The behaviour without it."""

    def without(self, value: Any) -> str | None:
        """Return the text for a switch that is to be left out."""
        if self.means is None or value is None:
            return None
        word = value.strip().lower() if isinstance(value, str) else value
        if word not in (_OFF_WORDS if self.means else _ON_WORDS):
            return None
        return "leave it out" + (f" ({self.otherwise})" if self.otherwise else "")


class Value(NamedTuple):
    """Values that a setting does not accept, and what to write instead."""

    model: str
    field: str
    fits: Callable[[Any], bool]
    write: str | Callable[[Any], str]
    note: str = ""


_SESSION, _TLS, _POOL, _RETRY, _TIMEOUTS = "SessionConfig", "TLS", "PoolLimits", "RetryPolicy", "Timeouts"
_OFF_WORDS = (False, "false", "0", "no", "off", "n", "f", "none", "never", "disabled")
_REQUIRED = 2  # ssl.CERT_REQUIRED
_ON_WORDS = (True, _REQUIRED, "true", "1", "yes", "on", "y", "t", "required", "cert_required", "enabled")
_SSL = 'for TLS from the first byte, as on port 465, use security="ssl"'
_CERTIFICATE = 'tls=TLS(client_cert=("cert.pem", "key.pem"))'
_UNVERIFIED = (
    "only to switch verification off, so that anyone on the path can read and change the mail; ca_file trusts an "
    "authority of your own"
)
_VERIFIED = "certificate and name are verified unless that is switched off"
_IF_OFFERED = "TLS is used where the server offers it, unless opportunistic_tls is False"

# fmt: off
NAMES = (
    Name(_SESSION, "host hostname smtp_host smtp_server mail_server mail_host server_address address addr relay "
         "adresse_serveur serveur relayhost "
         "smarthost email_host remote_host ip endpoint mail_relay server_name domain smtp",
         'server="smtp.example.com"'),
    Name(_SESSION, "email_port server_port remote_port port_number ports", "port=587"),
    Name(_SESSION, "user login user_id usr uid account login_name email mail email_host_user mail_user smtp_user "
         "smtp_login "
         "auth_user login_user account_name name benutzer identifiant nom", 'username="ann@example.com"'),
    Name(_SESSION, "pass passwd pwd pw secret passphrase passwort kennwort motdepasse email_host_password "
         "app_password "
         "api_key key_secret password_file auth_password auth_pass smtp_pass smtp_passwd mail_pass", 'password="…"'),
    Name(_SESSION, "credentials credential auth_tuple smtp_auth require_auth auth_required use_auth authenticate "
         "authentication", 'username="ann@example.com", password="…"', "a session with a user name logs in",
         means=True),
    Name(_SESSION, "access_token oauth_token oauth2_token bearer bearer_token auth_token oauth oauth2 xoauth2 "
         "token_provider oauth_token_provider refresh_token", 'token="…"', "or a callable that returns one"),
    Name(_SESSION, "starttls use_starttls smtp_starttls email_use_tls mail_use_tls mail_starttls require_tls "
         "force_tls enable_starttls starttls_required starttls_policy tls_required enable_tls", 'security="tls"',
         "which is STARTTLS, or an error", means=True, otherwise=_IF_OFFERED),
    Name(_SESSION, "use_tls smtp_use_tls enable_ssl", 'security="tls"', f"which is STARTTLS; {_SSL}", means=True,
         otherwise=_IF_OFFERED),
    Name(_SESSION, "ssl use_ssl smtp_ssl email_use_ssl mail_use_ssl mail_ssl_tls secure implicit_tls smtps ssl_tls "
         "smtp_ssl_tls", 'security="ssl"', "which is TLS from the first byte, as on port 465", means=True,
         otherwise=_IF_OFFERED),
    Name(_SESSION, "option encryption smtp_secure security_mode connection_security tls_mode ssl_mode crypto encrypt",
         'security="tls"', f"which is STARTTLS; {_SSL}", means=True,
         otherwise=_IF_OFFERED),
    Name(_SESSION, "ignore_tls disable_tls no_tls disable_starttls no_starttls",
         "opportunistic_tls=False", "with security='default'", means=True),
    Name(_SESSION, "smtp_auto_tls auto_tls opportunistic enable_starttls_auto", "opportunistic_tls=False",
         "with security='default'",
         means=False),
    Name(_SESSION, "verify verify_ssl ssl_verify verify_certs verify_cert verify_tls tls_verify verify_peer "
         "validate_certs validate_certificates validate_cert check_hostname check_certificate cert_reqs "
         "reject_unauthorized verify_mode openssl_verify_mode ssl_validate verification", "tls=TLS(verify=False)",
         _UNVERIFIED, means=False, otherwise=_VERIFIED),
    Name(_SESSION, "insecure skip_verify insecure_skip_verify tls_insecure ssl_no_verify no_verify allow_self_signed "
         "self_signed trust_all_certs", "tls=TLS(verify=False)", _UNVERIFIED,
         means=True, otherwise=_VERIFIED),
    Name(_SESSION, "cafile ca_certs ca_cert ca_bundle ca cert_bundle ca_path root_ca certificates trust_store",
         'tls=TLS(ca_file="ca.pem")'),
    Name(_SESSION, "cert certfile keyfile key client_key client_certificate private_key certificate "
         "email_ssl_certfile email_ssl_keyfile ssl_certfile ssl_keyfile tls_cert tls_key", _CERTIFICATE),
    Name(_SESSION, "context ssl_context tls_context secure_context", "tls=TLS(context=context)",
         "an ssl.SSLContext, of which tls=context is the short form"),
    Name(_SESSION, "sni tls_server_name assert_hostname", 'tls=TLS(server_hostname="smtp.example.com")'),
    Name(_SESSION, "tls_version ssl_version min_tls_version min_version", 'tls=TLS(minimum_version="1.3")'),
    Name(_SESSION, "socket_timeout read_timeout write_timeout response_timeout timeout_seconds timeout_ms "
         "default_timeout "
         "email_timeout timelimit", "timeout=30", "in seconds: the longest silence at any stage"),
    Name(_SESSION, "connect_timeout connection_timeout conn_timeout open_timeout dns_timeout",
         "timeout=Timeouts(connect=15)", "in seconds"),
    Name(_SESSION, "greeting_timeout", "timeout=Timeouts(greeting=60)", "in seconds"),
    Name(_SESSION, "command_timeout", "timeout=Timeouts(command=60)", "in seconds"),
    Name(_SESSION, "total_timeout deadline send_timeout overall_timeout", "timeout=Timeouts(total=1800)", "in seconds"),
    Name(_SESSION, "helo helo_host helo_name helo_hostname ehlo ehlo_name ehlo_hostname ehlo_host hello fqdn "
         "client_name "
         "client_hostname local_host local_name mail_hostname", 'local_hostname="client.example.com"',
         "the name given with EHLO"),
    Name(_SESSION, "source_address source_ip source_addr bind_address bind local_addr local_ip interface",
         'network=Network(local_address="192.0.2.1")'),
    Name(_SESSION, "ipv4 ipv6 ipv4_only ipv6_only force_ipv4 force_ipv6 address_family ip_version inet prefer_ipv4 "
         "prefer_ipv6",
         'network=Network(family="ipv4")'),
    Name(_SESSION, "sock socket socket_factory transport_factory dialer get_socket socket_options",
         "network=Network(connector=connect)",
         "a callable that returns a connected socket"),
    Name(_SESSION, "socket_path unix_socket unix_path path", 'server="/run/smtp.sock"'),
    Name(_SESSION, "socks socks5 socks_proxy proxy_url http_proxy https_proxy proxy_host proxy_server proxies",
         'proxy="socks5://user:password@proxy.example.com:1080"'),
    Name(_SESSION, "retries max_retries max_attempts retry_count num_retries tries retry_attempts retry_policy "
         "max_tries "
         "retry_times", "retry=RetryPolicy(attempts=3)", "tries in all, the first one among them"),
    Name(_SESSION, "retry_delay retry_wait retry_interval backoff_factor delay retry_backoff",
         "retry=RetryPolicy(backoff=1)",
         "in seconds"),
    Name(_SESSION, "pool_size connections max_pool_size pool_maxsize maxsize num_connections concurrency workers "
         "threads "
         "max_workers parallel limits pool_limits max_conns", "pool=PoolLimits(max_connections=4)"),
    Name(_SESSION, "messages_per_connection max_messages_per_connection max_emails mail_max_emails",
         "pool=PoolLimits(max_messages=100)"),
    Name(_SESSION, "rate_limit rate_delta throttle max_rate sending_rate mail_max_rate max_per_second per_second "
         "messages_per_second max_per_minute",
         'pool=PoolLimits(rate="10/second")'),
    Name(_SESSION, "outbox_retry retry_outbox", "retry=RetryPolicy(attempts=10)", "which counts for the outbox too"),
    Name(_SESSION, "dkim_key dkim_selector dkim_domain dkim_private_key",
         'dkim=DKIM("example.com", "s1", key="s1.pem")'),
    Name(_SESSION, "lanes rates rate_limits domain_rates throttles", 'mode="async", pace={"gmail.com": "20/second"}'),
    Name(_SESSION, "keep_alive persistent keep_open reuse reuse_connection smtp_keep_alive connection_lifetime "
         "max_idle",
         "pool=PoolLimits(idle_timeout=30)", "connections are kept and used again anyhow"),
    Name(_SESSION, "pipeline use_pipelining enable_pipelining", "pipelining=False", "it is on unless switched off",
         means=False),
    Name(_SESSION, "asynchronous async_ is_async async_mode background fire_and_forget queue queued defer deferred "
         "lazy",
         'mode="async"', means=True),
    Name(_SESSION, "spool spool_dir queue_path queue_dir outbox_path outbox_file database db db_path store",
         'mode="async", outbox="sqlite:///outbox.db"'),
    Name(_SESSION, "auth_method auth_methods auth_mechanism auth_mechanisms mechanism auth_type sasl sasl_mechanism "
         "login_method preferred_auth auth_plugin authobject custom_auth", 'mechanisms=["PLAIN"]',
         "by default the strongest that fits is used"),
    Name(_SESSION, "lmtp use_lmtp is_lmtp", 'protocol="lmtp"', means=True),
    Name(_SESSION, "dsn notify mail_options rcpt_options return_receipt",
         'options=DeliveryOptions(dsn=DSN(notify="failure"))'),
    Name(_SESSION, "from_ from_addr from_address mail_from default_from default_from_email default_sender "
         "mail_default_sender server_email", 'sender="ann@example.com"', "for each Message that names no sender"),
    Name(_SESSION, "sender_name from_name mail_from_name default_from_name",
         'sender=("Ann Example", "ann@example.com")', "for each Message that names no sender"),
    Name(_SESSION, "default_reply_to mail_reply_to", 'reply_to="office@example.com"'),
    Name(_SESSION, "default_headers extra_headers", 'headers={"X-A": "b"}'),
    Name(_SESSION, "to recipient recipients cc bcc subject text html body attachments message",
         'Message(sender="ann@example.com", to="bob@example.org", text="…")', "it belongs to a message"),
    Name(_SESSION, "debug debug_level debug_output verbose logger log log_level mail_debug trace smtp_debug "
         "transaction_log",
         "listeners=[print]", "or the logger 'wlsmtp' at the level DEBUG", means=True),
    Name(_SESSION, "url uri connection_string connection_url email_url smtp_url dsn_url",
         'SMTPSession.from_url("smtp+tls://…")'),
    Name(_SESSION, "provider service preset well_known", 'SMTPSession.from_preset("gmail")'),
    Name(_SESSION, "env environ environment prefix", "SMTPSession.from_env()"),
    Name(_SESSION, "backend email_backend mailer driver mail_mailer delivery_method email_file_path",
         'transport="maildir:///path"',
         "or server=… for SMTP"),
    Name(_SESSION, "sendmail use_sendmail sendmail_path", 'transport="sendmail:"'),
    Name(_SESSION, "subject_prefix email_subject_prefix",
         'Message(sender="ann@example.com", to="bob@example.org", text="…")', "put it into the subject"),
    Name(_SESSION, "template_folder templates template_dir", 'Templates("emails")', "it makes messages"),
    Name(_SESSION, "charset encoding default_charset newline ascii_attachments mail_ascii_attachments use_localtime "
         "email_use_localtime soft_email_validation initial_response_ok disable_file_access disable_url_access "
         "return_response skip_login smtp_skip_login cls_smtp",
         'SMTPSession("smtp.example.com")', "there is nothing to set for that"),
    Name(_SESSION, "happy_eyeballs_delay", 'network=Network(family="any")'),
    Name(_SESSION, "fail_silently", 'SMTPSession("smtp.example.com")', "what fails raises an SMTPError",
         means=True),
    Name(_SESSION, "dry_run suppress suppress_send mail_suppress_send testing mock", 'transport="null:"', means=True),
    Name(_SESSION, "config settings session_config", "SMTPSession(config)", "it comes first, without a name"),
    Name(_SESSION, "loop event_loop", "AsyncSMTPSession()", "it uses the event loop that runs"),
    Name(_SESSION, "hooks on_event callback callbacks event_handlers observers on_failure on_success",
         "listeners=[print]"),
    Name(_TLS, "ca ca_certs ca_cert ca_bundle cadata ca_path root_ca", 'ca_file="ca.pem"'),
    Name(_TLS, "cert certfile certificate client_certificate keyfile key client_key private_key",
         'client_cert=("cert.pem", "key.pem")'),
    Name(_TLS, "password key_password passphrase keypass client_key_pass", 'client_key_password="…"'),
    Name(_TLS, "check_hostname verify_mode cert_reqs validate_certs reject_unauthorized verify_ssl verify_peer "
         "verify_certs", "verify=False", _UNVERIFIED,
         means=False, otherwise=_VERIFIED),
    Name(_TLS, "insecure skip_verify no_verify insecure_skip_verify allow_self_signed", "verify=False", _UNVERIFIED,
         means=True, otherwise=_VERIFIED),
    Name(_TLS, "hostname server_name sni assert_hostname host name", 'server_hostname="smtp.example.com"'),
    Name(_TLS, "version min_version tls_version ssl_version minimum min_tls_version", 'minimum_version="1.3"'),
    Name(_TLS, "ssl_context tls_context", "context=context"),
    Name(_TLS, "fingerprints pin pins pinned sha256 cert_fingerprint assert_fingerprint", 'fingerprint="…"'),
    Name(_TLS, "mode security starttls use_tls enabled required",
         'SMTPSession("smtp.example.com", security="tls")', "it is a setting of the session", means=True),
    Name(_POOL, "size pool_size max_size max connections limit workers max_keepalive_connections",
         "max_connections=4"),
    Name(_POOL, "messages messages_per_connection max_uses", "max_messages=100"),
    Name(_POOL, "lifetime max_lifetime ttl recycle pool_recycle age", "max_age=600"),
    Name(_POOL, "idle timeout max_idle keepalive_expiry keepalive idle_time", "idle_timeout=30"),
    Name(_POOL, "rate_limit throttle max_rate per_second", 'rate="10/second"'),
    Name(_RETRY, "retries max_retries max_attempts tries total count times max_tries retry", "attempts=3",
         "tries in all, the first one among them"),
    Name(_RETRY, "delay factor backoff_factor initial interval base", "backoff=1", "in seconds"),
    Name(_RETRY, "max_delay max_wait backoff_max maximum", "max_backoff=60", "in seconds"),
    Name(_TIMEOUTS, "connection connect_timeout conn", "connect=15"),
    Name(_TIMEOUTS, "read write socket pool response", "command=60"),
    Name(_TIMEOUTS, "overall timeout deadline send max", "total=1800"),
    Name("Pipelining", "pipelining on use active", "enabled=False", means=False),
    Name("Pipelining", "window depth size max_messages messages", "max_in_flight=64"),
    Name("Network", "source_address source_ip bind local_ip bind_address address", 'local_address="192.0.2.1"'),
    Name("Network", "ipv4 ipv6 address_family ip_version inet prefer", 'family="ipv4"'),
    Name("Network", "proxy", 'SMTPSession("smtp.example.com", proxy="socks5://proxy.example.com")',
         "it is a setting of the session"),
    Name("Network", "sock socket socket_factory connect dialer", "connector=connect"),
    Name("Proxy", "user login", 'username="ann"'),
    Name("Proxy", "pass passwd pwd", 'password="…"'),
    Name("Proxy", "type kind protocol", 'scheme="socks5"'),
    Name("Proxy", "server hostname address", 'host="proxy.example.com"'),
    Name("Proxy", "url", 'Proxy.from_url("socks5://proxy.example.com:1080")'),
)  # fmt: skip
# fmt: on
"""Names by model; the first row that contains a name counts."""


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


def _several_hosts(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) > 1 and all(isinstance(host, str) and not host.isdecimal() for host in value)
    return isinstance(value, str) and any(mark in value for mark in ",;") and "@" not in value


def _one_of(*words: object) -> Callable[[Any], bool]:
    return lambda value: (value.strip().lower() if isinstance(value, str) else value) in words


def _like(*words: str) -> Callable[[Any], bool]:
    """Return values of the setting that differ only in case or punctuation."""
    return lambda value: isinstance(value, str) and value not in words and value.strip().lower() in words


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return _count(value) or _digits(value)


def _digits(value: Any) -> bool:
    return isinstance(value, str) and value.strip().isdigit()


def _no_proxy(value: Any) -> bool:
    is_in_parts = isinstance(value, dict) and ("host" in value or "scheme" in value)
    return isinstance(value, bool | dict | tuple | list) and not is_in_parts


def _never_verified(value: Any) -> bool:
    return type(value).__name__ == "VerifyMode"


def _path(value: Any) -> bool:
    return isinstance(value, PathLike) or (isinstance(value, str) and ":" not in value)


_STARTTLS = _one_of(
    "starttls", "start_tls", "start-tls", "tls-required", "required", "stls", "explicit", "explicit-tls"
)
_FROM_START = _one_of("smtps", "implicit", "implicit-tls", "ssl/tls", "tls/ssl", "ssl_tls", "tls_ssl")
_UPGRADE = _one_of("none", "plain", "opportunistic", "auto", "no", "off", "false", "clear", "starttls-optional", "")
_TLS_13 = frozenset({"tlsv1.3", "tlsv1_3", "tls1.3", "tls 1.3", "tlsversion.tlsv1_3", "772"})
_OFF = lambda value: value is False or value == 0  # noqa: E731
_ON = lambda value: value is True  # noqa: E731

# fmt: off
VALUES = (
    Value(_SESSION, "tls", _ON, 'security="tls"', f"which is STARTTLS; {_SSL}"),
    Value(_SESSION, "tls", _never_verified, "tls=TLS(verify=False)", _UNVERIFIED),
    Value(_SESSION, "tls", _OFF, 'security="default", opportunistic_tls=False', "which never uses TLS"),
    Value(_SESSION, "tls", _one_of("ssl"), 'security="ssl"'),
    Value(_SESSION, "tls", _FROM_START, 'security="ssl"'),
    Value(_SESSION, "tls", _STARTTLS, 'security="tls"'),
    Value(_SESSION, "tls", _one_of("tls", "yes", "true", "on"), 'security="tls"', f"which is STARTTLS; {_SSL}"),
    Value(_SESSION, "tls", _UPGRADE, 'security="default"'),
    Value(_SESSION, "tls", _is(str, PathLike), 'tls=TLS(ca_file="ca.pem")'),
    Value(_SESSION, "security", _like("default", "tls", "ssl"), lambda value: f'security="{value.strip().lower()}"'),
    Value(_SESSION, "security", _STARTTLS, 'security="tls"'),
    Value(_SESSION, "security", _FROM_START, 'security="ssl"'),
    Value(_SESSION, "security", _OFF, 'security="default"'),
    Value(_SESSION, "security", _UPGRADE, 'security="default"'),
    Value(_SESSION, "security", _is(bool), 'security="tls"', f"which is STARTTLS; {_SSL}"),
    Value(_SESSION, "security", lambda value: type(value).__name__ == "TLS", "tls=TLS()",
          "and security says how to begin"),
    Value(_SESSION, "security", _one_of(465, "465"), 'security="ssl"'),
    Value(_SESSION, "security", _one_of(587, "587", 2525), 'security="tls"'),
    Value(_SESSION, "headers", _is(list, tuple), 'headers={"X-Shop": "books"}', "a dictionary"),
    Value(_SESSION, "timeout", _is(bool), "timeout=30", "in seconds"),
    Value(_SESSION, "timeout", _is(timedelta), lambda value: f"timeout={value.total_seconds():g}", "in seconds"),
    Value(_SESSION, "timeout", _digits, lambda value: f"timeout={int(value)}", "a number"),
    Value(_SESSION, "timeout", _is(str), "timeout=30", "in seconds"),
    Value(_SESSION, "timeout", _is(tuple, list), "timeout=Timeouts(connect=15, command=60)"),
    Value(_SESSION, "retry", _ON, "retry=RetryPolicy()"),
    Value(_SESSION, "retry", _OFF, "retry=RetryPolicy(attempts=1)"),
    Value(_SESSION, "retry", _number, lambda value: f"retry=RetryPolicy(attempts={max(int(value), 1)})",
          "tries in all"),
    Value(_SESSION, "pool", _is(bool), "pool=PoolLimits(max_connections=1)"),
    Value(_SESSION, "pool", _number, lambda value: f"pool=PoolLimits(max_connections={max(int(value), 1)})"),
    Value(_SESSION, "pipelining", _number, lambda value: f"pipelining=Pipelining(max_in_flight={max(int(value), 1)})"),
    Value(_SESSION, "pipelining", _is(str), "pipelining=False", "or True, or Pipelining(…)"),
    Value(_SESSION, "port", _is(bool), "port=587", "a number"),
    Value(_SESSION, "port", _one_of("smtp"), "port=25", "a number"),
    Value(_SESSION, "port", _one_of("smtps", "submissions", "ssl"), "port=465", "a number"),
    Value(_SESSION, "port", lambda value: isinstance(value, str) and not _number(value), "port=587",
          "a number; after server and port all settings have names"),
    Value(_SESSION, "mode", _like("sync", "async"), lambda value: f'mode="{value.strip().lower()}"'),
    Value(_SESSION, "mode", _one_of(True, "asynchronous", "background", "queue", "queued", "deferred", "later",
                                   "thread", "threaded"),
          'mode="async"'),
    Value(_SESSION, "mode", _one_of(False, "synchronous", "blocking", "direct", "immediate", "now"), 'mode="sync"'),
    Value(_SESSION, "outbox", _is(bool), 'mode="async"', "which keeps messages in memory unless outbox=… says where"),
    Value(_SESSION, "outbox", _path, 'mode="async", outbox="sqlite:///outbox.db"', "an absolute path has four slashes"),
    Value(_SESSION, "server", _several_hosts, 'transport="failover(smtp://one.example.com, smtp://two.example.com)"',
          "one server is tried after the other"),
    Value(_SESSION, "server", _is(tuple, list), 'server="smtp.example.com", port=587'),
    Value(_SESSION, "server", lambda value: isinstance(value, str) and "@" in value and "/" not in value,
          'server="smtp.example.com", username="ann@example.com", password="…"', "this is not a host name"),
    Value(_SESSION, "username", _is(tuple, list, dict), 'username="ann@example.com", password="…"'),
    Value(_SESSION, "password", lambda value: callable(value) and not isinstance(value, type), "token=provider",
          "only a token may come from a callable"),
    Value(_SESSION, "password", _is(int, float, tuple, list, dict), 'password="…"', "a text"),
    Value(_SESSION, "token", _is(int, float, tuple, list, dict), 'token="…"', "a text, or a callable that returns it"),
    Value(_SESSION, "auth", _is(tuple, list, dict), 'username="ann@example.com", password="…"'),
    Value(_SESSION, "auth", _like("required", "optional"), lambda value: f'auth="{value.strip().lower()}"'),
    Value(_SESSION, "auth", _ON, 'auth="required"', "a session with a user name logs in anyhow"),
    Value(_SESSION, "auth", _OFF, 'auth="optional"', "a session without a user name does not log in"),
    Value(_SESSION, "auth", _one_of("plain", "login", "cram-md5", "xoauth2", "ntlm", "oauthbearer", "basic"),
          'mechanisms=["PLAIN"]'),
    Value(_SESSION, "mechanisms", _is(str), 'mechanisms=["PLAIN", "LOGIN"]', "a list"),
    Value(_SESSION, "exclude_mechanisms", _is(str), 'exclude_mechanisms=["LOGIN"]', "a list"),
    Value(_SESSION, "listeners", callable, "listeners=[print]", "a list of functions"),
    Value(_SESSION, "listeners", _is(str), "listeners=[print]", "a list of functions"),
    Value(_SESSION, "before_send", _is(str), "before_send=[function]", "a list of functions"),
    Value(_SESSION, "after_send", _is(str), "after_send=[function]", "a list of functions"),
    Value(_SESSION, "proxy", _no_proxy, 'proxy="socks5://user:password@proxy.example.com:1080"'),
    Value(_SESSION, "local_hostname", _is(bool), 'local_hostname="client.example.com"'),
    Value(_SESSION, "partial", _ON, 'partial="deliver"'),
    Value(_SESSION, "partial", _OFF, 'partial="abort"'),
    Value(_SESSION, "protocol", _like("smtp", "lmtp"), lambda value: f'protocol="{value.strip().lower()}"'),
    Value(_SESSION, "protocol", _one_of("esmtp", "smtps", "submission", "tcp"), 'protocol="smtp"'),
    Value(_SESSION, "transport", _is(type), "transport=MemoryTransport()", "an object, not its class"),
    Value(_SESSION, "transport", _is(PathLike), 'transport="maildir:///path"'),
    Value(_SESSION, "network", _is(str), 'network=Network(family="ipv4")'),
    Value(_SESSION, "options", lambda value: type(value).__name__ == "DSN",
          'options=DeliveryOptions(dsn=DSN(notify="failure"))'),
    Value(_TLS, "minimum_version", lambda value: value == 1.3 or str(value).lower() in _TLS_13,
          'minimum_version="1.3"'),
    Value(_TLS, "minimum_version", lambda value: value not in ("1.2", "1.3"), 'minimum_version="1.2"',
          "nothing older is safe"),
    Value(_TLS, "verify", _one_of("cert_none", "none", "never"), "verify=False", _UNVERIFIED),
    Value(_TLS, "verify", lambda value: isinstance(value, PathLike) or (isinstance(value, str) and "." in value),
          'ca_file="ca.pem"'),
    Value(_TLS, "verify", is_ssl_context, "context=context"),
    Value(_TLS, "trust", _one_of("certifi", "mozilla", "bundle"), 'trust="bundled"'),
    Value(_TLS, "trust", _one_of("os", "default", "truststore", "native"), 'trust="system"'),
    Value(_TLS, "client_cert", lambda value: isinstance(value, tuple | list) and len(value) == 3,
          'client_cert=("cert.pem", "key.pem"), client_key_password="…"'),
    Value(_POOL, "rate", _number, lambda value: f'rate="{int(value)}/second"', "or per minute, hour or day"),
    Value(_RETRY, "attempts", _OFF, "attempts=1", "tries in all; 1 disables retries"),
)  # fmt: skip
# fmt: on
"""The first row that matches a value counts."""


def words_about(model: type[BaseModel], fields: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the names and values of some fields, each as a sentence without its full stop."""
    unknown = {name: value for name, value in fields.items() if name not in model.model_fields}
    found = [f"{name}: is not known; {suggestion(model, name, value)}" for name, value in unknown.items()]
    for name, value in fields.items():
        found += [f"{name}: {words}" for words in _about_value(model, name, value)][:1]
    return found


def written_for_name(model: type[BaseModel], name: str) -> Name | None:
    """Return the row of an unknown name."""
    return _names().get((model.__name__, bare(name)))


def written_for_value(model: type[BaseModel], field: str, value: Any) -> str | None:
    """Return what to write instead of a value."""
    row = next((row for row in _values().get((model.__name__, field), ()) if row.fits(value)), None)
    if row is None:
        return None
    return row.write if isinstance(row.write, str) else row.write(value)


def suggestion(model: type[BaseModel], name: str, value: Any = None) -> str:
    """Return what to write instead of an unknown name and its value."""
    if row := written_for_name(model, name):
        if words := row.without(value):
            return words
        return f"use {row.write}" + (f" ({row.note})" if row.note else "")
    fields, wanted = _fields(model), bare(name)
    if wanted in fields:
        return f"did you mean {fields[wanted]}?"
    for prefix in ("smtp", "email", "mail", "wlsmtp"):  # EMAIL_PORT, smtp_password, …
        if wanted.startswith(prefix) and (rest := wanted.removeprefix(prefix)) in fields:
            return f"did you mean {fields[rest]}?"
    rows = {name: row for (kind, name), row in _names().items() if kind == model.__name__ and len(name) > 3}
    known = {name: row.without(value) or f"use {row.write}" for name, row in rows.items()}
    known |= {name: f"did you mean {field}?" for name, field in fields.items()}
    if near := difflib.get_close_matches(wanted, known, 1, cutoff=0.75):
        return known[near[0]]
    return f"there are {', '.join(model.model_fields)}"


def _about_value(model: type[BaseModel], name: str, value: Any) -> Iterator[str]:
    for row in _values().get((model.__name__, name), ()):
        if row.fits(value):
            write = row.write if isinstance(row.write, str) else row.write(value)
            yield f"wrong value; use {write}" + (f" ({row.note})" if row.note else "")
    field = model.model_fields.get(name)
    if field is None:
        return
    if isinstance(value, type) and value in kinds(field.annotation):
        yield f"wrong value; use {name}={value.__name__}()"
    if isinstance(value, bool) and is_number(field):
        yield "must be a number"
    if isinstance(value, timedelta) and is_number(field):
        yield f"wrong value; use {name}={value.total_seconds():g} (in seconds)"
    if name == "username" or SecretStr in kinds(field.annotation):
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str) and any("\ud800" <= character <= "\udfff" for character in text):
            yield "is not in UTF-8, as a variable or a file in another encoding is not"
        if isinstance(text, str | bytes) and text[-1:] in ("\n", "\r", b"\n", b"\r"):
            yield "ends with a line end, as text read from a file does; .strip() removes it"


@cache
def _values() -> dict[tuple[str, str], list[Value]]:
    found: dict[tuple[str, str], list[Value]] = {}
    for row in VALUES:
        found.setdefault((row.model, row.field), []).append(row)
    return found


@cache
def _names() -> dict[tuple[str, str], Name]:
    rows = ((row, name) for row in reversed(NAMES) for name in row.names.split())
    return {(row.model, bare(name)): row for row, name in rows}


@cache
def _fields(model: type[BaseModel]) -> dict[str, str]:
    """Yield the fields of a model and of its parts: bare name, and how it is written."""
    found: dict[str, str] = {}
    for name, part in parts(model).items():
        found |= {bare(inner): f"{name}={part.__name__}({inner}=…)" for inner in part.model_fields}
    return found | {bare(name): name for name in model.model_fields}


def bare(name: str) -> str:
    """Return a name without the differences between spellings."""
    return name.lower().replace("_", "").replace("-", "")
