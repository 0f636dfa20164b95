"""Hints about the session: TLS, the account, this machine, and the number of connections."""

from __future__ import annotations

from wlsmtp.errors import Stage
from wlsmtp.smtp.hints.row import ANY, CONTENT, ENVELOPE, LOGIN, OPENING, Row, any_of
from wlsmtp.smtp.judge import NAMES_CONNECTIONS

_TLS_WORDS = any_of(
    r"\bmust issue an? STARTTLS",
    r"\bSTARTTLS (?:command )?(?:is )?(?:required|first|needed)",
    r"\bSTARTTLS first",
    r"\b(?:TLS|SSL|encryption|encrypted connection|secure connection)(?: \w+)? (?:is )?(?:required|needed|mandatory)",
    r"\b(?:requires?|needs?|must use|only over|use) (?:an? )?(?:STARTTLS|TLS|SSL|encrypt(?:ion|ed)|secure connection)",
)
OLD_TLS = any_of(
    r"\b[45]\.7\.66\b",
    r"\bTLS ?v?1\.[01]\b[^;]{0,60}\b(?:not|no longer) (?:supported|allowed|accepted)",
    r"\b(?:TLS|SSL) (?:version|protocol) (?:is )?(?:too old|not supported|obsolete)",
)
TELL_NAME = "Set local_hostname to the DNS name of this machine"

