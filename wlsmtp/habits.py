"""Names that users of ``smtplib``, ``email``, Django or Flask-Mail try, and what to write here.

They are used in errors only: nothing here is an alias.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn


def _words(rows: Mapping[str, str]) -> dict[str, str]:
    return {name: words for names, words in rows.items() for name in names.split()}


OF_SESSION = _words({
    "sendmail": "use send(message, sender=…, recipients=…)",
    "send_message": "use send(message)",
    "send_email send_mail sendMail sendEmail": "use send(sender=…, to=…, subject=…, text=…)",
    "send_messages send_mass_mail send_bulk send_batch bulk_send bulk batch":
        "use send_many(messages), or send_all(messages)",
    "login auth authenticate": "give the session username=… and password=…; it logs in when it connects",
    "starttls": 'give the session security="tls"; it secures the connection before it logs in',
    "connect ehlo helo ehlo_or_helo_if_needed": "the session connects when it must; verify() tries it without sending",
    "noop ping test test_connection healthcheck health_check check": "use verify()",
    "is_connected connected is_open is_alive": "use statistics(), or verify(), which asks the server",
    "start": "use open(); the session connects when it must",
    "send_async asend delay queue enqueue add_task": "give the session mode='async', and use send(message)",
    "outbox": "use pending(), receipts() or outbox_statistics()",
    "resend": "use retry(id)",
    "wait wait_for join result follow": "use receipt.wait(), with asyncio 'await receipt'; flush() waits for all mail",
    "stats": "use statistics()",
    "quit disconnect aclose shutdown stop": "use close(), or a with block",
    "rset": "the session resets the connection when it must",
    "set_debuglevel": "give the session listeners=[print], or set the logger 'wlsmtp' to DEBUG",
    "has_extn esmtp_features supports_extension": "use capabilities, or verify(), which asks the server",
    "server host hostname": "use config.server",
    "port": "use config.port",
    "user username": "use config.username",
    "timeout": "use config.timeout",
})  # fmt: skip
"""For the attributes of other clients: what to do with a session."""

_WHOLE = "a message is made whole, or varied with replace"
OF_MESSAGE = _words({
    "attach attach_file add_attachment add_image embed embed_image attach_inline add_related":
        f"{_WHOLE}: replace(attachments=[…])",
    "attach_alternative add_alternative html_body": f"{_WHOLE}: replace(html=…)",
    "set_content set_payload body set_body plain content": f"{_WHOLE}: replace(text=…)",
    "add_header add_recipient extra_headers add_to add_cc add_bcc": f"{_WHOLE}: replace(headers={{…}}, to=[…])",
    "get_content get_payload get_body get_content_type walk is_multipart items keys": (
        "use text, html and attachments; email.message_from_bytes reads as_bytes()"
    ),
    "to_bytes to_string encode": "use as_bytes()",
    "copy": "use replace(…), which makes another",
    "to_addrs to_emails recipient_list": "use to, cc and bcc, or recipients",
    "send": "use session.send(message)",
    "as_string": "use as_bytes(), or preview() to look at it",
    "save write to_file save_to save_as export": "write as_bytes() to a file, opened with mode 'wb'",
    "message": "use session.send(message), or as_bytes()",
    "from_email from_addr": "use sender",
})  # fmt: skip
"""The same for a ``Message``."""

OF_ATTACHMENT = _words({
    "data bytes body payload file_content contents buffer": "use content=",
    "name file_name": "use filename=",
    "mimetype mime_type mime type media_type ctype": "use content_type=",
    "subtype maintype": 'use content_type=, as "image/png"',
    "cid contentid": "use content_id=",
    "inline is_inline embed content_disposition": 'use disposition="inline", or Attachment.inline(data, content_id)',
    "file filepath file_path": "use path=, or Attachment.from_stream(file, filename) for an open file",
    "text": "use Attachment.from_text(text, filename)",
    "stream fileobj fp": "use Attachment.from_stream(file, filename)",
    "url href uri": "nothing is fetched: give the octets as content=",
    "encoding cte transfer_encoding": "the transfer encoding is chosen when the message is written",
    "charset": """text has it in its type: content_type='text/plain; charset="iso-8859-1"'""",
    "headers": "a part has the fields that its type, name and content_id make",
})  # fmt: skip
"""The same for the keywords of an ``Attachment``."""

OF_ATTACHMENT_MAKERS = _words({
    "from_file from_filename from_disk from_filepath open load": (
        "use from_path(path), or from_stream(file, filename) for an open file"
    ),
    "from_fileobj from_file_object from_io from_buffer from_fp from_handle": "use from_stream(file, filename)",
    "from_data from_content from_octets from_memory from_raw from_blob": "use from_bytes(data, filename)",
    "from_string from_str": "use from_text(text, filename)",
    "from_base64": "use from_bytes(base64.b64decode(data), filename)",
    "from_url": "nothing is fetched: use from_bytes(data, filename)",
    "from_inline from_image embed image": "use inline(path_or_bytes, content_id)",
})  # fmt: skip
"""The same for the class methods that make an ``Attachment``."""

OF_RECEIPT = _words({
    "success successful ok is_ok is_success is_successful sent is_sent delivered": (
        "a receipt is true when every recipient was accepted; status says more"
    ),
    "failed is_failed failure": "a receipt is false unless every recipient was accepted; use status and error",
    "rejected refused_recipients rejected_recipients failed_recipients": "use refused",
    "accepted_recipients": "use accepted",
    "in_doubt": "use unknown",
    "errors exception reason": "use error",
    "message messageId msg_id": "use message_id",
    "code status_code smtp_code": "use reply.code; reply is None if no server has answered",
    "response server_response smtp_response text": "use reply",
    "raise_for_error raise_if_failed": "use raise_for_status()",
    "json to_dict dict asdict model_dump to_json": "use as_dict()",
    "result get join ready done is_done": "use wait(), or status",
    "queueId queueid": "use queue_id",
    "duration seconds time": "use elapsed",
})  # fmt: skip
"""The same for a ``Receipt``."""

OF_ERROR = _words({
    "smtp_code code status_code": "use reply.code; reply is None if no server has answered",
    "smtp_error response": "use reply.text; reply is None if no server has answered",
    "recipients": "use receipt.refused; receipt is None if nothing was sent",
    "is_temporary transient is_transient retryable is_retryable": "use temporary",
    "permanent is_permanent": "use 'not error.temporary'",
})  # fmt: skip
"""The same for an ``SMTPError``."""

OF_PACKAGE = _words({
    "SMTP SMTP_SSL": "use SMTPSession, or wlsmtp.contrib.smtplib.SMTP for code that cannot change",
    "LMTP": 'use SMTPSession.from_url("lmtp://…")',
    "Session Client SMTPClient Mailer Sender EmailSender SMTPConnection Connection MailSession FastMail connect "
    "create_transport createTransport SMTPTransport": "use SMTPSession",
    "AsyncSession AsyncSMTP AsyncClient AsyncSMTPClient aio": "use AsyncSMTPSession",
    "send_mail sendmail send send_message send_email sendMail send_async": "use SMTPSession(…).send(…)",
    "Email EmailMessage Mail MailMessage EmailMultiAlternatives MessageSchema MIMEText MIMEMultipart MIMEImage": (
        "use Message"
    ),
    "Attachments AttachedFile File Image MIMEApplication": "use Attachment",
    "SMTPException Error MailError": "use SMTPError",
    "SMTPAuthenticationError AuthenticationError AuthError": "use AuthenticationFailed",
    "SMTPServerDisconnected SMTPConnectError ConnectError ConnectionError": "use ConnectionFailed",
    "SMTPRecipientsRefused": "use RecipientsRefused",
    "SMTPSenderRefused": "use SenderRefused",
    "SMTPDataError DataError": "use ContentRefused",
    "SMTPHeloError": "use CommandRefused",
    "SMTPResponseException SMTPResponseError": "use ReplyError",
    "SMTPNotSupportedError NotSupportedError": "use ExtensionMissing",
    "TimeoutError SMTPTimeoutError": "use DeadlineExceeded",
    "ConfigurationError SettingsError": "use ConfigError",
    "Config Settings ConnectionConfig SMTPConfig": "use SessionConfig",
    "Result Response SendResult": "use Receipt",
    "ReceiptStatus DeliveryStatus MessageStatus State": "use Status",
    "Retry RetryConfig Backoff": "use RetryPolicy",
    "Timeout": "use Timeouts",
    "Pool ConnectionPool PoolConfig": "use PoolLimits",
    "SSL SSLConfig TLSConfig TLSOptions": "use TLS",
    "OAuth OAuth2 OAuthToken Token": "use RefreshToken or ClientCredentials, or SMTPSession(…, token=…)",
    "Template": "use Templates",
    "Notify DSNOptions": "use DSN",
    "Calendar ICS Event": "use Invitation",
    "SMIME SMIMESigner SMIMEEncryptor": "use Message(sign_with=…, encrypt_for=…)",
    "PGP GPG OpenPGP": "use before_send=…, as docs/recipes/pgp.md does",
    "DKIMSigner Signer": "use DKIM",
    "Address Recipient Mailbox": 'an address is a text, "Ann <ann@example.com>", or a pair ("Ann", "ann@example.com")',
    "SMTPServer ScriptedPeer": "import it from wlsmtp.testing",
    "Inbox InboxTransport": "import it from wlsmtp.inbox",
    "MailHandler SMTPHandler": "use wlsmtp.contrib.logging.MailHandler",
    "EmailBackend": 'use "wlsmtp.contrib.django.EmailBackend"',
    "ByDomainTransport ConsoleTransport Content Context Deadlines EmlTransport FailoverTransport MaildirTransport "
    "NullTransport Outcome RoundRobinTransport SendmailTransport StoredMessage URL WholeTransport": (
        "import it from wlsmtp.transports"
    ),
})  # fmt: skip
"""The same for the package itself."""

OF_FIELDS = _words({
    "body message content plain plain_text plaintext text_body body_text text_content contents msg": "text",
    "alternatives html_message html_body body_html html_content htmlbody html_text": "html",
    "from_ from_email from_addr from_address mail_from sender_email source": "sender",
    "recipients recipient recipient_list to_addrs to_addr to_emails to_email receivers": "to",
    "attachment attach files file filename path images inline_images body_images inline": "attachments",
    "ical icalEvent ical_event invite ics invitation event": "calendar",
    "msgId msg_id": "message_id",
    "extra_headers header": "headers",
    "title topic": "subject",
})  # fmt: skip
"""Other libraries' names for the fields of a message."""

