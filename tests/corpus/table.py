"""What may differ, and why."""

from __future__ import annotations

from tests.corpus.differences import Difference

EMAIL, MAILPARSER, PERL = ("email",), ("mailparser",), ("MIME::Parser",)
EVERY = (*EMAIL, *MAILPARSER, *PERL)
PARSED = "parsed( by policy.default)?"

OUTCOMES = (
    Difference(
        "smtplib encodes nothing: a server without 8BITMIME refuses text in 8bit; here it is encoded",
        "text outside ASCII|text in .*|HTML beside the text|subject in Latin-1|a text file|a line of .* outside ASCII",
        "wlsmtp",
        idioms=f"MIMEText|EmailMessage|old code|Django|Flask-Mail|{PARSED}",
        server="bare",
    ),
    Difference(
        "smtplib sends lines over 998 octets, which servers refuse or cut; here texts are encoded",
        "a (line|word) of 2,000 letters( outside ASCII)?|HTML with long lines",
        "wlsmtp",
        idioms="MIMEText|old code|Flask-Mail",
    ),
    Difference(
        "smtplib sends header lines of octets as long as they are; here they are folded",
        "very long subject|an answer in a long thread|a long field",
        "wlsmtp",
        idioms="octets",
    ),
    Difference(
        "smtplib sends octets with bare LF and CR, by which another message may be smuggled in; here each is CRLF",
        "line ends of (Unix|all kinds)",
        "wlsmtp",
        idioms="octets",
    ),
    Difference(
        "smtplib takes a Header with an encoded comma for two addresses outside ASCII, and fails (TypeError)",
        "name with a comma outside ASCII|200 recipients outside ASCII",
        "wlsmtp",
        idioms="old code",
        is_everywhere=False,
    ),
    Difference(
        "as_bytes() of the message's own policy fails with the codec's error; here the field is encoded",
        "a field outside ASCII|a receipt is asked for",
        "wlsmtp",
        idioms="Flask-Mail",
        is_everywhere=False,
    ),
    Difference(
        "the standard library's stricter parser finds nobody in an address literal; smtplib says RCPT TO:<>",
        "an address literal",
        "wlsmtp",
        is_everywhere=False,
    ),
    Difference(
        "smtplib wants SMTPUTF8 for a domain outside ASCII, which few servers have; here it is in A-labels",
        "a domain outside ASCII",
        "wlsmtp",
        idioms="EmailMessage",
        server="bare",
    ),
    Difference(
        "what could be more than one list of recipients is refused: smtplib loses one of them, or adds one",
        "a semicolon between recipients|two addresses in one entry|a comma forgotten",
        "smtplib",
        is_everywhere=False,
    ),
    Difference("each reader shows another one of two senders: the message is refused", "two senders", "smtplib"),
    Difference("over SMTP only Postmaster has no domain (RFC 5321 §4.1.1.3)", "a name without a domain", "smtplib"),
)
"""Who could send it, where only one of them could."""

REFUSALS = (
    Difference(
        "raw UTF-8 in octets that somebody else has written needs extensions; to encode them is for who wrote them",
        ".*",
        "ExtensionMissing",
        idioms="octets",
        server="bare",
    ),
    Difference(
        "an address outside ASCII has no other form", "an address outside ASCII", "ExtensionMissing", server="bare"
    ),
    Difference("what is signed must not be changed", "a signed text outside ASCII", "ExtensionMissing", server="bare"),
    Difference(
        "the body of octets is nobody's to change",
        "a (line|word) of 2,000 letters( outside ASCII)?|HTML with long lines",
        "ContentRefused",
        idioms="octets",
    ),
    Difference(
        "what could be more than one list of recipients is refused, and later versions of Python find nobody in it",
        "a semicolon between recipients|two addresses in one entry|a comma forgotten",
        "MessageError",
        is_everywhere=False,
    ),
)
"""The error, where neither could send it."""

