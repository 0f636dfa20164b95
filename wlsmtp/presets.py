"""The providers with known settings: a table in Python, so that it is available wherever the package is, even in a
frozen program."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any


def _provider(
    title: str, server: str, port: int, advice: str, *, aliases: tuple[str, ...] = (), domains: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return one row. On port 465 TLS begins with the first byte, on 587 with STARTTLS."""
    return {
        "title": title, "server": server, "port": port, "security": "ssl" if port == 465 else "tls",
        "aliases": aliases, "domains": domains, "advice": advice,
    }  # fmt: skip


# fmt: off
_WHOLE_ADDRESS = "The user name is the whole mail address."
_SMTP_CREDENTIALS = "Use SMTP credentials, which are not the AWS access keys."
_OWN_PASSWORD = (
    "Mail must be sent with the provider's own user name and password; SMTP access may have to be switched on in the "
    "webmail's settings."
)

PRESETS: dict[str, dict[str, Any]] = {
    "gmail": _provider("Gmail / Google Workspace", "smtp.gmail.com", 587,
        "Use an app password (two-step verification on) or an OAuth 2.0 token with the scope "
        "https://mail.google.com/; the account password is refused.",
        aliases=("google", "googlemail"), domains=("gmail.com", "googlemail.com")),
    "outlook": _provider("Outlook.com / Hotmail", "smtp-mail.outlook.com", 587,
        "This provider takes OAuth 2.0 only: pass token=…, a callable that returns an access token for SMTP.",
        aliases=("hotmail", "live"), domains=("outlook.com", "hotmail.com", "live.com", "msn.com")),
    "office365": _provider("Microsoft 365", "smtp.office365.com", 587,
        "Use an OAuth 2.0 token with the scope SMTP.Send, and see that SMTP AUTH is enabled for the mailbox; basic "
        "authentication is being switched off.",
        aliases=("microsoft365", "exchange-online")),
    "yahoo": _provider("Yahoo Mail", "smtp.mail.yahoo.com", 465,
        "Use an app password, made in the account's security settings, or an OAuth 2.0 token (token=…); the account "
        "password is refused.",
        domains=("yahoo.com", "yahoo.fr", "yahoo.de", "yahoo.co.uk", "ymail.com", "rocketmail.com")),
    "aol": _provider("AOL Mail", "smtp.aol.com", 465,
        "Use an app password, made in the account's security settings, or an OAuth 2.0 token (token=…); the account "
        "password is refused.",
        domains=("aol.com",)),
    "icloud": _provider("iCloud Mail", "smtp.mail.me.com", 587,
        "Use an app-specific password, made at the Apple account's page.",
        aliases=("apple", "me"), domains=("icloud.com", "me.com", "mac.com")),
    "orange": _provider("Orange (France)", "smtp.orange.fr", 465,
        _OWN_PASSWORD,
        aliases=("wanadoo",), domains=("orange.fr", "wanadoo.fr")),
    "free": _provider("Free (France)", "smtp.free.fr", 465,
        "Authenticated SMTP must be switched on in the Free account; the user name is the part before the @.",
        domains=("free.fr",)),
    "sfr": _provider("SFR (France)", "smtp.sfr.fr", 465,
        _OWN_PASSWORD,
        aliases=("neuf",), domains=("sfr.fr", "neuf.fr")),
    "laposte": _provider("La Poste (France)", "smtp.laposte.net", 465,
        "The user name is the part before the @; access by mail programs must be allowed in the account's settings.",
        aliases=("laposte.net",)),
    "bouygues": _provider("Bouygues Telecom (France)", "smtp.bbox.fr", 465,
        _OWN_PASSWORD,
        aliases=("bbox",), domains=("bbox.fr",)),
    "ovh": _provider("OVHcloud", "ssl0.ovh.net", 465, _WHOLE_ADDRESS, aliases=("ovhcloud",)),
    "gandi": _provider("Gandi", "mail.gandi.net", 465, _WHOLE_ADDRESS, domains=("gandi.net",)),
    "infomaniak": _provider("Infomaniak", "mail.infomaniak.com", 465,
        "The user name is the whole address; use a password made for the device.",
        aliases=("ik",), domains=("ik.me", "infomaniak.ch")),
    "ionos": _provider("IONOS", "smtp.ionos.com", 465, _WHOLE_ADDRESS, aliases=("1and1", "1und1")),
    "ionos-de": _provider("IONOS (Germany)", "smtp.ionos.de", 465, _WHOLE_ADDRESS, domains=("online.de",)),
    "gmx": _provider("GMX", "mail.gmx.net", 465,
        "POP3/IMAP access must be switched on in the account's settings; with two-factor login use an app password.",
        domains=("gmx.net", "gmx.de", "gmx.at", "gmx.ch")),
    "gmx-com": _provider("GMX (international)", "mail.gmx.com", 465,
        "POP3/IMAP access must be switched on in the account's settings.",
        domains=("gmx.com", "gmx.us", "gmx.co.uk")),
    "web.de": _provider("WEB.DE", "smtp.web.de", 587,
        "POP3/IMAP access must be switched on in the account's settings; with two-factor login use an app password.",
        aliases=("webde",)),
    "t-online": _provider("Telekom (Germany)", "securesmtp.t-online.de", 465,
        "Use the password for mail programs, made in the customer centre.",
        aliases=("telekom",), domains=("t-online.de", "magenta.de")),
    "freenet": _provider("freenet (Germany)", "mx.freenet.de", 587, _WHOLE_ADDRESS, domains=("freenet.de",)),
    "strato": _provider("STRATO", "smtp.strato.de", 465, _WHOLE_ADDRESS),
    "mailbox.org": _provider("mailbox.org", "smtp.mailbox.org", 465,
        "The user name is the whole address; with two-factor login use an app password.",
        aliases=("mailboxorg",)),
    "posteo": _provider("Posteo", "posteo.de", 465, _WHOLE_ADDRESS, domains=("posteo.de", "posteo.net")),
    "fastmail": _provider("Fastmail", "smtp.fastmail.com", 465,
        "Use an app password with SMTP access.",
        domains=("fastmail.com", "fastmail.fm")),
    "zoho": _provider("Zoho Mail", "smtp.zoho.com", 465,
        "With two-factor login use an application-specific password; accounts in Europe use the preset zoho-eu.",
        domains=("zoho.com", "zohomail.com")),
    "zoho-eu": _provider("Zoho Mail (Europe)", "smtp.zoho.eu", 465,
        "With two-factor login use an application-specific password.",
        domains=("zoho.eu", "zohomail.eu")),
    "proton": _provider("Proton Mail", "smtp.protonmail.ch", 587,
        "Use an SMTP token, made in the settings of a paid account with an own domain; otherwise send through Proton "
        "Mail Bridge.",
        aliases=("protonmail",), domains=("proton.me", "protonmail.com", "pm.me")),
    "yandex": _provider("Yandex Mail", "smtp.yandex.com", 465,
        "Use an app password, and allow mail programs in the settings.",
        domains=("yandex.com", "yandex.ru", "ya.ru")),
    "mail.ru": _provider("Mail.ru", "smtp.mail.ru", 465,
        "Use a password for external applications.",
        aliases=("mailru",), domains=("bk.ru", "inbox.ru", "list.ru")),
    "qq": _provider("QQ Mail", "smtp.qq.com", 465,
        "Use the authorisation code from the settings instead of the password.",
        domains=("qq.com", "foxmail.com")),
    "163": _provider("NetEase 163", "smtp.163.com", 465,
        "Use the authorisation code from the settings instead of the password.",
        aliases=("netease",), domains=("163.com",)),
    "126": _provider("NetEase 126", "smtp.126.com", 465,
        "Use the authorisation code from the settings instead of the password.",
        domains=("126.com",)),
    "naver": _provider("Naver", "smtp.naver.com", 465,
        "SMTP must be switched on in the settings; with two-step login use an app password.",
        domains=("naver.com",)),
    "seznam": _provider("Seznam", "smtp.seznam.cz", 465, _WHOLE_ADDRESS, domains=("seznam.cz", "email.cz", "post.cz")),
    "libero": _provider("Libero", "smtp.libero.it", 465,
        "Use an app password where the account asks for it.",
        domains=("libero.it",)),
    "aruba": _provider("Aruba", "smtps.aruba.it", 465, _WHOLE_ADDRESS, domains=("aruba.it",)),
    "bluewin": _provider("Bluewin (Swisscom)", "smtpauths.bluewin.ch", 465,
        _WHOLE_ADDRESS,
        aliases=("swisscom",), domains=("bluewin.ch",)),
    "runbox": _provider("Runbox", "mail.runbox.com", 465,
        "Use an app password where two-factor login is on.",
        domains=("runbox.com",)),
    "migadu": _provider("Migadu", "smtp.migadu.com", 465, _WHOLE_ADDRESS),
    "purelymail": _provider("Purelymail", "smtp.purelymail.com", 465,
        "With two-factor login use an app password.",
        domains=("purelymail.com",)),
    "hostinger": _provider("Hostinger", "smtp.hostinger.com", 465, _WHOLE_ADDRESS),
    "namecheap": _provider("Namecheap Private Email", "mail.privateemail.com", 465,
        _WHOLE_ADDRESS,
        aliases=("privateemail",)),
    "godaddy": _provider("GoDaddy Workspace Email", "smtpout.secureserver.net", 465, _WHOLE_ADDRESS),
    "dreamhost": _provider("DreamHost", "smtp.dreamhost.com", 465, _WHOLE_ADDRESS),
    "one.com": _provider("one.com", "send.one.com", 465, _WHOLE_ADDRESS, aliases=("onecom",)),
    "att": _provider("AT&T Mail", "smtp.mail.att.net", 465,
        "Use a secure mail key instead of the password.",
        domains=("att.net", "sbcglobal.net", "bellsouth.net")),
    "comcast": _provider("Comcast Xfinity", "smtp.comcast.net", 587,
        "Third-party access must be allowed in the account's security settings.",
        aliases=("xfinity",), domains=("comcast.net",)),
    "sendgrid": _provider("Twilio SendGrid", "smtp.sendgrid.net", 587,
        "The user name is 'apikey', the password an API key."),
    "mailgun": _provider("Mailgun", "smtp.mailgun.org", 587,
        "Use the SMTP credentials of the sending domain; domains in the EU use the preset mailgun-eu."),
    "mailgun-eu": _provider("Mailgun (EU)", "smtp.eu.mailgun.org", 587,
        "Use the SMTP credentials of the sending domain."),
    "postmark": _provider("Postmark", "smtp.postmarkapp.com", 587,
        "User name and password are both the server's API token.",
        aliases=("postmarkapp",)),
    "brevo": _provider("Brevo", "smtp-relay.brevo.com", 587,
        "The password is an SMTP key, not the account's password or an API key.",
        aliases=("sendinblue",)),
    "mailjet": _provider("Mailjet", "in-v3.mailjet.com", 587,
        "The user name is the API key, the password the secret key."),
    "mandrill": _provider("Mailchimp Transactional (Mandrill)", "smtp.mandrillapp.com", 587,
        "The password is an API key; any user name will do."),
    "sparkpost": _provider("SparkPost", "smtp.sparkpostmail.com", 587,
        "The user name is 'SMTP_Injection', the password an API key."),
    "resend": _provider("Resend", "smtp.resend.com", 465, "The user name is 'resend', the password an API key."),
    "mailersend": _provider("MailerSend", "smtp.mailersend.net", 587, "Use the SMTP user of the domain."),
    "smtp2go": _provider("SMTP2GO", "mail.smtp2go.com", 587, "Use an SMTP user, made in the settings."),
    "mailtrap": _provider("Mailtrap Email Sending", "live.smtp.mailtrap.io", 587,
        "The user name is 'api', the password an API token."),
    "ses-us-east-1": _provider("Amazon SES (us-east-1)", "email-smtp.us-east-1.amazonaws.com", 587,
        _SMTP_CREDENTIALS,
        aliases=("ses",)),
    "ses-us-west-2": _provider("Amazon SES (us-west-2)", "email-smtp.us-west-2.amazonaws.com", 587, _SMTP_CREDENTIALS),
    "ses-eu-west-1": _provider("Amazon SES (eu-west-1)", "email-smtp.eu-west-1.amazonaws.com", 587, _SMTP_CREDENTIALS),
    "ses-eu-central-1": _provider("Amazon SES (eu-central-1)", "email-smtp.eu-central-1.amazonaws.com", 587,
        _SMTP_CREDENTIALS),
    "ses-ap-southeast-1": _provider("Amazon SES (ap-southeast-1)", "email-smtp.ap-southeast-1.amazonaws.com", 587,
        _SMTP_CREDENTIALS),
    "ses-ap-southeast-2": _provider("Amazon SES (ap-southeast-2)", "email-smtp.ap-southeast-2.amazonaws.com", 587,
        _SMTP_CREDENTIALS),
    "ses-ap-northeast-1": _provider("Amazon SES (ap-northeast-1)", "email-smtp.ap-northeast-1.amazonaws.com", 587,
        _SMTP_CREDENTIALS),
    "ses-ap-south-1": _provider("Amazon SES (ap-south-1)", "email-smtp.ap-south-1.amazonaws.com", 587,
        _SMTP_CREDENTIALS),
    "ses-ca-central-1": _provider("Amazon SES (ca-central-1)", "email-smtp.ca-central-1.amazonaws.com", 587,
        _SMTP_CREDENTIALS),
}
# fmt: on
"""By name, in lower case: title, server, port, security, aliases, domains, and what the provider requires at login."""