OF_OTHER_FIELDS = _words({
    "is_html subtype content_type mime_type mimetype html_format": "give HTML as html=, plain text as text=",
    "charset encoding": "text is always sent in UTF-8",
    "template template_name template_id context": "Templates(…).message(name, **values) makes messages",
    "send_at expires idempotency_key lane": "it belongs to send(message, …), with mode='async'",
    "at when delay eta countdown send_later send_after schedule scheduled_at not_before": (
        "use send(message, send_at=…), a datetime or a number of seconds from now, with mode='async'"
    ),
    "smime pgp gpg sign encrypt": (
        "for S/MIME use Message(sign_with=…, encrypt_for=…); docs/recipes/pgp.md has a hook for PGP"
    ),
    "tags metadata track_opens track_clicks categories": "give the provider's header, as headers={'X-Tag': '…'}",
    "mail_options rcpt_options dsn": "it belongs to send(message, options=DeliveryOptions(…))",
    "server host port username password": "it belongs to the session",
})  # fmt: skip
"""The same for what is not a field here, with what to do."""

OF_INBOX = _words({
    "port host hostname address server smtp_url smtp_port": "use url, as in SMTPSession.from_url(inbox.url)",
    "last latest last_message newest first get_latest": "use messages[-1], or wait_for(to=…)",
    "wait wait_for_message wait_for_messages wait_for_mail expect get": "use wait_for(to=…, subject=…, timeout=…)",
    "mails emails mail mailbox received outbox count": "use messages",
    "reset flush delete delete_all purge empty": "use clear()",
    "page web http_url": "use web_url",
    "start run": "use listen() for SMTP, serve() for the page",
    "stop quit shutdown": "use close(), or a with block",
})  # fmt: skip
"""The same for an ``Inbox``."""