SESSION_ROWS: tuple[Row, ...] = (
    # TLS
    Row(
        "old TLS",
        ANY,
        "421 4.7.66 TLS 1.0 and 1.1 are not supported.",
        "The server wants a later version of TLS than the one that was agreed on: see TLS(minimum_version=…)",
        OLD_TLS,
        enhanced=frozenset({"4.7.66", "5.7.66"}),
    ),
    Row(
        "TLS wanted",
        (Stage.EHLO, *LOGIN, *ENVELOPE),
        "530 5.7.0 Must issue a STARTTLS command first",
        "The server wants TLS first: use security='tls' (port 587) or 'ssl' (port 465)",
        _TLS_WORDS,
        enhanced=frozenset({"5.7.10", "5.7.11", "4.7.10", "4.7.11"}),
        codes=frozenset({538}),
        secure=False,
    ),
    Row(
        "TLS wanted, over TLS",
        (*LOGIN, *ENVELOPE),
        "530 5.7.0 Must issue a STARTTLS command first",
        None,
        _TLS_WORDS,
        secure=True,
    ),
    # The account
    Row(
        "credits",
        ANY,
        "451 Authentication failed: Maximum credits exceeded",
        "The account has used up its credits, or its plan has ended: see the provider's account page",
        any_of(
            r"\bcredits?\b(?! card)[^.;]{0,40}\b(?:exceeded|exhausted|used up|depleted|expired|(?:ran|"
            r"run) out)\b",
            r"\b(?:no|not enough|insufficient|out of|zero|maximum)(?: \w+){0,2} credits?\b(?! card)",
            r"\b(?:insufficient|not enough) (?:funds|balance)\b",
            r"\bpayment (?:is )?(?:required|overdue)\b",
            r"\b(?:plan|subscription|trial)(?: \w+){0,2} (?:expired|ended|cancell?ed|over)\b",
            r"\bbalance (?:is )?too low\b",
        ),
    ),
    # The machine
    Row(
        "link on a block list",
        CONTENT,
        "554 5.7.1 Message contains a URL listed in SURBL",
        "A link or a domain in the message is on a block list: take it out, or have it removed from the list",
        any_of(
            r"\b(?:surbl|uribl|dbl)\b",
            r"\b(?:url|uri|link|hyperlink)s?\b[^;]{0,60}\b(?:block|black|deny)[ -]?list",
            r"\b(?:block|black)[ -]?listed (?:url|uri|link|domain)",
        ),
    ),
    Row(
        "block list",
        ANY,
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
        "The address of this machine is on a block list, or has a bad reputation; the reply says where. Ask there "
        "for its removal, or send through your provider's server (port 587 or 465)",
        any_of(
            r"\bDNSBL\b",
            r"\bRBL\b",
            r"spamhaus|spamcop|barracudacentral|sorbs\.net|uceprotect|mailspike",
            r"\bblocked using \S+\.\w",
            r"\bbanned\b[^.;]{0,20}\bIP\b",
            r"\byour IP(?: address)? (?:has been|is|was) (?:blocked|banned)\b",
            r"\b(?:S3140|S3150)\b",
            r"_is_blocked",
            r"(?:\b(?:client|host|IP|network|server|MTA)\b|\[[\da-f.:]+\])[^;]{0,60}\b(?:block|black|"
            r"deny)[ -]?list",
            r"\b(?:on|in|by) (?:our|an?|the|my) (?:\w+ )?(?:block|black)[ -]?list",
            r"\b(?:poor|bad|low) (?:IP )?reputation\b(?! of (?:the sending )?(?:domain|link|url))",
            r"\breputation of (?:the )?(?:sending )?(?:IP|MTA|server|host)\b",
            r"\b(?:IP|MTA)(?: address)?(?:'s)? reputation\b",
            r"\bemail reputation service\b",
            r"\bdeferred due to (?:unexpected volume|user complaints)\b",
        ),
    ),
    Row(
        "sender's domain",
        ENVELOPE,
        "550 5.7.26 Unauthenticated email from example.com is not accepted due to DMARC",
        "The sender's domain does not vouch for the server that sends: publish SPF and DKIM for it, or send "
        "through the provider of that domain",
        any_of(
            r"\b(?:SPF|DKIM|DMARC)\b",
            r"\bopenspf\b",
            r"\bsender policy framework\b",
            r"\bdoes not designate\b",
            r"\brequired authentication level\b",
            r"\bpass authentication checks\b",
            r"\b(?:\d{1,3}\.){3}\d{1,3}\]? is not (?:allowed|permitted|authori[sz]ed) to send\b",
        ),
        enhanced=frozenset({f"{klass}.7.{detail}" for klass in (4, 5) for detail in (20, 21, 22, 23, 24, 26)}),
    ),
    Row(
        "reverse DNS",
        (*OPENING, *ENVELOPE),
        "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]",
        "The address of this machine has no proper reverse DNS (PTR record): have it set, or send through your "
        "provider's server (port 587 or 465)",
        any_of(
            r"\breverse[ -](?:DNS|hostname|look-?up|host|resolution)\b",
            r"\brDNS\b",
            r"\bPTR\b",
            r"\bcannot (?:find|resolve) your (?:reverse )?hostname\b",
        ),
        enhanced=frozenset({"4.7.25", "5.7.25"}),
    ),
    Row(
        "address not allowed",
        ANY,
        "525 5.7.1 Unauthorized IP address",
        "The server accepts mail from known IP addresses only: add this machine's to the account",
        any_of(
            r"\bunauthori[sz]ed (?:sending |client )?IP\b",
            r"\bclient host rejected: access denied\b",
            r"(?<!raw )\bIP(?:v[46])?(?:[ -]address(?:es)?)?(?: ?[:\[(]?[\da-f.:]{3,}[\])]?)? (?:is |was |"
            r"are )?not (?:\w+ ){0,2}(?:authori[sz]ed|allowed|permitted|white-?listed|"
            r"allow-?listed)\b(?! to send (?:\w+ )?(?:for|on behalf))",
            r"\bIP\b[^.;]{0,40} not (?:in|on) (?:\w+ ){0,2}(?:white|allow)[ -]?list",
            r"\bnot (?:authori[sz]ed|allowed|permitted) (?:to (?:send|relay|connect|"
            r"log ?in)\b[\w ]{0,20} )?from (?:this|your) (?:IP|host|machine|location|network)\b",
        ),
    ),
    Row(
        "country",
        ANY,
        "550 5.7.1 Connections from your country are not accepted",
        "The server accepts nothing from the country of this machine's address: ask its operator, or send from a "
        "machine in another country",
        any_of(
            r"\bgeo[- ]?(?:ip|block|loc|fenc|restrict)\w*",
            r"\bcountr(?:y|ies)\b[^.;]{0,40}\b(?:block|reject|den(?:y|ied)|ban|black|forbid|prohibit|restrict|disallow)\w*",
            r"\bcountr(?:y|ies)\b[^.;]{0,40}\bnot (?:\w+ )?(?:allowed|accepted|permitted|authori[sz]ed)\b",
            r"\b(?:block|reject|den|ban|refus|forbid|forbidd|not accept|not allow)\w*\b[^.;]{0,40}\b(?:your|"
            r"this|that|certain|some|the following) (?:source )?countr(?:y|ies)\b",
            r"\bblocked countr(?:y|ies)\b",
        ),
        first_digit=5,
    ),
    Row(
        "name at EHLO",
        (Stage.EHLO, *ENVELOPE),
        "504 5.5.2 <[10.0.0.5]>: Helo command rejected: need fully-qualified hostname",
        TELL_NAME,
        any_of(
            r"\(EHLO\)",
            r"\bhelo command rejected\b",
            r"\bneed fully[- ]qualified hostname\b",
            r"\b(?:invalid|bad|bogus|illegal|malformed|forged|fake|unacceptable|improper|incorrect) (?:HELO|"
            r"EHLO)\b",
            r"\b(?:HELO|EHLO)(?:/(?:HELO|EHLO))?\b(?! first)[^.;]{0,40}\b(?:invalid|rejected|mismatch|"
            r"not (?:valid|acceptable|allowed|resolv\w+|fully|a valid)|does ?n[o']t (?:exist|resolve|match))",
        ),
    ),
    # How much
    Row(
        "messages over one connection",
        ANY,
        "421 too many messages in this connection",
        "The server takes fewer messages over one connection: lower PoolLimits(max_messages=…)",
        any_of(
            r"\btoo many (?:messages|mails|e-?mails|transactions) (?:per|in|on|over|for) (?:this |one |a |"
            r"the )?(?:connection|session)\b",
        ),
    ),
    Row(
        "connections too often",
        ANY,
        "421 4.3.2 Connection rate limit exceeded",
        "Connect less often: keep one session for all messages, and set PoolLimits(max_connections=…) low",
        any_of(
            r"\bconnection rate\b",
            r"\bconnect(?:ing|ions?)?\b[\w ]{0,20} too (?:often|frequently|fast|quickly)\b",
        ),
    ),
    Row(
        "another port",
        (*OPENING, *ENVELOPE),
        "554 5.7.1 Client host rejected: please use port 587",
        "The server wants mail programs on its port for sending: port=587 with security='tls', or port=465 with 'ssl'",
        any_of(
            r"\b(?:use|try|connect to|connect on) (?:the |our )?(?:submission )?port (?:587|465)\b",
        ),
        first_digit=5,
    ),
    Row(
        "password once",
        LOGIN,
        "432 4.7.12 A password transition is needed",
        "The server wants one login that shows it the password: mechanisms=['PLAIN'], over TLS; after that any will do",
        any_of(
            r"\bpassword transition\b",
        ),
        enhanced=frozenset({"4.7.12"}),
    ),
    Row(
        "all connections in use",
        (*OPENING, *LOGIN, *ENVELOPE),
        "421 All server ports are busy, try later",
        "The server has no free connection for anybody: send later, or with mode='async', which tries again by itself",
        any_of(
            r"\b(?:ports|lines|channels|slots|connections|sessions|workers|threads) (?:are )?(?:all )?(?:currently )?"
            r"(?:busy|in use|occupied)\b",
            r"\bno (?:more )?(?:free|available) (?:ports|lines|channels|slots|connections|sessions|workers|threads)\b",
            r"\b(?:server|system|service) (?:is )?(?:currently |temporarily )?(?:too busy|overloaded)\b",
        ),
        first_digit=4,
    ),
    Row(
        "too many connections",
        ANY,
        "421 Too many concurrent SMTP connections from this IP address",
        "Open fewer connections at once, PoolLimits(max_connections=…), and look for other programs with the same "
        "login",
        NAMES_CONNECTIONS,
        codes=frozenset({432}),
    ),
)
"""Replies at any stage, or about the connection."""