ENVELOPES = (
    Difference(
        "a domain outside ASCII is sent in A-labels, which every server knows",
        "a domain outside ASCII",
        idioms="EmailMessage|octets",
    ),
    Difference(
        "the standard library leaves out the quotes around dots: smtplib sends to an address that is none",
        "dots in quotes",
        idioms="EmailMessage|parsed by policy.default",
        is_everywhere=False,
    ),
    Difference(
        "smtplib overlooks a second To field",
        "two fields of recipients",
        idioms=f"MIMEText|old code|{PARSED}",
    ),
)
"""From smtplib's."""

FORWARD_PATHS = (
    Difference("a domain outside ASCII is sent in A-labels", "a domain outside ASCII"),
    Difference(
        "it goes to whom it was resent, as by smtplib", "resent", idioms=f"MIMEText|EmailMessage|old code|{PARSED}"
    ),
)
"""From those whom the letter names."""

FROM_SMTPLIB = (
    Difference(
        "smtplib writes >From at the start of a line, as in a mailbox file, which changes the text",
        "lines that begin with From",
        "text|parts",
        EVERY,
        idioms=f"MIMEText|EmailMessage|old code|{PARSED}",
    ),
    Difference(
        "the standard library folds behind the colon, and reads a space at the start of the subject",
        "subject in Latin-1|long subject outside ASCII|subject of one long word",
        "subject",
        EMAIL,
        is_everywhere=False,
    ),
    Difference(
        "the standard library loses the quotes around a comma",
        "long name",
        "to",
        (*EMAIL, *PERL),
        "Flask-Mail",
        is_everywhere=False,
    ),
    Difference(
        "the standard library cuts a name within a word",
        "long name outside ASCII",
        "to",
        EVERY,
        idioms="EmailMessage|Flask-Mail",
        is_everywhere=False,
    ),
    Difference("a domain outside ASCII is in A-labels", "a domain outside ASCII", "to", (*EMAIL, *PERL)),
    Difference(
        "the standard library leaves out the quotes around dots",
        "dots in quotes",
        "to",
        (*MAILPARSER, *PERL),
        "EmailMessage",
        is_everywhere=False,
    ),
    Difference("Resent-Bcc is taken out of octets as Bcc is", "resent", "resent-bcc", EMAIL, idioms="octets"),
)
"""What readers find, compared with what they find in smtplib's message."""

FROM_WHAT_WAS_MEANT = (
    Difference("Flask-Mail puts no quotes around its sender's name", "name with a comma", "from", EVERY, "Flask-Mail"),
    Difference("Flask-Mail has one Reply-To", "answers to several", "reply-to", EVERY, "Flask-Mail"),
    Difference("a domain outside ASCII is in A-labels", "a domain outside ASCII", "to", (*EMAIL, *PERL)),
    Difference(
        "quotes around dots are left out by readers",
        "dots in quotes",
        "to",
        (*EMAIL, *MAILPARSER),
        is_everywhere=False,
    ),
    Difference(
        "the standard library's parser puts a space between two encoded words of a name",
        "long name.*|200 recipients outside ASCII",
        "to",
        EMAIL,
        is_everywhere=False,
    ),
    Difference(
        "a field that octets have twice is nobody's to take out",
        "two senders",
        "from",
        (*EMAIL, *PERL),
        idioms="octets",
    ),
    Difference("mailparser takes a name without a domain for a person's", "Postmaster", "to", MAILPARSER),
    Difference("MIME::Parser knows no groups", "a group|undisclosed recipients", "to", PERL),
    Difference("mailparser joins soft line ends", "text in format=flowed", "text", MAILPARSER),
    Difference("mailparser shows a report with its text", "a report of failure", "text", MAILPARSER),
    Difference(
        "mailparser shows a text outside multipart/related with its HTML",
        "an inline image",
        "html",
        MAILPARSER,
        f"octets|{PARSED}",
    ),
)
"""What readers find, compared with what the letter says."""