_OTHER_HOSTS = (
    ("smtp.googlemail.com", "gmail"), ("smtp-relay.gmail.com", "gmail"), ("smtp.google.com", "gmail"),
    ("*.office365.com", "office365"), ("smtp.office365.us", "office365"), ("smtp.partner.outlook.cn", "office365"),
    ("smtp.live.com", "outlook"), ("smtp.outlook.com", "outlook"), ("smtp.hotmail.com", "outlook"),
    ("*smtp.mail.yahoo.*", "yahoo"), ("smtp.bizmail.yahoo.com", "yahoo"), ("*.aol.com", "aol"),
    ("*.mail.me.com", "icloud"), ("smtp.yandex.*", "yandex"), ("smtp.ya.ru", "yandex"),
    ("smtp.zoho.eu", "zoho-eu"), ("smtppro.zoho.eu", "zoho-eu"), ("smtp.zoho.*", "zoho"), ("smtppro.zoho.*", "zoho"),
    ("smtp.zohocloud.ca", "zoho"), ("mail.gmx.*", "gmx"), ("smtp.gmx.*", "gmx"), ("smtp.mail.com", "gmx-com"),
    ("smtp.fastmail.*", "fastmail"), ("smtp-relay.sendinblue.com", "brevo"), ("in*.mailjet.com", "mailjet"),
    ("smtp*.mandrillapp.com", "mandrill"), ("smtp*.sparkpostmail.com", "sparkpost"),
    ("smtp*.postmarkapp.com", "postmark"), ("mail*.smtp2go.com", "smtp2go"), ("smtp*.sendgrid.net", "sendgrid"),
    ("smtp.exmail.qq.com", "qq"), ("smtp.yeah.net", "163"), ("*.163.com", "163"), ("*.126.com", "126"),
    ("smtp.ionos.*", "ionos"), ("smtp.1und1.de", "ionos-de"), ("smtp.*.ovh.net", "ovh"),
    ("email-smtp*.amazonaws.com", "ses-us-east-1"), ("email-smtp*.amazonaws.com.cn", "ses-us-east-1"),
)  # fmt: skip
"""Other server names of the same providers, to which the same advice applies, and their presets."""

LIMITS: dict[str, dict[str, Any]] = {
    "office365": {"max_connections": 3, "rate": "30/minute"},
    "outlook": {"max_connections": 3, "rate": "30/minute"},
    **{name: {"idle_timeout": 8.0} for name in PRESETS if name.startswith("ses-")},
}
"""Fields of ``PoolLimits`` that a preset sets. Microsoft 365 accepts three connections and 30 messages a minute for
each mailbox; Amazon SES ends a connection that was idle for some ten seconds."""


def advice_for(server: str) -> str | None:
    """Return what the provider behind a server's name requires at login (app passwords, OAuth 2.0), if known. The name
    may be in upper case, and end in a dot as absolute names do."""
    preset = preset_of(server) or _preset_of_other(server)
    return str(PRESETS[preset]["advice"]) if preset is not None else None


def preset_of(server: str) -> str | None:
    """Return the preset that has this server."""
    name = server.lower().rstrip(".")
    return next((preset for preset, entry in PRESETS.items() if entry["server"] == name), None)


def _preset_of_other(server: str) -> str | None:
    name = server.lower().rstrip(".")
    return next((preset for pattern, preset in _OTHER_HOSTS if fnmatchcase(name, pattern)), None)
