"""Hints about a message: its sender, the amount of mail, and its content."""

from __future__ import annotations

from wlsmtp.errors import Stage
from wlsmtp.smtp.hints.login import ASK_PROVIDER, IS_BLOCKED
from wlsmtp.smtp.hints.row import CONTENT, ENVELOPE, LOGIN, OPENING, Row, any_of
from wlsmtp.smtp.hints.session import TELL_NAME
from wlsmtp.smtp.judge import NAMES_RATE

_ADDRESS = r"(?:<?[^\s<>]{1,200}@[^\s<>]{1,200}>? )?"
_LOGIN_WORDS = any_of(
    r"\bunauthenticated (?:senders?|users?|clients?|relay|connections?)\b",
    r"\bnot (?:logged[ -]in|authenticated)\b",
    r"\bmust (?:be |first )?(?:authenticated?|log(?:ged)? ?in)\b",
    r"\b(?:authenticate|log ?in|auth(?: command)?) first\b",
    r"\bneed EHLO and AUTH\b",
    r"\b(?:auth|authentication|login) (?:is |are )?(?:required|needed)\b",
    r"\brequires? (?:\w+ )?(?:authentication|auth|login)\b",
    r"\b(?:send|relay)\w* anonymous(?:ly)? ",
    r"\bplease (?:authenticate|log ?in)\b",
    r"\brelay(?:ing)? (?:access )?(?:is )?(?:denied|not permitted|not allowed|prohibited|disallowed|forbidden)\b"
    r"(?! as\b)",
    r"\b(?:unable|not (?:permitted|allowed|authori[sz]ed)) to relay\b",
    r"\bdo(?:es)? not relay\b",
    r"\brcpthosts\b",
    r"\bturn on SMTP auth",
)
_MAILBOX_OF_ANOTHER = r"\b(?:mailbox|inbox|quota|storage|header|lines?|recipients?)\b"
_OWN_SENDER = (
    "A login may send only from its own addresses: set From, and the sender, to the address of the login, or get the "
    "right to the other address (Send As, an alias)"
)