OF_INBOX_MAIL = _words({
    "headers cc bcc date message_id reply_to from_ from_email to_addrs": "use header('Cc'), email or recipients",
    "body content plain payload text_content": "use text or html",
    "as_bytes source data as_string": "use raw",
    "code otp": "use codes",
    "link urls": "use links",
    "message": "use email",
    "files": "use attachments",
})  # fmt: skip
"""The same for a ``Mail`` of an inbox."""

OF_ENVELOPE = _words({
    "to_addrs to_addr to_emails recipient_list recipient receivers": "recipients",
    "from_addr from_address from_email mail_from": "sender",
    "mail_options rcpt_options dsn": "options",
})  # fmt: skip
"""The same for what is given to ``send`` beside a message."""


def missing(name: str, known: Iterable[str]) -> str | None:
    """Return what to write for a name that ``wlsmtp`` does not have; None if it is like none."""
    if name in OF_PACKAGE:
        return OF_PACKAGE[name]
    from difflib import get_close_matches

    in_small = {each.lower(): each for each in known}
    near = get_close_matches(name.lower().replace("_", ""), in_small, 1, cutoff=0.8)
    return f"did you mean {in_small[near[0]]}?" if near else None


def wrong_block(words: str) -> property:
    """Return what stands for ``__enter__`` or ``__aenter__`` where the other kind of ``with`` is meant. It is an
    ``AttributeError``, so that ``hasattr`` says that there is none."""

    def missing_here(self: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}: {words}", obj=self)

    return property(missing_here)


class Habits:
    """Explains a missing attribute of another library: what to write instead."""

    __slots__ = ()

    _elsewhere: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # so that type checkers still report a misspelt name

        def __getattr__(self, name: str) -> Any:
            kind = next(each.__name__ for each in type(self).__mro__ if not each.__name__.startswith("_"))
            words = f"{kind!r} object has no attribute {name!r}"
            advice = self._elsewhere.get(name)
            raise AttributeError(f"{words}: {advice}" if advice else words, name=name, obj=self)
