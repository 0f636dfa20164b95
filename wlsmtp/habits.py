"""Names that users of ``smtplib``, ``email``, Django or Flask-Mail try, and what to write here.

They are used in errors only: nothing here is an alias.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar


def _words(rows: Mapping[str, str]) -> dict[str, str]:
    return {name: words for names, words in rows.items() for name in names.split()}


OF_SESSION = _words({
    "sendmail": "use send(message, sender=…, recipients=…)",
    "send_message": "use send(message)",
    "send_email send_mail": "use send(sender=…, to=…, subject=…, text=…)",
    "send_messages send_mass_mail send_bulk": "use send_many(messages), or send_all(messages)",
    "login auth authenticate": "give the session username=… and password=…; it logs in when it connects",
    "starttls": 'give the session security="tls"; it secures the connection before it logs in',
    "connect ehlo helo ehlo_or_helo_if_needed": "the session connects when it must; verify() tries it without sending",
    "noop": "use verify()",
    "quit disconnect aclose shutdown": "use close(), or a with block",
    "rset": "the session resets the connection when it must",
    "set_debuglevel": "give the session listeners=[print], or set the logger 'wlsmtp' to DEBUG",
    "has_extn esmtp_features supports_extension": "use capabilities, or verify(), which asks the server",
    "server host": "use config.server",
    "port": "use config.port",
})  # fmt: skip
"""For the attributes of other clients: what to do with a session."""

_WHOLE = "a message is made whole, or varied with replace"
OF_MESSAGE = _words({
    "attach attach_file add_attachment": f"{_WHOLE}: replace(attachments=[…])",
    "attach_alternative add_alternative html_body": f"{_WHOLE}: replace(html=…)",
    "set_content set_payload body get_content": f"{_WHOLE}: replace(text=…)",
    "add_header add_recipient extra_headers": f"{_WHOLE}: replace(headers={{…}}, to=[…])",
    "send": "use session.send(message)",
    "as_string": "use as_bytes(), or preview() to look at it",
    "message": "use session.send(message), or as_bytes()",
    "from_email from_addr": "use sender",
})  # fmt: skip
"""The same for a ``Message``."""

OF_FIELDS = _words({
    "body message content plain plain_text plaintext text_body body_text text_content contents msg": "text",
    "alternatives html_message html_body body_html html_content htmlbody html_text": "html",
    "from_ from_email from_addr from_address mail_from sender_email source": "sender",
    "recipients recipient recipient_list to_addrs to_addr to_emails to_email receivers": "to",
    "attachment attach files file filename path images inline_images body_images inline": "attachments",
    "ical icalEvent ical_event invite ics": "calendar",
    "msgId msg_id": "message_id",
    "extra_headers header": "headers",
    "title topic": "subject",
})  # fmt: skip
"""Other libraries' names for the fields of a message."""

OF_OTHER_FIELDS = _words({
    "is_html subtype content_type mime_type mimetype html_format": "give HTML as html=, plain text as text=",
    "charset encoding": "text is always sent in UTF-8",
    "template template_name template_id context": "Templates(…).message(name, **values) makes messages",
    "send_at send_later delay schedule expires idempotency_key": "it belongs to send(message, …), with mode='async'",
    "tags metadata track_opens track_clicks categories": "give the provider's header, as headers={'X-Tag': '…'}",
    "mail_options rcpt_options dsn": "it belongs to send(message, options=DeliveryOptions(…))",
    "server host port username password": "it belongs to the session",
})  # fmt: skip
"""The same for what is not a field here, with what to do."""

OF_ENVELOPE = _words({
    "to_addrs to_addr to_emails recipient_list recipient receivers": "recipients",
    "from_addr from_address from_email mail_from": "sender",
    "mail_options rcpt_options dsn": "options",
})  # fmt: skip
"""The same for what is given to ``send`` beside a message."""


class Habits:
    """Explains a missing attribute of another library: what to write instead."""

    _elsewhere: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # so that type checkers still report a misspelt name

        def __getattr__(self, name: str) -> Any:
            words = f"{type(self).__name__!r} object has no attribute {name!r}"
            advice = self._elsewhere.get(name)
            raise AttributeError(f"{words}: {advice}" if advice else words, name=name, obj=self)