MESSAGE_ROWS: tuple[Row, ...] = (
    # Sender
    Row(
        "restricted recipient",
        ENVELOPE,
        "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required",
        None,
        any_of(
            r"\bRESOLVER\.",
            r"\bdelivery restriction\b",
        ),
    ),
    Row(
        "sender blocked",
        ENVELOPE,
        "554 5.1.8 Sender Address Blocked",
        ASK_PROVIDER,
        any_of(
            r"\bsender address blocked\b",
            r"\bbad outbound sender\b",
            r"\bOutboundSpam\w*",
            r"\bspam abuse detected\b",
            r"\bsending (?:has been |is |was )?(?:paused|suspended|disabled|blocked)\b",
            rf"\byour (?:\w+ ){{0,2}}(?:account|domain|subscription)\b[^.;]{{0,40}}\b{IS_BLOCKED}",
            rf"\b(?:SMTP|sending|sender'?s?) account\b[^.;]{{0,40}}\b{IS_BLOCKED}",
            r"\b(?:account|user|sender|tenant)\b[^.;]{0,30}\b(?:blocked|suspended|disabled|"
            r"restricted) from sending\b",
        ),
    ),
    Row(
        "not logged in",
        ENVELOPE,
        "530 5.7.1 Authentication required",
        "The server wants a login: set username and password",
        _LOGIN_WORDS,
        enhanced=frozenset({"5.7.57"}),
        codes=frozenset({530}),
        login=False,
    ),
    Row(
        "beyond the login",
        ENVELOPE,
        "550 5.7.1 Relaying denied",
        "The login does not allow this: check that the sender belongs to it, and that this is the provider's "
        "server for sending (port 587 or 465)",
        _LOGIN_WORDS,
        enhanced=frozenset({"5.7.57"}),
        codes=frozenset({530}),
        login=True,
    ),
    Row(
        "MAIL FROM domain",
        ENVELOPE,
        "554 MAIL FROM domain not verified: DNS setup for MAIL FROM domain is invalid.",
        "The DNS records of the MAIL FROM domain are not what the provider wants: mend them as its verification "
        "page says",
        any_of(
            r"\bMAIL FROM domain (?:is )?not verified\b",
        ),
    ),
    Row(
        "unverified identity",
        ENVELOPE,
        "554 Message rejected: Email address is not verified. The following identities failed the check in region …",
        "The provider sends only from verified addresses and domains: verify the sender's there; in a sandbox or "
        "on trial, each recipient's too",
        any_of(
            r"\bidentities failed the check\b",
            r"\badd the address to (?:\w+ )?authori[sz]ed recipients\b",
            r"\bonly send test(?:ing)? e-?mails to\b",
        ),
    ),
    Row(
        "unverified sender",
        ENVELOPE,
        "550 The from address does not match a verified Sender Identity.",
        "The provider sends only from verified addresses and domains: verify the sender's there",
        any_of(
            r"^(?!.*\brecipient\b).*\b(?:is|are|isn't|has|was) not (?:yet )?(?:been )?(?:verified|validated)\b",
            r"^(?!.*\brecipient\b).*\b(?:domain|sender|identity|address) (?:isn't|not) (?:yet )?(?:verified|"
            r"validated)\b",
            r"\bverified sender\b",
            r"\bunverified (?:sender|sending domain|identity)\b",
            r"\bverify your (?:sending )?(?:domain|sender)\b",
            r"\bunconfigured sending domain\b",
            r"\bnot a sender signature\b",
            r"\bdomain must be verified\b",
            r"\bmust belong to a verified domain\b",
            r"\bnot a valid sender on\b",
            r"\b(?:sender|sending|from) domain (?:\S+ )?(?:is )?not (?:registered|authori[sz]ed|configured|allowed|"
            r"permitted|activated)\b",
            r"\bsending (?:from|with) (?:the )?domain \S+ is not (?:allowed|verified|authori[sz]ed|permitted)\b",
        ),
    ),
    Row(
        "envelope and From",
        ENVELOPE,
        "554 DT:SUM",
        "The envelope's sender and the From field must be the same address, that of the login",
        any_of(
            r"\bDT:SUM\b",
            r"\benvelope\b[^.;]{0,40}\b(?:header|From)\b[^.;]{0,30}\b(?:differ|match|mismatch)",
        ),
    ),
    Row(
        "sender not owned",
        ENVELOPE,
        "553 5.7.1 <b@example.com>: Sender address rejected: not owned by user ann@example.com",
        _OWN_SENDER,
        any_of(
            r"\bnot owned by\b",
            r"\bSendAsDenied",
            r"\bpermissions? to send as\b",
            r"\bnot one of your (?:addresses|identities|aliases)\b",
            r"\bnot (?:allowed|authori[sz]ed|permitted) to (?:send|use)\b(?! (?:\w+ )?to\b)[^.;]{0,40}\b(?:as|"
            r"from|on behalf of|using)\b",
            rf"\b(?:sender|from|mail from|return[- ]path)(?: e?-?mail)?(?: header| field|:)?(?: address)? {_ADDRESS}"
            r"(?:is |was )?(?:not (?:allowed|authori[sz]ed|permitted|one of|yours)|unauthori[sz]ed|"
            r"must (?:be (?:the )?same|match|equal)|does ?n[o']t (?:match|belong))",
            r"\brelaying disallowed as\b",
            r"\bunknown sender address\b",
            r"^request failed; mailbox unavailable",
            r"\bmay not send (?:mail )?(?:as|from)\b",
        ),
        enhanced=frozenset({"5.7.60", "5.2.252"}),
    ),
    Row(
        "sender's domain unknown",
        ENVELOPE,
        "450 4.1.8 <a@example.com>: Sender address rejected: Domain not found",
        "The server finds no mail domain behind the sender's address: check its spelling, and its DNS (MX or A record)",
        any_of(
            r"\bsender address rejected: domain not found\b",
            r"\bdomain of sender address\b[^;]*\bdoes not (?:exist|resolve)\b",
            r"\bsender (?:verify|verification|callout) failed\b",
            r"\bsender'?s? domain (?:does not|not found|must (?:exist|resolve)|is invalid)",
        ),
        enhanced=frozenset({"4.7.27", "5.7.27"}),
    ),
    # Message
    Row(
        "own mailbox full",
        ENVELOPE,
        "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException",
        "The mailbox of the login is full, and what is sent is kept there too: empty it, Sent Items first",
        any_of(
            r"\bSTOREDRV\.Submission\S*:QuotaExceeded",
            r"\bMapiExceptionShutoffQuotaExceeded\b",
        ),
    ),
    Row(
        "header",
        ENVELOPE,
        "552 5.3.4 Message header size exceeds limit",
        "The header section is larger than the server allows: shorten its fields, such as a long To or References",
        any_of(
            r"\bheaders?(?: section)?(?: size)? (?:is |are )?(?:too (?:large|big|long)|exceeds?)\b",
        ),
        first_digit=5,
    ),
    Row(
        "fields of the header",
        CONTENT,
        "550 5.7.1 Messages missing a valid address in From: header, or having no From: header, are not accepted.",
        "The server wants From with one address, and From, Date and Message-ID once each: a Message has them; add what "
        "a message made elsewhere does not have",
        any_of(
            r"\bmissing (?:a )?(?:valid )?(?:address in )?(?:From|Date|Message-?ID|To)\b",
            r"\bmultiple (?:addresses|senders) in (?:the )?From\b",
            r"\bduplicate (?:\w+ )?headers?\b",
            r"\bnot (?:[\d.]+ )?RFC ?(?:5322|2822|822)[ -]compliant\b",
            r"\b(?:no|without|invalid) (?:From|Date|Message-?ID)(?::| header| field)",
        ),
        first_digit=5,
    ),
    Row(
        "size",
        ENVELOPE,
        "552 5.3.4 Message size exceeds fixed limit",
        "The message is larger than the server's limit on size: send fewer or smaller attachments, or a link to them",
        any_of(
            rf"^(?!.*{_MAILBOX_OF_ANOTHER}).*(?:\b(?:message|mail|e-?mail|content|attachment|body|"
            rf"data)s?\b[^.;]{{0,40}}\b(?:too (?:large|big)|exceed\w*[^.;]{{0,40}}\b(?:size|octets|bytes|"
            r"[KM]B)|size (?:limit|exceed\w*))\b|\bmaximum (?:\w+ )?message size\b|\bsize limit exceeded\b)",
            r"\bmessage length exceeds\b",
        ),
        enhanced=frozenset({"5.3.4"}),
        first_digit=5,
    ),
    Row(
        "greylisting",
        ENVELOPE,
        "450 4.2.0 <bob@example.org>: Recipient address rejected: Greylisted",
        "The server takes mail from strangers on a later try: send it again after some minutes, or with "
        "mode='async', which does so by itself",
        any_of(
            r"\bgr[ae]y-?list",
        ),
        first_digit=4,
    ),
    Row(
        "too many recipients",
        ENVELOPE,
        "550 5.5.3 Too many recipients",
        "Send to fewer recipients at a time",
        any_of(
            r"\btoo many recipients\b(?! (?:this|per|in|within|from))",
            r"\bmax\w*(?: \w+){0,2} recipients\b(?: per message| in (?:a|one) message)?(?: is| was| has been)? "
            r"(?:exceeded|reached)\b",
        ),
        first_digit=5,
    ),
    Row(
        "about a recipient",
        ENVELOPE,
        "450 4.2.1 The user you are trying to contact is receiving mail too quickly.",
        None,
        any_of(
            r"\brecipient address rejected\b",
            r"\byou (?:are trying|tried) to (?:contact|reach)\b",
            r"\brecipient'?s? (?:mailbox|inbox|server|domain|address)\b",
            r"\bpermanent failure for one or more recipients\b",
            r"\b(?:no such|unknown) (?:user|recipient|mailbox|address)\b",
            r"\b(?:user|recipient|mailbox) (?:is )?(?:unknown|not found|full|over quota|unavailable|inactive|"
            r"disabled)\b",
            r"\b(?:mailbox|storage|inbox)\b[^.;]{0,40}\b(?:full|exceeded|quota|limit)\b",
            r"\btoo many recipients or\b",
        ),
        enhanced=frozenset({"4.2.1", "4.2.2", "5.1.1", "5.1.10", "5.2.1", "5.2.2"}),
    ),
    Row(
        "the day's limit",
        (*LOGIN, *ENVELOPE),
        "550 5.4.5 Daily user sending limit exceeded.",
        "The account has sent as much as it may in an hour or a day: wait until that is over, or ask the provider "
        "for a higher limit",
        any_of(
            r"\b(?:daily|hourly|monthly)\b[^.;<>@]{0,40}\b(?:limit|quota)",
            r"\b(?:limit|quota)s?\b[^.;<>@]{0,40}\b(?:daily|per (?:hour|day|month)|24[ -]?h(?:ou)?rs?)\b",
            r"\bSubmissionQuotaExceeded",
            r"\b(?:sending|outgoing|outbound|message|relay) (?:limit|quota)s? (?:\w+ ){0,2}(?:exceeded|"
            r"reached)\b",
            r"\bexceed\w*[^.;<>@]{0,40}\b(?:sending|outgoing|outbound|message) (?:limit|quota)\b",
            r"\bexceed\w*[^.;<>@]{0,40}\bper (?:hour|day)\b",
            r"\bfor today\b",
            r"\bsending limit for this (?:hour|day|month)\b",
            r"\btoo many (?:recipients|messages|mails|e-?mails) (?:sent )?(?:(?:this|per|in an?|within an?) "
            r"(?:hour|day|month|24 hours)|today)\b",
        ),
    ),
    Row(
        "rate",
        (*OPENING, *ENVELOPE),
        "454 Throttling failure: Maximum sending rate exceeded.",
        "Send more slowly: set PoolLimits(rate='…/minute') below what the provider allows, and send the rest later",
        any_of(
            rf"^(?!.*\b(?:complaint|bounce|spam|failure) rates?\b).*(?:{NAMES_RATE.pattern})",
            r"\btoo many (?:messages|mails|e-?mails|requests)\b",
            r"\b(?:mail|messages|e-?mails|sending)\b[\w ]{0,20} too (?:quickly|fast|frequently|often)\b",
            r"\btoo many recipients from\b",
            r"\bunusual (?:sending )?activity\b",
        ),
    ),
    # Content
    Row(
        "malware",
        CONTENT,
        "552 5.7.0 This message was blocked because its content presents a potential security issue.",
        "The server takes something in the message for malware, or forbids its kind of file: send it in another way",
        any_of(
            r"\b(?:virus|malware|trojan|infected)\b",
            r"\bpotential security issue\b",
            r"\b(?:illegal|forbidden|prohibited|banned|dangerous) (?:attachment|file)s?\b",
            r"\b(?:attachment|file)s?(?: of)?(?: the| this| these)? (?:type|name|extension|format)s?\b"
            r"[\w .*'\"()]{0,30}\b(?:not (?:allowed|accepted|permitted|supported)|(?:un|dis)allowed|unaccept\w+|"
            r"blocked|rejected|refused|denied|forbidden|prohibited|banned|restricted)\b",
            r"\b(?:not|n't|no|never) (?:accept|allow|permit|deliver|take)\w*\b[\w ]{0,20}\b(?:executables?|"
            r"attachment type|file type|file extension|attachments of type)\b",
            r"\bexecutables?\b[\w ]{0,30}\b(?:not (?:allowed|accepted|permitted)|blocked|rejected|refused|denied|"
            r"forbidden|prohibited|banned)\b",
            r"\b(?:blocked|rejected|refused|denied|banned|contains?|found) (?:an? )?(?:executables?|attachment type|"
            r"file (?:type|extension))\b",
        ),
        first_digit=5,
    ),
    Row(
        "spam",
        CONTENT,
        "554 5.7.1 Message rejected under suspicion of SPAM",
        "The server takes the message for spam: look at its links, its From and its headers. The provider's "
        "webmail may want a captcha first",
        any_of(
            r"(?<!anti)(?<!anti-)\bspam(?:my|ming)?\b",
            r"\bDT:SPM\b",
            r"\bunsolicited\b",
            r"\bphishing\b",
            r"\bjunk (?:e-?)?mail\b",
            r"\blikely suspicious\b",
        ),
    ),
    # EHLO, when nothing else is said
    Row(
        "refused at EHLO",
        (Stage.EHLO,),
        "501 5.5.4 Invalid domain name",
        TELL_NAME,
        any_of(
            r"^(?!.*\b(?:denied|blocked|banned|not authori[sz]ed|unavailable|no service|does not accept)\b)",
        ),
        only=frozenset({501, 504, 550, 553, 554}),
    ),
)
"""Replies to MAIL, RCPT, DATA and the content, and to EHLO if no other row matches."""
