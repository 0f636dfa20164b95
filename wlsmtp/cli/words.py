"""Translates errors to the command line: options in place of Python settings.

A setting without an option is named as it stands after the ``?`` of a URL, where every setting can be given.
"""

from __future__ import annotations

import re

_IN_URL = r"?\1=\2 in the URL"
_PHRASES = (
    (r"must be without the port: SMTPSession\('([^']*)', (\d+)\)", r"must be without the port: --server \1 --port \2"),
    (r"is a URL; use SMTPSession\.from_url\(…\)", "is a URL; give it with --url"),
    (r"use attempts=1\b", "use --attempts 1"),
    (r"^provider:", "--preset:"),
    (r"^(fingerprint|proxy|port|server|attempts|username):", r"--\1:"),
    (r", or with mode='async', which does so by itself", ""),
    (r"(?:Give|Pass) sender=(?:…, here or as a setting of the session)?", "Give --from"),
    (r"Pass recipients=", "Give --to"),
    (r"Fill to, cc or bcc", "Give --to, --cc or --bcc"),
    (r"set username and password", "give --username and --password-file"),
    (r"Set local_hostname to", "Give --local-hostname"),
    (r"\blocal_hostname\b", "--local-hostname"),
    (r"use a token \(OAuth 2\.0, token=…\)|use a token, token=…", "use a token, --token-file"),
    (r"\buse a token\b(?![\w,-])", "use a token, --token-file"),
    (r"pass token=…, a callable that returns an access token", "give --token-file, with an access token"),
    (r"\btoken=…", "--token-file"),
    (r"security='(tls|ssl|default)'", r"--security \1"),
    (r"\b(or|with) '(tls|ssl)'", r"\1 \2"),
    (r"TLS\(ca_file=…\)", "--ca-file (or ?tls.ca_file=… in the URL)"),
    (r"TLS\(fingerprint=…\)", "--fingerprint"),
    (r"TLS\(verify=False\)", "--insecure"),
    (r"\b(TLS|PoolLimits|RetryPolicy|Timeouts|Pipelining|Network)\((\w+)=([^()]*)\)", r"?\1.\2=\3 in the URL"),
    (r"\btimeout=…", "--timeout"),
    (r"\b(mechanisms|exclude_mechanisms)=…", r"?\1=… in the URL"),
    (r"\bmechanisms=\['([\w-]+)'\]", r"?mechanisms=\1 in the URL"),
    (r"\b(allow_cleartext_auth|opportunistic_tls|pipelining)=(True|False)", _IN_URL),
    (r"\b(auth|mode|partial)='([\w-]+)'", _IN_URL),
    (r"; verify\(\) and open\(\) try it at once, a send does so in \d+ seconds", ""),
)  # fmt: skip
_PARTS = {"TLS": "tls", "PoolLimits": "pool", "RetryPolicy": "retry", "Timeouts": "timeout"}


def in_options(text: str) -> str:
    """Return the text with options where it names settings of Python."""
    for pattern, words in _PHRASES:
        text = re.sub(pattern, words, text)
    text = re.sub(r"\?(\w+)\.(\w+=\S*)", lambda found: f"?{_part(found[1])}.{_bare(found[2])}", text)
    return re.sub(r"(\?\w+=)'?(\w+)'?(?= in the URL)", lambda found: found[1] + _bare(found[2]), text)


def _part(name: str) -> str:
    return _PARTS.get(name, name.lower())


def _bare(value: str) -> str:
    """Return a value as a URL has it."""
    return re.sub(r"\b(?:True|False)\b", lambda found: found[0].lower(), value.replace("'", ""))
